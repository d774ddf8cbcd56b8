"""``broker ping`` against things that answer and things that do not."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from peers.waiting import free_port


@pytest.fixture
def archive(peer: Callable[[str], str], tmp_path: Path) -> Iterator[int]:
    """DCMTK's storescp on a free port."""
    port = free_port()
    process = subprocess.Popen([peer("storescp"), "-aet", "PACS", "-od", str(tmp_path), str(port)])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield port
    process.terminate()
    process.wait(10)


@pytest.fixture
def receiver() -> Iterator[int]:
    """A port that takes connections."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def ping(tmp_path: Path, text: str, *arguments: str) -> Any:
    """Run ``broker ping`` with a configuration of that text."""
    (tmp_path / "mappings").mkdir(exist_ok=True)
    (tmp_path / "broker.yaml").write_text(f"mappings: mappings\n{text}")
    return CliRunner().invoke(broker, ["ping", *arguments, "--config", str(tmp_path / "broker.yaml")])


def test_a_node_that_answers_c_echo_is_up(tmp_path: Path, archive: int) -> None:
    result = ping(tmp_path, f"dicom: {{nodes: {{PACS: {{host: 127.0.0.1, port: {archive}}}}}}}", "--json")
    assert result.exit_code == 0
    assert [(one["name"], one["kind"], one["up"]) for one in json.loads(result.output)] == [("PACS", "DICOM", True)]


def test_what_does_not_answer_is_told_with_exit_code_69(tmp_path: Path, receiver: int) -> None:
    text = f"""
dicom: {{nodes: {{CT1: {{host: 127.0.0.1, port: {free_port()}}}, NOWHERE: {{}}}}}}
destinations:
  ris: {{type: hl7, port: {receiver}}}
  bus: {{type: mqtt, url: 'mqtt://127.0.0.1:{free_port()}'}}
"""
    result = ping(tmp_path, text, "--json")
    assert result.exit_code == 69
    assert [(one["name"], one["up"], bool(one["error"])) for one in json.loads(result.output)] == [
        ("CT1", False, True),
        ("ris", True, False),
        ("bus", False, True),
    ]


def test_one_name_asks_one(tmp_path: Path, receiver: int) -> None:
    text = f"destinations: {{ris: {{type: hl7, port: {receiver}}}, lis: {{type: hl7, port: {free_port()}}}}}"
    result = ping(tmp_path, text, "ris")
    assert result.exit_code == 0
    assert "ris" in result.output
    assert "lis" not in result.output


def test_an_unknown_name_is_a_usage_error(tmp_path: Path) -> None:
    result = ping(tmp_path, "destinations: {ris: {type: hl7, port: 2}}", "riz")
    assert result.exit_code == 2
    assert "did you mean 'ris'?" in result.output
