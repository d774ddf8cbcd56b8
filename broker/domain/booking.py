"""The order book's decisions: what a message asks of an order, and what becomes of it (policies 3).

Pure: (order or none, request, now) -> order and remarks. Who the order is has been found before, see services.intake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from broker.domain.lifecycle import FINAL, NEXT, Happening, advance, order_status, with_steps
from broker.domain.naming import is_other, is_own_uid, settle
from broker.domain.order import Identity, Item, Order, Patient, Procedure, Step, StepStatus
from broker.domain.request import Decision, OrderRequest, PatientRequest, Remark, StepRequest
from broker.domain.wishes import say_status, wish

FORMER_KEPT = 20


def merge(stored: Item, said: Mapping[str, Any]) -> Item:
    """Merge what a message says into what is stored: None leaves, ``""`` empties (HL7 2.5.1 2.5.3.5)."""
    told = {keyword: value for keyword, value in said.items() if value is not None}
    return {**stored, **told} if stored else told


def update_patient(patient: Patient, request: PatientRequest) -> Patient:
    """Give *patient* with what the message says of it; an identity that is no longer true is remembered."""
    changed = replace(patient, attributes=merge(patient.attributes, request.attributes))
    if not patient.attributes or changed.identity == patient.identity:
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
            written = _book(request, new, now) if order is None else _change(order, request, now)
            return _with_status(written, request, now)
        case "cancel":
            return wish(order or new, request, Happening.CANCEL, now)
        case "hold":
            return wish(order or new, request, Happening.HOLD, now)
        case "release":
            return wish(order or new, request, Happening.RELEASE, now)
        case "status":
            return say_status(order or new, request, now)


def book_cancelled(request: OrderRequest, new: Order, now: datetime) -> Decision:
    """Book a new order whose cancel has come before it: kept, shown, and on nobody's worklist."""
    booked = _fill(new, request, now)
    steps = tuple(advance(step, Happening.CANCEL, now) or step for step in booked.steps)
    text = "its cancel came before it (the order is kept as cancelled; a new NW or XO reinstates it)"
    return Decision(order=with_steps(booked, steps, now), remarks=(Remark(type="order.cancelled", text=text),))


def _book(request: OrderRequest, new: Order, now: datetime) -> Decision:
    remarks = (Remark(type="order.scheduled", text="scheduled"), *_warn_unassigned(request))
    return Decision(order=_fill(new, request, now), remarks=remarks)


def _change(before: Order, request: OrderRequest, now: datetime) -> Decision:
    order, request = settle(before, request)
    remarks: list[Remark] = []
    mentioned = {said.key for said in request.steps if said.status is not StepStatus.CANCELED}
    reinstated = _reinstate(order, mentioned, now)
    if reinstated != order:
        order = reinstated
        remarks.append(Remark(type="order.reinstated", text="reinstated after its cancel"))
    filled = _fill(order, request, now)
    untouched = [s.step_id for s in order.steps if s.key in mentioned and Happening.UPDATE not in NEXT[s.status]]
    if untouched:
        text = f"change not applied to step {', '.join(untouched)}: it is {_words(order, untouched)}"
        remarks.append(Remark(type="order.noted", text=text))
    remarks += _other_study(order, request)
    if request.replaces_steps:
        filled, left = _left_out(filled, request, now)
        remarks += left
    if replace(filled, updated_at=before.updated_at) != before:
        remarks.append(Remark(type="order.updated", text="updated"))
    return Decision(order=filled, remarks=tuple(remarks))


def _left_out(order: Order, request: OrderRequest, now: datetime) -> tuple[Order, list[Remark]]:
    """Cancel the steps that a whole procedure's message leaves out, unless they have begun (policies 3.3)."""
    said = {step.key for step in request.steps}
    procedures = {step.procedure_id for step in request.steps}
    gone = [s for s in order.steps if s.procedure_id in procedures and s.key not in said and s.status not in FINAL]
    gone = [step for step in gone if not all(is_other(step, one) for one in request.steps)]
    after = {step.key: advance(step, Happening.CANCEL, now) for step in gone}
    cancelled = [step.step_id for step in gone if after[step.key] is not None]
    begun = [step.step_id for step in gone if after[step.key] is None]
    remarks = []
    if cancelled:
        text = f"step {', '.join(cancelled)} cancelled: the order names it no more"
        remarks.append(Remark(type="order.cancelled", text=text))
    if begun:
        text = f"step {', '.join(begun)} is named no more, and stays: it is {_words(order, begun)}"
        remarks.append(Remark(type="order.noted", text=text, is_alarm=True))
    return with_steps(order, tuple(after.get(step.key) or step for step in order.steps), now), remarks


def _other_study(order: Order, request: OrderRequest) -> list[Remark]:
    """Tell of Study UIDs that are not taken, since scanners may have the one that is kept (policies 2.5)."""
    kept = {p.procedure_id: p.study_uid for p in order.procedures}
    refused = {
        said.study_uid: kept[said.procedure_id]
        for said in request.steps
        if is_own_uid(said.study_uid) and kept.get(said.procedure_id, "") not in ("", said.study_uid)
    }
    text = "Study UID {} is not taken: the procedure has {}"
    return [Remark(type="order.noted", text=text.format(said, stored)) for said, stored in refused.items()]


def _reinstate(order: Order, mentioned: set[tuple[str, str]], now: datetime) -> Order:
    """Bring cancelled steps that are asked for again back, unless images have come (policies 3.2)."""
    if order.study_uids:
        return order
    steps = tuple((s.key in mentioned and advance(s, Happening.REINSTATE, now)) or s for s in order.steps)
    return order if steps == order.steps else replace(order, steps=steps, is_cancel_asked=False)


def _with_status(written: Decision, request: OrderRequest, now: datetime) -> Decision:
    """Apply the status that a change brings along (XO with ORC-5 CM)."""
    if all(said.status is None for said in request.steps):
        return written
    said = say_status(written.order, request, now)
    return Decision(order=said.order, remarks=(*written.remarks, *said.remarks))


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
    steps = {step.key: step for step in order.steps}
    for said in request.steps:
        stored = procedures.get(said.procedure_id)
        procedures[said.procedure_id] = Procedure(
            procedure_id=said.procedure_id,
            study_uid=(stored.study_uid if stored else "") or said.study_uid,
            attributes=merge(stored.attributes if stored else {}, said.procedure_attributes),
        )
        key = said.key
        step = steps.get(key) or Step(step_id=said.step_id, procedure_id=said.procedure_id)
        if Happening.UPDATE in NEXT[step.status]:
            steps[key] = _fill_step(step, said)
    filled = tuple(steps.values())
    return replace(
        order,
        accession=request.accession if request.is_accession_own or not order.accession else order.accession,
        accession_issuer=request.accession_issuer or order.accession_issuer,
        placer=order.placer or request.placer,
        filler=order.filler or request.filler,
        priority=order.priority if request.priority is None else request.priority,
        attributes=merge(order.attributes, request.attributes),
        procedures=tuple(procedures.values()),
        steps=filled,
        status=order_status(filled),
        updated_at=now,
    )


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
