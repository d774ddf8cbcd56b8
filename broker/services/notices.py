"""Telling others: which destinations hear of an event, and the couriers that carry the outbox to them.

A courier carries one destination. Rows of one lane (an order, a patient) leave in order; a receiver that is down stops
nobody but its own courier (policies 8.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal, Protocol, TypeVar

import structlog

from broker.domain.events import PUBLIC, Event
from broker.domain.records import Delivery, backoff
from broker.ports import Changes, Clock, Held, Ids, Job, Writer
from broker.services.waiting import until_stored, wait_at_most

log = structlog.get_logger()

R = TypeVar("R")

REFUSALS_ALLOWED = 3
BATCH = 64
REST_SECONDS = 30.0
"""How long a courier without work rests when nobody wakes it."""
SHARED_REST_SECONDS = 1.0
"""The same where other brokers may write what it has to carry: they cannot wake it."""
WATCH_SECONDS = 0.2
"""How often a courier asks whether its destination has become this broker's to carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What one destination wants to hear: event types or globs; *needs_order*: no order's or study's without accession number."""

    destination: str
    events: tuple[str, ...]
    needs_order: bool

    def wants(self, event: Event) -> bool:
        """Say whether a notice of *event* goes to this destination."""
        if event.type not in PUBLIC:
            return False
        is_of_order = not event.type.startswith("patient.")
        if self.needs_order and is_of_order and not event.facts.get("order", {}).get("accession"):
            return False
        heard = "study.available" if event.type == "study.extended" and self.needs_order else event.type
        return any(fnmatchcase(event.type, pattern) or fnmatchcase(heard, pattern) for pattern in self.events)


class AlarmCounters(Protocol):
    """What the outbox counts."""

    def alarm(self, event: str) -> None:
        """Count one alarm by its event type."""


class Outbox:
    """Writes notices with their cause and wakes the couriers once they are on disk; runs jobs for everybody (Writer)."""

    def __init__(self, subscriptions: Sequence[Subscription], ids: Ids, counters: AlarmCounters) -> None:
        self._counters = counters
        self._subscriptions = tuple(subscriptions)
        self._ids = ids
        self._wakers: dict[str, asyncio.Event] = {}
        self._writer: Writer | None = None
        self.rest_seconds = REST_SECONDS

    def attach(self, writer: Writer, *, is_shared: bool = False) -> None:
        """Use *writer* for all jobs; *is_shared*: other brokers write to the same store."""
        self._writer = writer
        self.rest_seconds = SHARED_REST_SECONDS if is_shared else REST_SECONDS

    def fan_out(self, event: Event) -> tuple[Delivery, ...]:
        """Give the outbox rows of *event*: one for each destination that wants it."""
        lane = f"order {event.order_id}" if event.order_id else f"study {event.study_uid}"
        if event.type.startswith("patient.") or lane == "study ":
            lane = f"patient {event.patient_ref}"
        return tuple(
            self._row(subscription.destination, event, lane)
            for subscription in self._subscriptions
            if subscription.wants(event)
        )

    def _row(self, destination: str, event: Event, lane: str) -> Delivery:
        id = self._ids()
        return Delivery(
            id=id,
            destination=destination,
            event_id=event.id,
            event_type=event.type,
            order_id=event.order_id,
            study_uid=event.study_uid,
            lane=lane,
            control_id=id[-20:],
            not_before=event.at,
            created_at=event.at,
            updated_at=event.at,
        )

    async def run(self, job: Job[R]) -> R:
        """Run *job*, then wake the couriers that it gave something to carry."""
        assert self._writer is not None
        decided: Changes[R] | None = None

        def decide(held: Held) -> Changes[R]:
            nonlocal decided
            decided = job.decide(held)
            return decided

        result = await self._writer.run(Job(keys=job.keys, decide=decide, is_large=job.is_large))
        assert decided is not None
        self._tell(decided)
        return result

    def _tell(self, changes: Changes[object]) -> None:
        """Count the alarms of what is on disk now, and wake who carries it."""
        addressed = {row.destination for row in changes.save if isinstance(row, Delivery)}
        for event in changes.events:
            addressed.update(one.destination for one in self._subscriptions if one.wants(event))
            if event.is_alarm:
                self._counters.alarm(event.type)
        for destination in addressed:
            self.waker(destination).set()

    def waker(self, destination: str) -> asyncio.Event:
        """Give the event that a courier of *destination* waits for."""
        return self._wakers.setdefault(destination, asyncio.Event())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt.

    *down*: nobody is there, so the whole destination waits. *broken*: somebody was, and went or fell silent over this
    very row: it waits its turn and lets the others pass, for it may be the reason.
    """

    kind: Literal["delivered", "retry", "refused", "dead", "down", "broken"]
    text: str = ""

    @property
    def is_up(self) -> bool:
        """Say whether the destination answered."""
        return self.kind not in ("down", "broken")


class Carrier(Protocol):
    """Speaks one destination's protocol."""

    async def carry(self, delivery: Delivery, event: Event) -> Outcome:
        """Make one attempt; every wait has a deadline; never raises for what a receiver does."""


