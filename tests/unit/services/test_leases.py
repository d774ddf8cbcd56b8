"""Which of several brokers carries a destination: two of them on one store, and a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from broker.services.leases import LEASE_SECONDS, RENEW_SECONDS, Leases
from broker.store.store import Store


@dataclass
class Brokers:
    """Two brokers, each with its leases of the destinations ris and bus."""

    store: Store
    now: float = 1000.0
    of: dict[str, Leases] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("one", "two"):
            self.of[name] = Leases(("ris", "bus"), name, self.store, lambda: self.now)

    async def live(self, seconds: float, *names: str) -> None:
        """Let time pass in which only the brokers *names* run."""
        end = self.now + seconds
        while self.now < end:
            self.now += RENEW_SECONDS
            for name in names:
                await self.of[name].renew()

    def holders(self, destination: str = "ris") -> list[str]:
        return [name for name, leases in self.of.items() if leases.holds(destination)]


@pytest.fixture
def run(database_url: str) -> Callable[[Callable[[Brokers], Coroutine[Any, Any, None]]], None]:
    def go(story: Callable[[Brokers], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            store = await Store.open(database_url, fan_out=lambda event: (), on_death=pytest.fail)
            try:
                await story(Brokers(store))
            finally:
                await store.close()

        asyncio.run(asyncio.wait_for(whole(), 60))

    return go


def test_one_broker_at_a_time_carries_a_destination(run: Any) -> None:
    async def story(brokers: Brokers) -> None:
        await asyncio.gather(*(leases.renew() for leases in brokers.of.values()))
        (first,) = brokers.holders()
        for _ in range(10):
            await brokers.live(LEASE_SECONDS / 2, "two", "one")
            assert brokers.holders() == brokers.holders("bus") == [first]

    run(story)


def test_what_a_dead_broker_had_is_taken_over_once_it_holds_nothing_any_more(run: Any) -> None:
    async def story(brokers: Brokers) -> None:
        await brokers.live(1, "one", "two")
        held = []
        while brokers.holders() != ["two"]:
            await brokers.live(1, "two")
            held.append(brokers.holders())
        assert ["one", "two"] not in held
        assert len(held) * RENEW_SECONDS <= LEASE_SECONDS + 2 * RENEW_SECONDS

    run(story)


def test_a_broker_that_starts_again_goes_on_at_once(run: Any) -> None:
    async def story(brokers: Brokers) -> None:
        await brokers.live(1, "one", "two")
        brokers.of["one"] = Leases(("ris", "bus"), "one", brokers.store, lambda: brokers.now)
        assert brokers.holders() == []
        await brokers.live(1, "two", "one")
        assert brokers.holders() == ["one"]

    run(story)


def test_a_broker_that_stops_lets_others_have_its_destinations_at_once(run: Any) -> None:
    async def story(brokers: Brokers) -> None:
        await brokers.live(1, "one", "two")
        await brokers.of["one"].release()
        assert brokers.holders() == []
        await brokers.live(1, "two")
        assert brokers.holders() == ["two"]

    run(story)


def test_time_in_which_the_store_was_away_for_all_makes_no_lease_abandoned(run: Any) -> None:
    async def story(brokers: Brokers) -> None:
        await brokers.live(LEASE_SECONDS, "one", "two")
        brokers.now += 10 * LEASE_SECONDS
        await brokers.live(1, "two", "one")
        assert brokers.holders() == ["one"]

    run(story)
