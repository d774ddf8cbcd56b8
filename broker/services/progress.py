"""How far a study is: complete by evidence, available when every archive has it, and who is told (policies 7).

Pure: the rows come in, the rows and events go out; called by whatever touches a study inside its writing transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from broker.domain.completion import Completion, evaluate
from broker.domain.events import Event, EventType
from broker.domain.facts import snapshot
from broker.domain.lifecycle import Happening, advance, with_steps
from broker.domain.modalities import is_possible, quiet_period
from broker.domain.order import Order, Patient, Step
from broker.domain.performed import PerformedStep
from broker.domain.study import Instance, Study
from broker.ports import Held, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a site says of studies. *quiet*: one quiet period for all, else by modality; *forward_to*: node names.

    *is_holding*: whether studies of another patient than ordered wait for a person, at most *hold_max* from their first
    object; *holding_of* says it for single senders.
    """

    quiet: timedelta | None
    forward_to: tuple[str, ...]
    zone: tzinfo
    is_holding: bool = False
    holding_of: Mapping[str, bool] = field(default_factory=dict)
    hold_max: timedelta = timedelta(minutes=30)

    def holds(self, ae: str) -> bool:
        """Say whether a mismatched study of *ae* may be held."""
        return self.holding_of.get(ae, self.is_holding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A study and its orders after a look at them, and what is told."""

    study: Study
    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()


def progress(
    held: Held,
    study: Study,
    *,
    orders: Mapping[str, Order],
    performed: Sequence[PerformedStep],
    rules: Rules,
    now: datetime,
    ids: Ids,
    arrived: str = "",
) -> Progress:
    """Look whether *study* is complete and available at *now*.

    *orders* and *performed* are rows that this job has changed already, *arrived* is the SOP Instance UID of the object
    that it saves; what is missing is read from *held*.
    """
    if study.state == "rejected":
        return Progress(study=study)
    if study.awaited not in ("", arrived) and not held.find(Instance, "sop", study.awaited):
        return Progress(study=study)
    own = tuple(orders.get(id) or held.find(Order, "id", id)[0] for id in study.order_ids)
    known = _performed_of(held, study, own, performed)
    changed: tuple[Order, ...] = ()
    if study.completed_at is None:
        study = replace(study, awaited=_awaited(held, study, known, arrived))
        completion = _evaluate(study, own, known, rules, now)
        study = replace(study, quiet_at=completion.wait_until)
        if completion.is_complete:
            study = replace(study, completed_at=now, evidence=completion.evidence)
            if not _linked(known, own) and study.verdict == "matched":
                changed = _complete_without_mpps(study, own, now)
    own = tuple(next((c for c in changed if c.id == order.id), order) for order in own)
    events = [_event("procedure.completed", study, order, known, held, rules, now, ids) for order in changed]
    if study.completed_at is not None and study.pending == 0 and study.state in ("arriving", "released"):
        kind: EventType = "study.extended" if study.is_announced else "study.available"
        study = replace(study, state="available", is_announced=True)
        events.extend(_event(kind, study, one, known, held, rules, now, ids) for one in own or (None,))
    return Progress(study=study, orders=changed, events=tuple(events))


def _performed_of(
    held: Held, study: Study, orders: Sequence[Order], fresh: Sequence[PerformedStep]
) -> tuple[PerformedStep, ...]:
    """Gather the MPPS that speak of this study: by its UID, or by a step of its procedures."""
    found = {one.uid: one for one in held.find(PerformedStep, "study", study.uid)}
    for uid in study.performed_uids:
        found.update({one.uid: one for one in held.find(PerformedStep, "uid", uid)})
    keys = {(order.id, step.procedure_id, step.step_id) for order in orders for step in _steps(study, order)}
    for order in orders:
        for one in held.find(PerformedStep, "order", order.id):
            if keys & {(link.order_id, link.procedure_id, link.step_id) for link in one.links}:
                found[one.uid] = one
    fresh_by_uid = {one.uid: one for one in fresh}
    return tuple(fresh_by_uid.get(uid, one) for uid, one in found.items())


def _steps(study: Study, order: Order) -> tuple[Step, ...]:
    """Give the steps of the procedures with the study's UID; all of them when the scanner made a UID of its own."""
    procedures = {p.procedure_id for p in order.procedures if p.study_uid == study.uid}
    if procedures:
        return tuple(step for step in order.steps if step.procedure_id in procedures)
    return _named_steps(study, order) or order.steps


def _named_steps(study: Study, order: Order) -> tuple[Step, ...]:
    """Give the steps that the objects themselves name (0040,0275)."""
    named = {step_id for step_id, _, accession in study.references if step_id and accession in ("", order.accession)}
    return tuple(step for step in order.steps if step.step_id in named)


def _evaluate(
    study: Study, orders: Sequence[Order], performed: Sequence[PerformedStep], rules: Rules, now: datetime
) -> Completion:
    quiet = quiet_period(study.modality, rules.quiet)
    named = {uid for one in performed for uid in one.instances}
    steps = [step for order in orders for step in _steps(study, order)] if _linked(performed, orders) else []
    here = named - {study.awaited}
    completion = evaluate(study, performed, steps, here, quiet=quiet, now=now)
    if study.is_announced and completion.evidence == "mpps" and study.instances > len(named):
        return evaluate(study, (), steps, here, quiet=quiet, now=now)
    return completion


def _linked(performed: Sequence[PerformedStep], orders: Sequence[Order]) -> bool:
    """Say whether an MPPS tells which of these orders' steps were done; some scanners' name none, or another's."""
    own = {order.id for order in orders}
    return any(not own.isdisjoint(one.order_ids) for one in performed)


def _awaited(held: Held, study: Study, performed: Sequence[PerformedStep], arrived: str) -> str:
    """Find an object that the MPPS name and that is not here; ``""`` when all are, or an MPPS is open.

    The one whose UID sorts last when read backwards: a choice that no order of arrival favours, so that a study of
    n objects is gone through about log n times while it comes.
    """
    if not all(one.is_final for one in performed):
        return ""
    missing = {uid for one in performed for uid in one.instances} - {arrived}
    if missing:
        missing.difference_update(one.sop_uid for one in held.find(Instance, "study", study.uid))
    for uid in sorted(missing, key=lambda uid: uid[::-1], reverse=True):
        if not held.find(Instance, "sop", uid):
            return uid
    return ""


def _complete_without_mpps(study: Study, orders: Sequence[Order], now: datetime) -> tuple[Order, ...]:
    """Complete the steps that have evidently been done, though no MPPS names them."""
    changed = []
    for order in orders:
        own = [s for s in _steps(study, order) if is_possible(study.modality, (s.modality,))]
        own = [s for s in own if s in _named_steps(study, order)] or own
        steps = tuple((advance(s, Happening.COMPLETE, now) or s) if s in own else s for s in order.steps)
        if steps != order.steps:
            changed.append(with_steps(order, steps, now))
    return tuple(changed)


_TEXTS: Mapping[str, str] = {
    "procedure.completed": "completed, say the images: no MPPS names its step",
    "study.available": "study available",
    "study.extended": "study extended: more objects after its completion",
}


def _event(
    kind: EventType,
    study: Study,
    order: Order | None,
    performed: Sequence[PerformedStep],
    held: Held,
    rules: Rules,
    now: datetime,
    ids: Ids,
) -> Event:
    patient = held.find(Patient, "ref", order.patient_ref)[0] if order else None
    text = (
        f"{_TEXTS[kind]}: {len(study.series)} series, {study.instances} objects ({study.verdict}, by {study.evidence})"
    )
    return study_event(
        kind,
        text,
        study,
        order,
        patient,
        at=now,
        zone=rules.zone,
        ids=ids,
        performed=performed,
    )


def study_event(
    kind: EventType,
    text: str,
    study: Study,
    order: Order | None,
    patient: Patient | None,
    *,
    at: datetime,
    zone: tzinfo,
    ids: Ids,
    performed: Sequence[PerformedStep] = (),
    is_alarm: bool = False,
) -> Event:
    """Make an event about a study, for one of its orders or for none."""
    return Event(
        id=ids(),
        type=kind,
        at=at,
        text=text,
        order_id=order.id if order else "",
        patient_ref=patient.ref if patient else "",
        study_uid=study.uid,
        subject=(order.accession if order else "") or study.uid,
        is_alarm=is_alarm,
        facts=snapshot(at.astimezone(zone), order=order, patient=patient, study=study, performed=performed),
        ref={"study": study.uid},
    )
