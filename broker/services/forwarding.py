"""Objects on their way to the archives: one forwarder a node, for ever and with back-off (contract, section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from broker.domain.records import Delivery, backoff
from broker.domain.study import Instance, Study
from broker.ports import Changes, Clock, Held, Ids, Job
from broker.services.notices import DeliveryCounters, Health, Outbox, Outcome
from broker.services.progress import Rules, progress
from broker.services.waiting import until_stored, wait_at_most

log = structlog.get_logger()

UNSENT = ("available", "retryable", "executing")

BATCH = 200
"""Objects sent over one association before the forwarder looks again at what is due."""


class ObjectReader(Protocol):
    """The part of the store that a forwarder reads."""

    async def due(self, node: str, now: datetime, limit: int) -> Sequence[tuple[Delivery, Instance]]:
        """Give the objects of this broker's spool that may leave for *node* now, oldest first."""

    async def next_due_at(self, destination: str) -> datetime | None:
        """Tell when the next row may leave."""


class Archive(Protocol):
    """One archive node: C-STORE over one association."""

    def send(self, instances: Sequence[Instance]) -> AsyncIterator[Outcome]:
        """Send each instance, give its outcome; ends early with a ``down`` or ``broken`` when the node does not answer."""


class Forwarder:
    """Carries objects to one node; when the last node has one, its file goes."""

    def __init__(
        self,
        node: str,
        archive: Archive,
        reader: ObjectReader,
        outbox: Outbox,
        remove: Callable[[str], None],
        rules: Rules,
        clock: Clock,
        ids: Ids,
        counters: DeliveryCounters,
    ) -> None:
        self.node = node
        self.health = Health()
        self._archive = archive
        self._reader = reader
        self._outbox = outbox
        self._remove = remove
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._counters = counters
        self._waker = outbox.waker(node)

    async def run(self) -> None:
        """Send what is due, wait for more."""
        while True:
            self._waker.clear()
            if not await self.send_due():
                await self._rest()
            elif self.health.failures:
                await asyncio.sleep(backoff(self.health.failures).total_seconds())

    async def _rest(self) -> None:
        due_at = await self._reader.next_due_at(self.node)
        most = self._outbox.rest_seconds
        wait = timedelta(seconds=most) if due_at is None else due_at - self._clock()
        await wait_at_most(min(most, max(0.02, wait.total_seconds())), self._waker)

    async def send_due(self) -> int:
        """Send what is due over one association, as far as the node answers; say how many attempts that were.

        What has failed before goes last: it may be what the node fails over.
        """
        due = await self._reader.due(self.node, self._clock(), BATCH)
        if not due:
            return 0
        rows = sorted(due, key=lambda row: row[0].attempts)
        attempts = 0
        async for outcome in self._archive.send([instance for _, instance in rows]):
            delivery, instance = rows[attempts]
            attempts += 1
            self._note(outcome)
            self._counters.delivery(self.node, "delivered" if outcome.kind == "delivered" else "retryable")
            gone = await until_stored(self._outbox, self._settlement(delivery, instance, outcome))
            if gone:
                await asyncio.to_thread(self._remove, gone)
        return attempts

    def _note(self, outcome: Outcome) -> None:
        if self.health.note(outcome):
            if outcome.is_up:
                log.info("archive.up", node=self.node)
            else:
                log.warning("archive.down", node=self.node, error=outcome.text)

    def _settlement(self, delivery: Delivery, instance: Instance, outcome: Outcome) -> Job[str]:
        """Make the job that keeps the outcome; it gives the path of a file that nobody needs any more, or ``""``."""
        now = self._clock()

        def decide(held: Held) -> Changes[str]:
            stored = held.find(Delivery, "id", delivery.id)[0]
            if stored.state not in UNSENT:
                return Changes(result="")
            attempts = stored.attempts + 1
            if outcome.kind != "delivered":
                wait = timedelta(0) if outcome.kind == "down" else backoff(attempts)
                after = replace(
                    stored,
                    state="retryable",
                    attempts=attempts,
                    error=outcome.text,
                    updated_at=now,
                    not_before=now + wait,
                )
                return Changes(save=(after,), result="")
            after = replace(stored, state="delivered", attempts=attempts, error="", updated_at=now)
            return self._delivered(held, after, instance, now)

        keys = ((Delivery, ("id", delivery.id)), (Study, ("uid", instance.study_uid)))
        return Job(keys=keys, decide=decide)

    def _delivered(self, held: Held, delivery: Delivery, instance: Instance, now: datetime) -> Changes[str]:
        """Count the object as there; when every node has it the file goes, and the study may be available."""
        others = (row for id in instance.deliveries if id != delivery.id for row in held.find(Delivery, "id", id))
        waiting = [row for row in others if row.state in UNSENT]
        study = held.find(Study, "uid", instance.study_uid)[0]
        study = replace(study, pending=max(0, study.pending - 1))
        looked = progress(held, study, orders={}, performed=(), rules=self._rules, now=now, ids=self._ids)
        gone = () if waiting else (replace(instance, path=""),)
        return Changes(
            save=(delivery, looked.study, *looked.orders, *gone),
            events=looked.events,
            result="" if waiting else instance.path,
        )
