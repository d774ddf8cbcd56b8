"""One broker a database."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from broker.errors import ConfigurationError
from broker.store.locking import FileLock


def test_a_second_broker_is_told_who_has_the_database(opened_file, database):
    async def story():
        async with opened_file():
            with pytest.raises(ConfigurationError) as raised:
                async with opened_file():
                    pass
        return raised.value

    error = asyncio.run(asyncio.wait_for(story(), 30))

    assert error.code == "S004"
    assert str(database) in error.message
    assert str(os.getpid()) in error.message
    assert "broker.db.lock" in error.hint


def test_a_broker_that_was_killed_leaves_no_lock_behind(database):
    program = (
        "import sys, time; from pathlib import Path; from broker.store.locking import FileLock;"
        f"lock = FileLock(Path({str(database)!r})); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        with pytest.raises(ConfigurationError, match=str(owner.pid)):
            FileLock(database)
        owner.kill()
        owner.wait(10)

    with FileLock(database):
        assert database.with_name("broker.db.lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere"):
        FileLock(tmp_path / "nowhere" / "broker.db")
