"""MPPS: what a scanner reports is kept as a fact and moves the steps that it performs (policies 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from broker.domain.events import Event, EventType
from broker.domain.facts import snapshot
from broker.domain.lifecycle import Happening, advance, with_steps
from broker.domain.linking import Candidate, is_named, link
from broker.domain.order import Order, Patient, Step
from broker.domain.performed import (
    Answer,
    CreateRequest,
    PerformedStep,
    SetRequest,
    StepKey,
    decide_create,
    decide_set,
)
from broker.domain.records import RawDataSet
from broker.domain.study import Instance, Study
from broker.ports import Changes, Clock, Held, Ids, Job, Key, Writer
from broker.services.progress import Rules, progress

WRONG_ENTRY = "110514"
"""Discontinuation reason (DCM, CID 9301): incorrect worklist entry selected."""


class PerformedCounters(Protocol):
    """What MPPS counts."""

    def performed(self, ae: str, message: str, status: int) -> None:
        """Count one N-CREATE or N-SET with the status that it was answered."""


class PerformedSteps:
    """The use cases N-CREATE and N-SET. *strict*: AE titles that are answered by the book."""

    def __init__(
        self,
        writer: Writer,
        rules: Rules,
        strict: frozenset[str],
        clock: Clock,
        ids: Ids,
        counters: PerformedCounters,
    ) -> None:
        self._counters = counters
        self._writer = writer
        self._rules = rules
        self._strict = strict
        self._clock = clock
        self._ids = ids

    async def create(self, request: CreateRequest, raw: bytes, transfer_syntax: str) -> Answer:
        """Keep a new performed step and start what it performs (PS3.4 F.7.2.1)."""
        now = self._clock()

        def decide(held: Held) -> Changes[Answer]:
            existing = next(iter(held.find(PerformedStep, "uid", request.uid)), None)
            answer = decide_create(existing, request, strict=request.ae in self._strict, now=now)
            if answer.performed is None or answer.is_repeat:
                return Changes(result=answer)
            performed = replace(answer.performed, links=link(answer.performed, _candidates(held, answer.performed)))
            kept = RawDataSet(uid=performed.uid, kind="create", at=now, transfer_syntax=transfer_syntax, content=raw)
            return self._move(held, performed, kept, answer, now)

        return await self._run(Job(keys=_keys(request.uid), decide=decide), request.ae, "N-CREATE")

    async def set(self, request: SetRequest, raw: bytes, transfer_syntax: str) -> Answer:
        """Keep what an N-SET changes; a final status ends the steps (PS3.4 F.7.2.2)."""
        now = self._clock()

        def decide(held: Held) -> Changes[Answer]:
            existing = next(iter(held.find(PerformedStep, "uid", request.uid)), None)
            answer = decide_set(existing, request, strict=request.ae in self._strict, now=now)
            if answer.performed is None or answer.is_repeat:
                return Changes(result=answer)
            kept = RawDataSet(uid=request.uid, kind="set", at=now, transfer_syntax=transfer_syntax, content=raw)
            return self._move(held, answer.performed, kept, answer, now)

        return await self._run(Job(keys=_keys(request.uid), decide=decide), request.ae, "N-SET")

    async def _run(self, job: Job[Answer], ae: str, message: str) -> Answer:
        answer = await self._writer.run(job)
        self._counters.performed(ae, message, answer.status)
        return answer

    def _move(
        self, held: Held, performed: PerformedStep, raw: RawDataSet, answer: Answer, now: datetime
    ) -> Changes[Answer]:
        """Move the linked steps, tell of it, and look whether a study is complete by this."""
        is_news = raw.kind == "create" or performed.is_final
        happening = _happening(held, performed)
        orders: dict[str, Order] = {}
        events: list[Event] = []
        for order_id in performed.order_ids:
            order = held.find(Order, "id", order_id)[0]
            links = [one for one in performed.links if one.order_id == order_id]
            after, stuck = _advance(held, order, links, performed, happening, now)
            orders[order_id] = after
            if is_news:
                events.append(self._event(held, performed, after, links[0], stuck, happening, now))
        if is_news and not performed.links:
            events.append(self._event(held, performed, None, None, (), happening, now))
        events.extend(self._faults(held, performed, answer, now))
        changed = {id: order for id, order in orders.items() if order != held.find(Order, "id", id)[0]}
        studies: list[Study] = []
        for study in _studies(held, performed, orders.values()):
            if not performed.is_final:
                studies.extend(_opened_again(study))
                continue
            looked = progress(
                held,
                study,
                orders=orders,
                performed=(performed,),
                rules=self._rules,
                now=now,
                ids=self._ids,
            )
            studies.append(looked.study)
            changed.update({order.id: order for order in looked.orders})
            events.extend(looked.events)
        return Changes(save=(performed, raw, *changed.values(), *studies), events=tuple(events), result=answer)

    def _event(
        self,
        held: Held,
        performed: PerformedStep,
        order: Order | None,
        key: StepKey | None,
        stuck: Sequence[Step],
        happening: Happening,
        now: datetime,
    ) -> Event:
        step = next((s for s in order.steps if key and _key(order, s) == key), None) if order else None
        patient = held.find(Patient, "ref", order.patient_ref)[0] if order else None
        study_uid = next((r.study_uid for r in performed.references if r.study_uid), "")
        kind, text = _TOLD[happening]
        text = f"MPPS {performed.status} from {performed.ae}: {text}"
        if performed.discontinuation_code == WRONG_ENTRY:
            text += "; the wrong worklist entry had been selected"
        if order is None:
            text += "; no scheduled step fits (unscheduled)"
        if stuck:
            text += f"; step {', '.join(s.step_id for s in stuck)} stays {stuck[0].status}"
        return Event(
            id=self._ids(),
            type=kind,
            at=now,
            text=text,
            order_id=order.id if order else "",
            patient_ref=patient.ref if patient else "",
            study_uid="" if order else study_uid,
            subject=(order.accession if order else "") or study_uid,
            is_alarm=order is None or bool(stuck),
            facts=snapshot(
                now.astimezone(self._rules.zone),
                order=order,
                patient=patient,
                study=_study_of(held, order, step),
                performed=(performed,),
                step=step,
            ),
            ref={"performed": performed.uid},
        )

    def _faults(self, held: Held, performed: PerformedStep, answer: Answer, now: datetime) -> list[Event]:
        """Note what was wrong with an accepted request in the order's history."""
        if not answer.faults:
            return []
        order = held.find(Order, "id", performed.order_ids[0])[0] if performed.links else None
        return [
            Event(
                id=self._ids(),
                type="procedure.noted",
                at=now,
                text=f"MPPS from {performed.ae} accepted with faults: {'; '.join(answer.faults)}",
                order_id=order.id if order else "",
                patient_ref=order.patient_ref if order else "",
                subject=order.accession if order else "",
                ref={"performed": performed.uid},
            )
        ]


