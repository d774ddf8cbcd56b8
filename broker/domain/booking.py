"""The order book's decisions: what a message asks of an order, and what becomes of it (policies 3).

Pure: (order or none, request, now) -> order and remarks. Who the order is has been found before, see services.intake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from broker.domain.events import EventType
from broker.domain.lifecycle import FINAL, Happening, advance, with_steps
from broker.domain.order import Identity, Item, Number, Order, Patient, Procedure, Step, StepStatus

Action = Literal["create", "update", "cancel", "hold", "release", "status"]

FORMER_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """What a message says of one step. None: it says nothing; ``""`` and ``()``: it empties."""

    step_id: str
    procedure_id: str
    study_uid: str = ""
    modality: str | None = None
    stations: tuple[str, ...] | None = None
    start: str | None = None
    is_start_known: bool = True
    status: StepStatus | None = None
    placer: Number | None = None
    filler: Number | None = None
    attributes: Item = field(default_factory=dict)
    procedure_attributes: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRequest:
    """The patient that a message names; attributes with value None are not mentioned."""

    patient_id: str
    issuer: str = ""
    attributes: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What one message asks of one order; its groups have been brought together (one StepRequest a group)."""

    action: Action
    control: str
    facility: str
    placer: Number | None = None
    filler: Number | None = None
    accession: str = ""
    accession_issuer: str = ""
    priority: str | None = None
    patient: PatientRequest | None = None
    attributes: Item = field(default_factory=dict)
    steps: tuple[StepRequest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that happened to an order: becomes an event."""

    type: EventType
    text: str
    is_alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The order after a request, and what is to be told."""

    order: Order
    remarks: tuple[Remark, ...] = ()


def merge(stored: Item, said: Mapping[str, Any]) -> Item:
    """Merge what a message says into what is stored: None leaves, ``""`` empties (HL7 2.5.1 2.5.3.5)."""
    return {**stored, **{keyword: value for keyword, value in said.items() if value is not None}}


def update_patient(patient: Patient, request: PatientRequest) -> Patient:
    """Give *patient* with what the message says of it; an identity that is no longer true is remembered."""
    changed = replace(patient, attributes=merge(patient.attributes, request.attributes))
    if changed.identity == patient.identity:
        return changed
    former = tuple(f for f in patient.former if f != patient.identity)
    return replace(changed, former=(*former, patient.identity)[-FORMER_KEPT:])


def is_same_patient(patient: Patient, request: PatientRequest) -> bool:
    """Say whether a message's PID may mean *patient*: same number, now or before, and no contradicting issuer."""
    known = (Identity(patient_id=patient.patient_id, issuer=patient.issuer), *patient.former)
    return any(
        identity.patient_id == request.patient_id
        and (not identity.issuer or not request.issuer or identity.issuer == request.issuer)
        for identity in known
    )


def decide(order: Order | None, request: OrderRequest, new: Order, now: datetime) -> Decision:
    """Decide what *request* makes of *order*; *new* is the empty order to fill when there is none yet."""
    match request.action:
        case "create" | "update":
            return _write(order, request, new, now)
        case "cancel":
            return _wish(order or new, request, Happening.CANCEL, now)
        case "hold":
            return _wish(order or new, request, Happening.HOLD, now)
        case "release":
            return _wish(order or new, request, Happening.RELEASE, now)
        case "status":
            return _status(order or new, request, now)


def book_cancelled(request: OrderRequest, new: Order, now: datetime) -> Decision:
    """Book a new order whose cancel has come before it: kept, shown, and on nobody's worklist."""
    booked = _fill(new, request, now)
    steps = tuple(advance(step, Happening.CANCEL, now) or step for step in booked.steps)
    text = "its cancel came before it (the order is kept as cancelled; a new NW or XO reinstates it)"
    return Decision(order=with_steps(booked, steps, now), remarks=(Remark(type="order.cancelled", text=text),))


def _write(order: Order | None, request: OrderRequest, new: Order, now: datetime) -> Decision:
    if order is None:
        return Decision(
            order=_fill(new, request, now),
            remarks=(Remark(type="order.scheduled", text="scheduled"), *_warn_unassigned(request)),
        )
    remarks: list[Remark] = []
    before = order
    if order.steps and all(s.status is StepStatus.CANCELED for s in order.steps) and not order.study_uids:
        mentioned = {(s.procedure_id, s.step_id) for s in request.steps}
        steps = tuple(
            (advance(s, Happening.REINSTATE, now) or s) if (s.procedure_id, s.step_id) in mentioned else s
            for s in order.steps
        )
        order = replace(order, steps=steps, is_cancel_asked=False)
        remarks.append(Remark(type="order.reinstated", text="reinstated after its cancel"))
    filled = _fill(order, request, now)
    untouched = [
        s.step_id
        for s in order.steps
        if (s.procedure_id, s.step_id) in {(r.procedure_id, r.step_id) for r in request.steps}
        and advance(s, Happening.UPDATE, now) is None
    ]
    if untouched:
        text = f"change not applied to step {', '.join(untouched)}: it is {_words(order, untouched)}"
        remarks.append(Remark(type="order.noted", text=text))
    if replace(filled, updated_at=before.updated_at) != before:
        remarks.append(Remark(type="order.updated", text="updated"))
    return Decision(order=filled, remarks=tuple(remarks))


def _words(order: Order, step_ids: list[str]) -> str:
    return ", ".join(dict.fromkeys(str(s.status) for s in order.steps if s.step_id in step_ids))


def _warn_unassigned(request: OrderRequest) -> tuple[Remark, ...]:
    lost = [s.step_id for s in request.steps if not s.stations and not s.modality]
    if not lost:
        return ()
    text = f"step {', '.join(lost)} has neither station nor modality: no scanner sees it"
    return (Remark(type="order.noted", text=text, is_alarm=True),)


def _fill(order: Order, request: OrderRequest, now: datetime) -> Order:
    """Write what the request says into the order; steps that it does not mention stay (additive)."""
    procedures = {p.procedure_id: p for p in order.procedures}
    steps = {(s.procedure_id, s.step_id): s for s in order.steps}
    for said in request.steps:
        stored = procedures.get(said.procedure_id)
        procedures[said.procedure_id] = Procedure(
            procedure_id=said.procedure_id,
            study_uid=(stored.study_uid if stored else "") or said.study_uid,
            attributes=merge(stored.attributes if stored else {}, said.procedure_attributes),
        )
        key = (said.procedure_id, said.step_id)
        step = steps.get(key) or Step(step_id=said.step_id, procedure_id=said.procedure_id)
        if advance(step, Happening.UPDATE, now) is not None:
            steps[key] = _fill_step(step, said)
    filled = replace(
        order,
        accession=request.accession or order.accession,
        accession_issuer=request.accession_issuer or order.accession_issuer,
        placer=order.placer or request.placer,
        filler=order.filler or request.filler,
        priority=order.priority if request.priority is None else request.priority,
        attributes=merge(order.attributes, request.attributes),
        procedures=tuple(procedures.values()),
    )
    return with_steps(filled, tuple(steps.values()), now)


def _fill_step(step: Step, said: StepRequest) -> Step:
    is_start_said = said.start is not None and (said.is_start_known or not step.start)
    return replace(
        step,
        modality=step.modality if said.modality is None else said.modality,
        stations=step.stations if said.stations is None else said.stations,
        start=said.start if is_start_said and said.start is not None else step.start,
        is_start_known=said.is_start_known if is_start_said else step.is_start_known,
        placer=said.placer or step.placer,
        filler=said.filler or step.filler,
        attributes=merge(step.attributes, said.attributes),
    )


def _targets(order: Order, request: OrderRequest) -> set[tuple[str, str]]:
    """Which steps a cancel, hold or release means: those it names, else those of its number, else all."""
    named = {(s.procedure_id, s.step_id) for s in request.steps}
    known = {(s.procedure_id, s.step_id) for s in order.steps}
    if named & known:
        return named & known
    by_number = {
        (s.procedure_id, s.step_id)
        for s in order.steps
        if (request.filler and s.filler == request.filler) or (request.placer and s.placer == request.placer)
    }
    return by_number or known


_DONE: Mapping[Happening, tuple[EventType, str]] = {
    Happening.CANCEL: ("order.cancelled", "cancelled"),
    Happening.HOLD: ("order.held", "on hold"),
    Happening.RELEASE: ("order.released", "released"),
}


def _wish(order: Order, request: OrderRequest, happening: Happening, now: datetime) -> Decision:
    targets = _targets(order, request)
    steps: list[Step] = []
    refused: list[Step] = []
    for step in order.steps:
        wanted = (step.procedure_id, step.step_id) in targets
        after = advance(step, happening, now) if wanted else step
        if after is None and step.status is not StepStatus.CANCELED:
            refused.append(step)
        steps.append(after or step)
    changed = with_steps(order, tuple(steps), now)
    remarks = []
    if changed.steps != order.steps:
        kind, text = _DONE[happening]
        part = "" if len(targets) == len(order.steps) else f" (step {', '.join(sorted(t[1] for t in targets))})"
        remarks.append(Remark(type=kind, text=text + part))
    if refused:
        names = ", ".join(s.step_id for s in refused)
        text = f"{request.control or happening} has no effect: step {names} is {refused[0].status}"
        if happening is Happening.CANCEL:
            is_running = any(s.status is StepStatus.STARTED for s in refused)
            changed = replace(changed, is_cancel_asked=True)
            text = ("cancel asked while running: " if is_running else "cancel asked after the end: ") + text
            remarks.append(Remark(type="order.cancel_asked", text=text, is_alarm=True))
        else:
            remarks.append(Remark(type="order.noted", text=text))
    return Decision(order=changed, remarks=tuple(remarks))


_BY_STATUS: Mapping[StepStatus, tuple[Happening, EventType, str]] = {
    StepStatus.STARTED: (Happening.START, "procedure.started", "started, says the sender"),
    StepStatus.COMPLETED: (Happening.COMPLETE, "procedure.completed", "completed, says the sender"),
    StepStatus.DISCONTINUED: (Happening.DISCONTINUE, "procedure.discontinued", "discontinued, says the sender"),
    StepStatus.CANCELED: (Happening.CANCEL, "order.cancelled", "cancelled, says the sender"),
    StepStatus.ON_HOLD: (Happening.HOLD, "order.held", "on hold, says the sender"),
    StepStatus.ARRIVED: (Happening.ARRIVE, "order.updated", "arrived"),
}


def _status(order: Order, request: OrderRequest, now: datetime) -> Decision:
    """Apply a status message (SC): it may move a step on, never back."""
    said = next((s.status for s in request.steps if s.status is not None), None)
    if said is None or said not in _BY_STATUS:
        text = f"{request.control} without a status that changes anything"
        return Decision(order=order, remarks=(Remark(type="order.noted", text=text),))
    happening, kind, text = _BY_STATUS[said]
    targets = _targets(order, request)
    after = {
        (s.procedure_id, s.step_id): advance(s, happening, now)
        for s in order.steps
        if (s.procedure_id, s.step_id) in targets and s.status not in FINAL
    }
    steps = tuple(after.get((s.procedure_id, s.step_id)) or s for s in order.steps)
    if steps == order.steps:
        text = f"{request.control} {said} has no effect: the order is {order.status}"
        return Decision(order=order, remarks=(Remark(type="order.noted", text=text),))
    return Decision(order=with_steps(order, steps, now), remarks=(Remark(type=kind, text=text),))
