"""The worklist as a use case: what a scanner is given, and why not (policies 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from broker.domain.answer import whole_item
from broker.domain.order import Item
from broker.domain.query import Criteria, Query, station_query
from broker.domain.why import why
from broker.domain.worklist import Caller, WorklistEntry, visible
from broker.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerRules:
    """What a site says of one scanner's list."""

    hide_started: bool = False
    completed_visible: timedelta = timedelta()


class EntryReader(Protocol):
    """The part of the store that knows scheduled steps."""

    async def search(self, criteria: Criteria) -> Sequence[WorklistEntry]:
        """Give the entries that *criteria* leave, by start."""

    async def completed_since(self, since: datetime) -> Sequence[WorklistEntry]:
        """Give the steps completed at *since* or later, by start."""

    async def of_orders(self, order_ids: Sequence[str]) -> Sequence[WorklistEntry]:
        """Give every step of these orders, listed or not."""


class QueryCounters(Protocol):
    """What the worklist counts."""

    def query(self, ae: str, outcome: str, answers: int, seconds: float) -> None:
        """Count one query: answered or failed, its answers and its time."""


class Worklist:
    """Answers scanners. *modalities*: AE title -> the modalities it does; an AE title without any does all."""

    def __init__(
        self,
        reader: EntryReader,
        modalities: Mapping[str, frozenset[str]],
        scanners: Mapping[str, ScannerRules],
        clock: Clock,
        counters: QueryCounters,
    ) -> None:
        self._counters = counters
        self._reader = reader
        self._modalities = modalities
        self._scanners = scanners
        self._clock = clock

    def caller(self, ae: str) -> Caller:
        """Give what is known of the scanner *ae*."""
        rules = self._scanners.get(ae, ScannerRules())
        return Caller(
            ae=ae,
            modalities=self._modalities,
            hide_started=rules.hide_started,
            completed_visible=rules.completed_visible,
        )

    async def search(self, query: Query, caller: Caller) -> Sequence[WorklistEntry]:
        """Give the entries that answer *query*, in the order of their start."""
        now = self._clock()
        outcome = "failed"
        matching: Sequence[WorklistEntry] = ()
        try:
            found = await self._reader.search(query.criteria())
            if caller.completed_visible:
                found = [*found, *await self._reader.completed_since(now - caller.completed_visible)]
            matching = query.matching([entry for entry in found if visible(entry, caller, now)], caller)
            outcome = "answered"
        finally:
            seconds = (self._clock() - now).total_seconds()
            self._counters.query(caller.ae, outcome, len(matching), seconds)
        return matching

    async def listed(self, ae: str) -> list[tuple[WorklistEntry, Item]]:
        """Give what *ae* would be given now when it asks for its own AE title, each entry with its answer."""
        caller, query = self.caller(ae), station_query(ae)
        return [(entry, whole_item(entry, query.station(caller))) for entry in await self.search(query, caller)]

    async def explain(self, ae: str, order_ids: Sequence[str]) -> list[tuple[WorklistEntry, Sequence[str]]]:
        """Give every step of these orders with the reasons why *ae* does not see it; no reason: it does."""
        caller, now = self.caller(ae), self._clock()
        return [(entry, why(entry, None, caller, now)) for entry in await self._reader.of_orders(order_ids)]