_TOLD: Mapping[Happening, tuple[EventType, str]] = {
    Happening.START: ("procedure.started", "started"),
    Happening.COMPLETE: ("procedure.completed", "completed"),
    Happening.DISCONTINUE: ("procedure.discontinued", "discontinued with objects; it waits for a decision"),
    Happening.ABANDON: ("procedure.discontinued", "discontinued without objects; the step is scheduled again"),
}


def _happening(held: Held, performed: PerformedStep) -> Happening:
    if performed.status == "COMPLETED":
        return Happening.COMPLETE
    if performed.status != "DISCONTINUED":
        return Happening.START
    studies = {r.study_uid for r in performed.references if r.study_uid}
    has_objects = performed.instances or any(
        study.ae == performed.ae for uid in studies for study in held.find(Study, "uid", uid)
    )
    return Happening.DISCONTINUE if has_objects else Happening.ABANDON


def _key(order: Order, step: Step) -> StepKey:
    return StepKey(order_id=order.id, procedure_id=step.procedure_id, step_id=step.step_id)


def _advance(
    held: Held,
    order: Order,
    links: Sequence[StepKey],
    performed: PerformedStep,
    happening: Happening,
    now: datetime,
) -> tuple[Order, tuple[Step, ...]]:
    """Move the linked steps of one order; give those that the table leaves where they are (and it is alarmed).

    A step that another MPPS still performs stays STARTED.
    """
    running = {
        one_link
        for one in held.find(PerformedStep, "order", order.id)
        if one.uid != performed.uid and not one.is_final
        for one_link in one.links
    }
    steps: list[Step] = []
    stuck: list[Step] = []
    for step in order.steps:
        key = _key(order, step)
        if key not in links or (performed.is_final and key in running):
            steps.append(step)
            continue
        after = advance(step, happening, now)
        if after is None and not _is_same(step, happening):
            stuck.append(step)
        steps.append(after or step)
    moved = tuple(steps)
    return (order if moved == order.steps else with_steps(order, moved, now)), tuple(stuck)


def _opened_again(study: Study) -> tuple[Study, ...]:
    """Give the study without its completion, when an MPPS is open and nobody has been told that it is complete."""
    if study.completed_at is None or study.state in ("available", "rejected"):
        return ()
    return (replace(study, completed_at=None, evidence="", quiet_at=None),)


def _study_of(held: Held, order: Order | None, step: Step | None) -> Study | None:
    """Find what has arrived of the study of *step*."""
    procedure = order.procedure(step.procedure_id) if order and step else None
    found = held.find(Study, "uid", procedure.study_uid) if procedure and procedure.study_uid else ()
    return found[0] if found else None


def _is_same(step: Step, happening: Happening) -> bool:
    """Say whether the step is already where the happening would take it."""
    return (happening, str(step.status)) in (
        (Happening.COMPLETE, "COMPLETED"),
        (Happening.DISCONTINUE, "DISCONTINUED"),
    )


def _keys(uid: str) -> tuple[Key, ...]:
    return ((PerformedStep, ("uid", uid)),)


def _candidates(held: Held, performed: PerformedStep) -> list[Candidate]:
    """Gather the orders that the references may mean."""
    orders: dict[str, Order] = {}
    for reference in performed.references:
        of_study = held.find(Order, "study", reference.study_uid) if reference.study_uid else ()
        orders.update((order.id, order) for order in of_study)
        if any(is_named(reference, order) for order in of_study):
            continue
        for kind, value in (("step", reference.step_id), ("accession", reference.accession)):
            if value:
                orders.update((order.id, order) for order in held.find(Order, kind, value))
    return [
        Candidate(order=order, patient=held.find(Patient, "ref", order.patient_ref)[0]) for order in orders.values()
    ]


def _studies(held: Held, performed: PerformedStep, orders: Iterable[Order]) -> list[Study]:
    """Find the studies that the MPPS may complete: those of its steps, and that of an object which it names."""
    uids = dict.fromkeys(r.study_uid for r in performed.references if r.study_uid)
    for order in orders:
        uids.update(dict.fromkeys((*order.study_uids, *(p.study_uid for p in order.procedures))))
    for sop_uid in performed.instances[:1]:
        uids.update(dict.fromkeys(one.study_uid for one in held.find(Instance, "sop", sop_uid)))
    return [study for uid in uids if uid for study in held.find(Study, "uid", uid)]
