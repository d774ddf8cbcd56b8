"""A real store on SQLite in a temporary folder, with a clock and identifiers that count up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.store.store import Store

Opener = Callable[..., AbstractAsyncContextManager[Store]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def opened(database: Path) -> Opener:
    """Open the store of the test; more than once, one after the other, for a restart."""

    def no_deliveries(event: Event) -> tuple[Delivery, ...]:
        return ()

    def die(error: BaseException) -> None:
        raise AssertionError("the writer died") from error

    @asynccontextmanager
    async def open_store(
        fan_out: Callable[[Event], tuple[Delivery, ...]] = no_deliveries,
        on_death: Callable[[BaseException], None] = die,
    ) -> AsyncIterator[Store]:
        store = await Store.open(f"sqlite:///{database}", fan_out=fan_out, on_death=on_death)
        try:
            yield store
        finally:
            await store.close()

    return open_store
