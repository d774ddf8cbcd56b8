"""A database that takes nothing for a while: senders hear AR 207, nothing takes effect, and it mends by itself."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.domain.records import StoredMessage
from broker.errors import BrokerError
from broker.ports import Changes, Job
from broker.store import dialects
from broker.store.store import Store

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program writes and does not end."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def full(database: Path) -> Iterator[None]:
    """Nothing more can be written to any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def message(n: int) -> Job[int]:
    row = StoredMessage(
        id=str(n),
        key=str(n),
        listener="his",
        sender="HIS",
        control_id="1",
        type="ORM^O01",
        received_at=NOW,
        raw=b"MSH" * 2000,
        charset="utf-8",
        state="accepted",
        answer=b"",
    )
    return Job(keys=((StoredMessage, ("key", str(n))),), decide=lambda held: Changes(save=(row,), result=n))


@pytest.mark.parametrize("fault", [locked, full])
def test_a_store_that_cannot_write_says_so_and_recovers(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT_SECONDS", 0.1)
    database = tmp_path / "broker.db"

    async def story() -> tuple[list[object], list[bool], str, int]:
        store = await Store.open(f"sqlite:///{database}", fan_out=lambda event: (), on_death=pytest.fail)
        await store.run(message(0))
        writable = [store.is_writable]
        with fault(database):
            answers = await asyncio.gather(*(store.run(message(n)) for n in range(1, 9)), return_exceptions=True)
            writable.append(store.is_writable)
            problem = store.problem
            readable = await store.messages.get("0")
        assert readable is not None
        await until_writable(store)
        writable.append(store.is_writable)
        assert await store.run(message(9)) == 9
        kept, _ = await store.messages.search(limit=100)
        await store.close()
        return list(answers), writable, problem, len(kept)

    answers, writable, problem, kept = asyncio.run(asyncio.wait_for(story(), 30))

    assert all(isinstance(answer, BrokerError) for answer in answers)
    assert {(a.ack, a.hl7_code, a.code) for a in answers} == {("AR", "207", "S001")}
    assert writable == [True, False, True]
    assert problem
    assert kept == 2


async def until_writable(store: Store) -> None:
    """Wait until the store has found out by itself, without anybody asking it to write."""
    for _ in range(200):
        if store.is_writable:
            return
        await asyncio.sleep(0.05)


def test_a_store_in_a_folder_that_cannot_be_written_is_refused_with_the_reason(tmp_path):
    async def story() -> None:
        with full(tmp_path):
            await Store.open(f"sqlite:///{tmp_path / 'broker.db'}", fan_out=lambda event: (), on_death=pytest.fail)

    with pytest.raises(BrokerError) as raised:
        asyncio.run(asyncio.wait_for(story(), 30))

    assert raised.value.code in ("S004", "S005")
