"""Verbs with no broker running: they open its database under its lock."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Broker = Callable[..., "subprocess.CompletedProcess[str]"]

TOLD = "no broker runs: its database was asked\n"


@pytest.fixture
def broker(tmp_path: Path) -> Broker:
    """Run a verb with a configuration that nobody runs; its database is empty."""
    for folder in ("config", "mappings", "var"):
        (tmp_path / folder).mkdir()
    config = tmp_path / "config/broker.yaml"
    config.write_text("site: test\n")
    (tmp_path / "var/broker.db").touch()

    def run(*arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "broker", *arguments, "--config", str(config)]
        return subprocess.run(command, input=input, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_a_user_is_added_before_the_broker_runs(broker: Broker) -> None:
    first = broker("user", "add", "ana", "--password-stdin", input="correct horse\n")
    second = broker("user", "add", "ana", "--password-stdin", input="battery staple\n")
    assert (first.returncode, first.stdout, first.stderr) == (0, "ana: added\n", TOLD)
    assert (second.returncode, second.stdout) == (0, "ana: new password\n")


def test_orders_can_be_looked_at_while_the_broker_is_down(broker: Broker) -> None:
    asked = broker("orders", "--json")
    assert (asked.returncode, json.loads(asked.stdout)) == (0, {"items": [], "next": None})


def test_a_database_that_is_locked_is_left_alone(broker: Broker, tmp_path: Path) -> None:
    with (tmp_path / "var/broker.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = broker("orders")
    assert asked.returncode == 69
    assert "is in use by another broker" in asked.stderr


def test_without_a_database_nothing_is_made(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "var/broker.db").unlink()
    asked = broker("orders")
    assert asked.returncode == 69
    assert "there is no database" in asked.stderr
    assert not list((tmp_path / "var").iterdir())