class DueReader(Protocol):
    """The part of the store that a courier reads."""

    async def due(self, destination: str, now: datetime, limit: int) -> Sequence[tuple[Delivery, Event | None]]:
        """Give the rows that may leave now: the first unfinished row of each lane."""

    async def next_due_at(self, destination: str) -> datetime | None:
        """Tell when the next row may leave."""


class Duty(Protocol):
    """Shares the destinations out among brokers."""

    def holds(self, name: str) -> bool:
        """Say whether this broker carries the notices of the destination *name* now."""


class DeliveryCounters(Protocol):
    """What couriers count."""

    def delivery(self, destination: str, state: str) -> None:
        """Count one attempt by the state that the row has after it."""


@dataclass(slots=True)
class Health:
    """How a destination is: shown on the page and in /readyz."""

    is_up: bool | None = None
    error: str = ""
    failures: int = 0

    def note(self, outcome: Outcome) -> bool:
        """Keep what the last attempt says, and say whether that is news."""
        is_news = outcome.is_up != self.is_up
        self.is_up = outcome.is_up
        self.error = "" if outcome.kind == "delivered" else outcome.text
        self.failures = 0 if outcome.is_up else self.failures + 1
        return is_news


class Courier:
    """Carries the outbox rows of one destination, for ever."""

    def __init__(
        self,
        destination: str,
        carrier: Carrier,
        reader: DueReader,
        outbox: Outbox,
        duty: Duty,
        clock: Clock,
        ids: Ids,
        counters: DeliveryCounters,
    ) -> None:
        self.destination = destination
        self.health = Health()
        self._carrier = carrier
        self._reader = reader
        self._outbox = outbox
        self._duty = duty
        self._clock = clock
        self._ids = ids
        self._counters = counters
        self._waker = outbox.waker(destination)

    async def run(self) -> None:
        """Carry what is due while that is this broker's to do, wait for more."""
        while True:
            if not self._duty.holds(self.destination):
                self.health.is_up, self.health.error = None, "another broker carries its notices"
                await asyncio.sleep(WATCH_SECONDS)
                continue
            self._waker.clear()
            rows = await self._reader.due(self.destination, self._clock(), BATCH)
            for delivery, event in rows:
                if not self._duty.holds(self.destination):
                    break
                if event is not None and not await self._attempt(delivery, event):
                    await asyncio.sleep(backoff(self.health.failures).total_seconds())
                    break
            if not rows:
                await self._rest()

    async def _rest(self) -> None:
        due_at = await self._reader.next_due_at(self.destination)
        most = self._outbox.rest_seconds
        seconds = most if due_at is None else max(0.01, (due_at - self._clock()).total_seconds())
        await wait_at_most(min(seconds, most), self._waker)

    async def _attempt(self, delivery: Delivery, event: Event) -> bool:
        """Make one attempt and keep what became of it; False when the destination did not answer."""
        outcome = await self._carrier.carry(delivery, event)
        is_up = outcome.is_up
        if self.health.note(outcome):
            if is_up:
                log.info("destination.up", destination=self.destination)
            else:
                log.warning("destination.down", destination=self.destination, error=outcome.text)
        now = self._clock()
        after = settle(delivery, outcome, now)
        self._counters.delivery(self.destination, after.state)
        await until_stored(self._outbox, settlement(delivery, after, event, now, self._ids))
        return is_up


def settle(delivery: Delivery, outcome: Outcome, now: datetime) -> Delivery:
    """Give the row after one attempt (policies 8.1): AE three times, then dead; a final refusal at once."""
    attempts = delivery.attempts + 1
    changed = replace(delivery, attempts=attempts, updated_at=now, error=outcome.text)
    match outcome.kind:
        case "delivered":
            return replace(changed, state="delivered", error="")
        case "dead":
            return replace(changed, state="dead")
        case "refused":
            refusals = delivery.refusals + 1
            if refusals >= REFUSALS_ALLOWED:
                return replace(changed, state="dead", refusals=refusals)
            return replace(changed, state="retryable", refusals=refusals, not_before=now + backoff(refusals))
        case "down":
            return replace(changed, state="retryable", not_before=now)
        case "retry" | "broken":
            return replace(changed, state="retryable", not_before=now + backoff(attempts))


def settlement(before: Delivery, after: Delivery, event: Event, now: datetime, ids: Ids) -> Job[None]:
    """Make the job that keeps *after*, unless somebody cancelled the row meanwhile."""

    def decide(held: Held) -> Changes[None]:
        stored = held.find(Delivery, "id", before.id)
        if stored and stored[0].state in ("cancelled", "delivered"):
            return Changes(result=None)
        events: tuple[Event, ...] = ()
        if after.state == "dead" and event.type != "delivery.dead":
            events = (_dead(after, event, now, ids()),)
        return Changes(save=(after,), events=events, result=None)

    return Job(keys=((Delivery, ("id", before.id)),), decide=decide)


def _dead(delivery: Delivery, event: Event, now: datetime, id: str) -> Event:
    text = f"{event.type} for {delivery.destination} set aside after {delivery.attempts} attempts: {delivery.error}"
    return replace(
        event,
        id=id,
        type="delivery.dead",
        at=now,
        text=text,
        is_alarm=True,
        facts={**event.facts, "delivery": {"id": delivery.id, "destination": delivery.destination}},
        ref={"delivery": delivery.id},
    )
