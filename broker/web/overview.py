"""What the console's page shows, taken from the readers: the parts of the broker, alarms, today's orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from broker.domain.events import Event
from broker.domain.facts import code, text
from broker.domain.order import Order, Patient
from broker.domain.study import Study
from broker.errors import without_values
from broker.services.inspect import Inspection, Part
from broker.web.mask import person
from broker.web.moments import local_digits, read_local

ORDERS_SHOWN = 300
ALARMS_SHOWN = 20
HELD_SHOWN = 50
ALARMS_LAST = timedelta(hours=24)
_ENDED = ("completed", "discontinued", "cancelled")
_KINDS = {"order.noted": "order", "procedure.noted": "scanner", "study.noted": "study", "delivery.dead": "undelivered"}
WAITING = ("available", "executing", "retryable")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLine:
    """One part of the broker. Of a destination: how many deliveries wait, and how many were set aside."""

    part: Part
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLine:
    """An alarm without patient data; *kind* is what happened, in one or two words."""

    at: datetime
    kind: str
    text: str
    order_id: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLine:
    """A study that waits for a person, with the orders (id and accession number) that it does not fit."""

    study: Study
    patient: str
    orders: Sequence[tuple[str, str]]
    release_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """An order of today, its patient masked."""

    id: str
    accession: str
    patient: str
    procedure: str
    modality: str
    stations: str
    status: str
    start: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The page. *held_count*: all studies that are held, also those that it does not show; *is_cut*: more orders."""

    at: datetime
    parts: Sequence[PartLine]
    held: Sequence[HeldLine]
    held_count: int
    alarms: Sequence[AlarmLine]
    orders: Sequence[OrderLine]
    is_cut: bool

    @property
    def open_orders(self) -> Sequence[OrderLine]:
        """Give the orders that wait or are under way, by the time they are planned for."""
        found = [line for line in self.orders if line.status not in _ENDED]
        return sorted(found, key=lambda line: (line.start is None, line.start, line.accession))

    @property
    def ended_orders(self) -> Sequence[OrderLine]:
        """Give the orders that have ended, the latest first."""
        found = [line for line in self.orders if line.status in _ENDED]
        return sorted(found, key=lambda line: line.changed_at, reverse=True)

    @property
    def faults(self) -> Sequence[str]:
        """Say what does not work now, in words; nothing when all does."""
        down = [f"{line.part.name} does not answer" for line in self.parts if line.part.is_up is False]
        dead = [f"{line.part.name} has {line.dead} undelivered" for line in self.parts if line.dead]
        held = [f"{self.held_count} held for a decision"] if self.held_count else []
        return [*down, *dead, *held]


async def overview(inspection: Inspection, zone: tzinfo) -> Overview:
    """Look at everything once."""
    now = inspection.clock().astimezone(zone)
    counts = await inspection.deliveries.counts()
    alarms = [e for e in await inspection.alarms.alarms(ALARMS_SHOWN) if now - e.at < ALARMS_LAST]
    found, cursor = await inspection.orders.search(
        start_from=local_digits(datetime.combine(now.date(), time(), zone), zone),
        start_to=local_digits(datetime.combine(now.date(), time(23, 59, 59), zone), zone),
        limit=ORDERS_SHOWN,
    )
    held = await inspection.studies.in_state("held")
    return Overview(
        at=now,
        parts=[_part_line(part, counts.get(part.name, {})) for part in inspection.health.parts()],
        held=[await _held_line(inspection, study) for study in held[:HELD_SHOWN]],
        held_count=len(held),
        alarms=[_alarm_line(event, zone) for event in alarms],
        orders=[order_line(order, patient, zone) for order, patient in found],
        is_cut=bool(cursor),
    )


def order_line(order: Order, patient: Patient, zone: tzinfo) -> OrderLine:
    """Sum up an order; its start is that of its first step."""
    start = min((step.start for step in order.steps if step.start), default="")
    stations = dict.fromkeys(station for step in order.steps for station in step.stations)
    return OrderLine(
        id=order.id,
        accession=order.accession,
        patient=person(patient.name, patient.patient_id),
        procedure=_procedure(order),
        modality=", ".join(order.modalities),
        stations=", ".join(stations),
        status=str(order.status),
        start=read_local(start, zone),
        changed_at=order.updated_at,
    )


def _procedure(order: Order) -> str:
    for procedure in order.procedures:
        description = text(procedure.attributes, "RequestedProcedureDescription")
        meaning = code(procedure.attributes, "RequestedProcedureCodeSequence")[2]
        if description or meaning:
            return description or meaning
    return ""


def _part_line(part: Part, counts: Mapping[str, int]) -> PartLine:
    if part.kind != "destination":
        return PartLine(part=part)
    return PartLine(part=part, waiting=sum(counts.get(state, 0) for state in WAITING), dead=counts.get("dead", 0))


async def _held_line(inspection: Inspection, study: Study) -> HeldLine:
    found = [await inspection.orders.get(id) for id in study.order_ids]
    return HeldLine(
        study=study,
        patient=person(study.patient.name, study.patient.patient_id),
        orders=[(order.id, order.accession) for order in found if order],
        release_at=inspection.reconciliation.release_at(study),
    )


def _alarm_line(event: Event, zone: tzinfo) -> AlarmLine:
    return AlarmLine(
        at=event.at.astimezone(zone),
        kind=_KINDS.get(event.type, event.type.partition(".")[2].replace("_", " ")),
        text=without_values(event.text),
        order_id=event.order_id,
        subject=event.subject,
    )
