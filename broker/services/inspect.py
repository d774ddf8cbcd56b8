"""Looking at it: what the console, the API and the command line read, and what a person may do to a delivery.

The Protocols say what is read where; the store, the worklist and the composition root satisfy them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from broker.domain.events import Event
from broker.domain.order import Item, Order, Patient
from broker.domain.performed import PerformedStep
from broker.domain.records import Delivery, StoredMessage
from broker.domain.study import Instance, Study
from broker.domain.worklist import WorklistEntry
from broker.ports import Changes, Clock, Held, Ids, Job, Writer
from broker.services.reconcile import Reconciliation


class OrderLife(Protocol):
    """All that is known of one order; *events* in the order in which they happened."""

    @property
    def order(self) -> Order: ...
    @property
    def patient(self) -> Patient: ...
    @property
    def performed(self) -> Sequence[PerformedStep]: ...
    @property
    def studies(self) -> Sequence[Study]: ...
    @property
    def deliveries(self) -> Sequence[Delivery]: ...
    @property
    def events(self) -> Sequence[Event]: ...


class OrderReader(Protocol):
    """The part of the store that knows orders."""

    async def search(
        self,
        *,
        accession: str = "",
        patient_id: str = "",
        status: str = "",
        modality: str = "",
        start_from: str = "",
        start_to: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Sequence[tuple[Order, Patient]], str]:
        """Find orders, and the cursor of the next page (empty: there is none). Starts are local, YYYYMMDDHHMMSS."""

    async def get(self, order_id: str) -> Order | None:
        """Find the order with our id."""

    async def by_accession(self, accession: str) -> Sequence[Order]:
        """Find all orders with that accession number."""

    async def life(self, order_id: str) -> OrderLife | None:
        """Give all that is known of one order."""


class MessageReader(Protocol):
    """The part of the store that knows received messages."""

    async def search(
        self,
        *,
        state: str = "",
        listener: str = "",
        type: str = "",
        order_id: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[Sequence[StoredMessage], str]:
        """Find messages, the newest first, and the cursor of the next page."""

    async def get(self, message_id: str) -> StoredMessage | None:
        """Find one message."""


class DeliveryReader(Protocol):
    """The part of the store that knows the outbox."""

    async def search(
        self, *, state: str = "", destination: str = "", limit: int = 50, cursor: str = ""
    ) -> tuple[Sequence[Delivery], str]:
        """Find deliveries, the newest first, and the cursor of the next page."""

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Count the deliveries of each destination by state, without those that are delivered or cancelled."""


class StudyReader(Protocol):
    """The part of the store that knows studies."""

    async def search(self, *, state: str = "", limit: int = 50, cursor: str = "") -> tuple[Sequence[Study], str]:
        """Find studies, those with the newest object first, and the cursor of the next page."""

    async def in_state(self, state: str) -> Sequence[Study]:
        """Give all studies in *state*."""


class AlarmReader(Protocol):
    """The part of the store that knows what a person should look at."""

    async def alarms(self, limit: int) -> Sequence[Event]:
        """Give the newest events that are alarms."""


class WorklistReader(Protocol):
    """What scanners are given; the same code answers their queries."""

    async def listed(self, ae: str) -> Sequence[tuple[WorklistEntry, Item]]:
        """Give what *ae* would be given now when it asks for its own AE title, each entry with its answer."""

    async def explain(self, ae: str, order_ids: Sequence[str]) -> Sequence[tuple[WorklistEntry, Sequence[str]]]:
        """Give every step of these orders with the reasons why *ae* does not see it; no reason: it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How one part of the broker is. *is_up* None: not tried yet; *address* as a person would write it."""

    name: str
    kind: Literal["listener", "destination", "store", "mappings"]
    is_up: bool | None
    address: str = ""
    error: str = ""


