"""Studies that wait for a person: released, rejected or linked to an order by hand, and released when nobody decides.

A study is held when it is of another patient than ordered (policies 6.1); none of its objects leaves meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from broker.domain.events import Event
from broker.domain.linking import Candidate
from broker.domain.matching import differences, is_urgent
from broker.domain.order import Order, Patient
from broker.domain.study import Instance, ObjectFacts, Study
from broker.ports import Changes, Clock, Held, Ids, Job, Writer
from broker.services.outgoing import queue
from broker.services.progress import Rules, progress
from broker.services.recognition import about
from broker.services.waiting import wait_at_most

log = structlog.get_logger()

POLL = timedelta(seconds=30)


class HeldReader(Protocol):
    """The part of the store that knows which studies are held."""

    async def in_state(self, state: str) -> Sequence[Study]:
        """Give all studies in *state*."""


class HoldGauge(Protocol):
    """Shows how many studies are held."""

    def held(self, count: int) -> None:
        """Show the number of studies that are held now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a decision: the study after it, or why it was refused; neither: there is no such study."""

    study: Study | None = None
    refusal: str = ""


class Reconciliation:
    """The use cases of held and of wrongly matched studies. *set_aside* moves the files of a study out of the way."""

    def __init__(
        self,
        writer: Writer,
        reader: HeldReader,
        rules: Rules,
        set_aside: Callable[[str], Awaitable[None]],
        clock: Clock,
        ids: Ids,
        gauge: HoldGauge,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._rules = rules
        self._set_aside = set_aside
        self._clock = clock
        self._ids = ids
        self._gauge = gauge
        self._waker = asyncio.Event()

    def release_at(self, study: Study) -> datetime | None:
        """Tell when a held study is released if nobody decides."""
        return study.first_at + self._rules.hold_max if study.state == "held" else None

    def wake(self) -> None:
        """Look at what is held: something is new."""
        self._waker.set()

    async def release(self, study_uid: str, by: str) -> Decided:
        """Let a held study go as it is; *by* is who says so."""

        def wish(held: Held, study: Study, now: datetime) -> Changes[Decided] | str:
            if study.state != "held":
                return f"it is {study.state}, not held"
            return self._let_go(held, study, f"released by {by}", now, is_alarm=False)

        return await self._decide(study_uid, wish, "study.released", by)

    async def reject(self, study_uid: str, by: str) -> Decided:
        """Keep a held study from the archives for good; its files stay in the spool, set aside."""

        def wish(held: Held, study: Study, now: datetime) -> Changes[Decided] | str:
            if study.state != "held":
                return f"it is {study.state}, not held"
            study = replace(study, state="rejected", decided_at=now, quiet_at=None)
            text = f"rejected by {by}: its {study.instances} objects are kept in the spool, set aside"
            events = about(
                held,
                "study.rejected",
                text,
                study,
                study.order_ids,
                rules=self._rules,
                now=now,
                ids=self._ids,
                is_alarm=False,
            )
            return Changes(save=(study,), events=events, result=Decided(study=study))

        decided = await self._decide(study_uid, wish, "study.rejected", by)
        if decided.study is not None:
            await self._set_aside(study_uid)
        return decided

    async def link(self, study_uid: str, order_id: str, by: str) -> Decided:
        """Say by hand that a study is that of an order: it counts as matched, and a held one goes."""

        def wish(held: Held, study: Study, now: datetime) -> Changes[Decided] | str:
            orders = held.find(Order, "id", order_id)
            if not orders:
                return "there is no such order"
            if study.state == "rejected":
                return "it was rejected"
            if study.order_ids == (order_id,) and study.verdict == "matched":
                return "it is of that order already"
            return self._linked(held, study, orders[0], by, now)

        return await self._decide(study_uid, wish, "study.linked", by)

    async def set_aside_rejected(self) -> None:
        """Set aside what was rejected when the process ended before it could."""
        for study in await self._reader.in_state("rejected"):
            await self._set_aside(study.uid)

    async def watch(self) -> None:
        """Release what nobody decides in time, for ever, and show how many wait."""
        while True:
            self._waker.clear()
            due = await self.look_at_held()
            await wait_at_most(max(0.02, min(POLL, due - self._clock()).total_seconds()), self._waker)

    async def look_at_held(self) -> datetime:
        """Release what has been held long enough or has become urgent; tell when the next one is due."""
        due = self._clock() + POLL
        count = 0
        for study in await self._reader.in_state("held"):
            if not await self._writer.run(self._review(study.uid)):
                count += 1
                due = min(due, self.release_at(study) or due)
        self._gauge.held(count)
        return due

    async def _decide(
        self,
        study_uid: str,
        wish: Callable[[Held, Study, datetime], Changes[Decided] | str],
        done: str,
        by: str,
    ) -> Decided:
        now = self._clock()

        def decide(held: Held) -> Changes[Decided]:
            found = held.find(Study, "uid", study_uid)
            wished = wish(held, found[0], now) if found else Changes(result=Decided())
            return Changes(result=Decided(refusal=wished)) if isinstance(wished, str) else wished

        keys = ((Study, ("uid", study_uid)), (Instance, ("study", study_uid)))
        decided = await self._writer.run(Job(keys=keys, decide=decide, is_large=True))
        if decided.study is not None:
            log.info(done, study_uid=study_uid, user=by)
            self.wake()
        return decided

    def _review(self, study_uid: str) -> Job[bool]:
        now = self._clock()

        def decide(held: Held) -> Changes[bool]:
            study = held.find(Study, "uid", study_uid)[0]
            if study.state != "held":
                return Changes(result=True)
            minutes = self._rules.hold_max.total_seconds() / 60
            if any(is_urgent(order) for id in study.order_ids for order in held.find(Order, "id", id)):
                text = "released by itself: its order is urgent"
            elif now >= study.first_at + self._rules.hold_max:
                text = f"released by itself: nobody decided within {minutes:g} min"
            else:
                return Changes(result=False)
            changes = self._let_go(held, study, text, now, is_alarm=True)
            return Changes(save=changes.save, events=changes.events, result=True)

        keys = ((Study, ("uid", study_uid)), (Instance, ("study", study_uid)))
        return Job(keys=keys, decide=decide, is_large=True)

    def _let_go(
        self,
        held: Held,
        study: Study,
        text: str,
        now: datetime,
        *,
        is_alarm: bool,
        orders: Mapping[str, Order] | None = None,
    ) -> Changes[Decided]:
        """Queue all objects of a held study; *orders* are those that this job has changed."""
        waiting = [one for one in held.find(Instance, "study", study.uid) if one.path and not one.deliveries]
        queued = [queue(one, self._rules.forward_to, now, self._ids) for one in waiting]
        rows = [row for _, added in queued for row in added]
        study = replace(study, state="released", decided_at=now, pending=study.pending + len(rows))
        events = about(
            held,
            "study.released",
            f"{text}; it leaves with its findings" if study.verdict == "mismatched" else text,
            study,
            study.order_ids,
            rules=self._rules,
            now=now,
            ids=self._ids,
            is_alarm=is_alarm,
        )
        changes = self._with_progress(held, study, orders or {}, events, now)
        return replace(changes, save=(*changes.save, *(one for one, _ in queued), *rows))

    def _linked(self, held: Held, study: Study, order: Order, by: str, now: datetime) -> Changes[Decided]:
        """Give *study* to *order* alone: it counts as matched, and is announced to it once it is complete."""
        name = order.accession or order.id
        others = [held.find(Order, "id", id)[0] for id in study.order_ids if id != order.id]
        changed = {one.id: _without(one, study.uid) for one in others}
        changed[order.id] = _with(order, study.uid)
        patient = held.find(Patient, "ref", order.patient_ref)[0]
        study = replace(
            study,
            order_ids=(order.id,),
            verdict="matched",
            findings=differences(_facts(study), Candidate(order=order, patient=patient)),
            linked_by=by,
            completed_at=None,
            evidence="",
            is_announced=False,
            state="arriving" if study.state == "available" else study.state,
        )
        told = {order.id: f"linked to this order by {by}"}
        told.update((one.id, f"linked to {name} by {by}: it is not of this order any more") for one in others)
        events = tuple(
            event
            for id, text in told.items()
            for event in about(
                held,
                "study.noted",
                text,
                study,
                (id,),
                rules=self._rules,
                now=now,
                ids=self._ids,
                is_alarm=False,
            )
        )
        if study.state != "held":
            return self._with_progress(held, study, changed, events, now)
        released = self._let_go(held, study, f"released by {by} with its order", now, is_alarm=False, orders=changed)
        return replace(released, events=(*events, *released.events))

    def _with_progress(
        self, held: Held, study: Study, orders: Mapping[str, Order], events: tuple[Event, ...], now: datetime
    ) -> Changes[Decided]:
        looked = progress(held, study, orders=orders, performed=(), rules=self._rules, now=now, ids=self._ids)
        saved = {**orders, **{order.id: order for order in looked.orders}}
        return Changes(
            save=(looked.study, *saved.values()),
            events=(*events, *looked.events),
            result=Decided(study=looked.study),
        )


def _with(order: Order, study_uid: str) -> Order:
    return replace(order, study_uids=tuple(dict.fromkeys((*order.study_uids, study_uid))))


def _without(order: Order, study_uid: str) -> Order:
    return replace(order, study_uids=tuple(uid for uid in order.study_uids if uid != study_uid))


def _facts(study: Study) -> ObjectFacts:
    """Give what the objects of *study* say of their patient and order."""
    return ObjectFacts(
        sop_class="",
        sop_uid="",
        study_uid=study.uid,
        series_uid="",
        modality=study.modality,
        accession=study.accession,
        patient=study.patient,
    )