class Health(Protocol):
    """How every listener, every destination and the store are, now."""

    def parts(self) -> Sequence[Part]:
        """List them in the order of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a wish for a delivery: the row after it, or why it was refused; neither: there is no such row."""

    delivery: Delivery | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The readers together with what needs more than one of them."""

    orders: OrderReader
    messages: MessageReader
    deliveries: DeliveryReader
    alarms: AlarmReader
    worklist: WorklistReader
    health: Health
    studies: StudyReader
    reconciliation: Reconciliation
    writer: Writer
    clock: Clock
    ids: Ids

    async def find_orders(self, ref: str) -> Sequence[Order]:
        """Find what *ref* names: the order with our id, else all with that accession number."""
        order = await self.orders.get(ref)
        return (order,) if order else await self.orders.by_accession(ref)

    async def retry(self, delivery_id: str) -> Settled:
        """Make a delivery leave again at once: one that waits after a fault, is dead or was cancelled."""
        return await self._settle(delivery_id, _retried, "sent again")

    async def cancel(self, delivery_id: str) -> Settled:
        """Cancel a notice that has not ended. An object is never cancelled: it waits until the archive has it."""
        return await self._settle(delivery_id, _cancelled, "cancelled")

    def is_ready(self) -> bool:
        """Say whether every listener accepts and the store can write."""
        return all(part.is_up for part in self.health.parts() if part.kind in ("listener", "store"))

    async def _settle(self, delivery_id: str, wish: Callable[[Delivery, datetime], Settled], done: str) -> Settled:
        now, event_id = self.clock(), self.ids()

        def decide(held: Held) -> Changes[Settled]:
            found = held.find(Delivery, "id", delivery_id)
            settled = wish(found[0], now) if found else Settled()
            is_back = settled.delivery is not None and settled.delivery.sop_uid and found[0].state == "cancelled"
            if is_back and not _has_file(held, found[0]):
                settled = Settled(refusal="the other archives have it, and its file is gone")
            if settled.delivery is None:
                return Changes(result=settled)
            event = _noted(settled.delivery, done, now, event_id)
            studies = _awaiting(held, settled.delivery) if is_back else ()
            return Changes(save=(settled.delivery, *studies), events=(event,), result=settled)

        return await self.writer.run(Job(keys=((Delivery, ("id", delivery_id)),), decide=decide))


def _has_file(held: Held, delivery: Delivery) -> bool:
    return any(one.path for one in held.find(Instance, "sop", delivery.sop_uid) if one.digest == delivery.digest)


def _awaiting(held: Held, delivery: Delivery) -> tuple[Study, ...]:
    """Give the study that waits for a cancelled object again."""
    return tuple(replace(one, pending=one.pending + 1) for one in held.find(Study, "uid", delivery.study_uid))


def _noted(delivery: Delivery, done: str, now: datetime, event_id: str) -> Event:
    what = delivery.event_type or f"object {delivery.sop_uid}"
    return Event(
        id=event_id,
        type="order.noted" if delivery.order_id else "study.noted",
        at=now,
        text=f"{what} for {delivery.destination} {done} by hand",
        order_id=delivery.order_id,
        study_uid=delivery.study_uid,
        ref={"delivery": delivery.id},
    )


def _retried(delivery: Delivery, now: datetime) -> Settled:
    match delivery.state:
        case "retryable" | "dead" | "cancelled":
            again = replace(delivery, state="available", refusals=0, not_before=now, updated_at=now)
            return Settled(delivery=again)
        case "delivered":
            return Settled(refusal="it has been delivered")
        case "available" | "executing":
            return Settled(refusal="it is on its way already")


def _cancelled(delivery: Delivery, now: datetime) -> Settled:
    if delivery.sop_uid:
        return Settled(refusal="it is an object: objects wait until the archive has them")
    match delivery.state:
        case "available" | "executing" | "retryable":
            return Settled(delivery=replace(delivery, state="cancelled", updated_at=now))
        case "delivered":
            return Settled(refusal="it has been delivered")
        case "dead":
            return Settled(refusal="it is dead: nothing more is sent unless it is retried")
        case "cancelled":
            return Settled(refusal="it has been cancelled already")
