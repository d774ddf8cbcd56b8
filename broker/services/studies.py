"""Objects that arrive: which order they belong to, where they go, when the study is complete (policies 6 and 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from broker.domain.events import Event, EventType
from broker.domain.linking import Candidate
from broker.domain.matching import match
from broker.domain.order import Order, Patient
from broker.domain.performed import PerformedStep
from broker.domain.records import Delivery
from broker.domain.study import Instance, ObjectFacts, Study, Verdict
from broker.ports import Changes, Clock, Held, Ids, Job, Key, Writer
from broker.services.overdue import OPEN_LIMIT, overdue
from broker.services.progress import Rules, progress, study_event
from broker.services.waiting import wait_at_most

QUIET_POLL = timedelta(seconds=30)
REFERENCES_KEPT = 200
"""Entries of Request Attributes Sequences that a study remembers; a scanner names a handful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of an arrived object; *is_new* is False for one that was here already, byte for byte."""

    is_new: bool


class QuietReader(Protocol):
    """The part of the store that tells what waits: for the end of a quiet time, for the end of an MPPS."""

    async def due_quiet(self, now: datetime) -> Sequence[str]:
        """Give the Study UIDs whose quiet time is over."""

    async def next_quiet_at(self) -> datetime | None:
        """Tell when the next quiet time is over."""

    async def open_performed(self, before: datetime) -> Sequence[str]:
        """Give the UIDs of MPPS that are in progress and of which nothing was heard since *before*."""


class ObjectCounters(Protocol):
    """What arriving objects are counted by."""

    def stored(self, ae: str, outcome: str, size: int) -> None:
        """Count one object: stored or repeated, and its bytes."""


class Studies:
    """The use cases of arriving objects."""

    def __init__(
        self, writer: Writer, reader: QuietReader, rules: Rules, clock: Clock, ids: Ids, counters: ObjectCounters
    ) -> None:
        self._counters = counters
        self._writer = writer
        self._reader = reader
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._waker = asyncio.Event()

    async def received(self, facts: ObjectFacts, instance: Instance) -> Kept:
        """Keep an object that is synced in the spool: match it, note what it tells, queue it for the archives."""
        now = self._clock()

        def decide(held: Held) -> Changes[Kept]:
            same = held.find(Instance, "sop", instance.sop_uid)
            if any(one.digest == instance.digest for one in same):
                return Changes(result=Kept(is_new=False))
            return self._keep(held, facts, instance, bool(same), now)

        kept = await self._writer.run(Job(keys=_keys(facts, instance), decide=decide))
        self._counters.stored(instance.ae, "stored" if kept.is_new else "repeated", instance.size)
        self._waker.set()
        return kept

    def _keep(
        self, held: Held, facts: ObjectFacts, instance: Instance, is_other_version: bool, now: datetime
    ) -> Changes[Kept]:
        found = held.find(Study, "uid", facts.study_uid)
        before = found[0] if found else None
        study, orders, events = self._match(held, facts, before, instance.ae, now)
        forwards = tuple(self._forward(instance, node, now) for node in self._rules.forward_to)
        instance = replace(instance, deliveries=tuple(row.id for row in forwards))
        series = study.series if facts.series_uid in study.series else (*study.series, facts.series_uid)
        study = replace(
            study,
            series=series,
            instances=study.instances + 1,
            pending=study.pending + len(forwards),
            last_at=now,
            state="arriving",
            completed_at=None,
            evidence="",
        )
        if is_other_version:
            text = "an object came again with other content: both are kept"
            events += self._about(held, "study.noted", text, study, now, study.order_ids)
        looked = progress(
            held,
            study,
            orders={order.id: order for order in orders},
            performed=(),
            rules=self._rules,
            now=now,
            ids=self._ids,
            arrived=instance.sop_uid,
        )
        saved = {order.id: order for order in (*orders, *looked.orders)}
        return Changes(
            save=(instance, looked.study, *saved.values(), *forwards),
            events=(*events, *looked.events),
            result=Kept(is_new=True),
        )

    def _match(
        self, held: Held, facts: ObjectFacts, before: Study | None, ae: str, now: datetime
    ) -> tuple[Study, list[Order], list[Event]]:
        """Give the study with its verdict, the orders that learn of it, and the events of a first object or verdict."""
        is_known_kind = (
            before is not None
            and before.verdict == "matched"
            and (before.patient, before.accession) == (facts.patient, facts.accession)
            and (not facts.performed_uid or facts.performed_uid in before.performed_uids)
            and set(before.references) >= set(facts.references)
        )
        if before is not None and is_known_kind:
            return before, [], []
        candidates = _candidates(held, facts)
        matched = match(facts, candidates)
        study = before or Study(
            uid=facts.study_uid,
            ae=ae,
            modality=facts.modality,
            accession=facts.accession,
            patient=facts.patient,
            first_at=now,
            last_at=now,
        )
        performed_uids = dict.fromkeys((*study.performed_uids, *([facts.performed_uid] if facts.performed_uid else [])))
        study = replace(
            study,
            verdict=_worse(before.verdict if before else None, matched.verdict),
            findings=tuple(dict.fromkeys((*study.findings, *matched.findings))),
            order_ids=tuple(dict.fromkeys((*study.order_ids, *matched.order_ids))),
            performed_uids=tuple(performed_uids),
            references=tuple(dict.fromkeys((*study.references, *facts.references)))[:REFERENCES_KEPT],
        )
        orders = [
            replace(one.order, study_uids=(*one.order.study_uids, study.uid))
            for one in candidates
            if one.order.id in matched.order_ids and study.uid not in one.order.study_uids
        ]
        return study, orders, self._first_events(held, study, before, now)

    def _first_events(self, held: Held, study: Study, before: Study | None, now: datetime) -> list[Event]:
        """Tell each order of its first object, and of a verdict that is new to it."""
        known = before.order_ids if before else ()
        joining = tuple(id for id in study.order_ids if id not in known)
        events: list[Event] = []
        if before is None or joining:
            events += self._about(held, "study.started", f"first object from {study.ae}", study, now, joining)
        if before is not None and before.verdict == study.verdict:
            return events
        if study.verdict == "unscheduled":
            events += self._about(
                held, "study.unscheduled", "no order fits this study; it is forwarded as it is", study, now
            )
        elif study.verdict == "mismatched":
            differing = ", ".join(f.attribute for f in study.findings if f.weight)
            text = f"the study does not fit its order: {differing}; it is forwarded as it is"
            events += self._about(held, "study.mismatched", text, study, now, study.order_ids)
        return events

    def _about(
        self, held: Held, kind: EventType, text: str, study: Study, now: datetime, order_ids: Sequence[str] = ()
    ) -> list[Event]:
        """Make the event for each of these orders, or for none when there are none."""
        events = []
        for id in order_ids or (None,):
            order = held.find(Order, "id", id)[0] if id else None
            patient = held.find(Patient, "ref", order.patient_ref)[0] if order else None
            events.append(
                study_event(
                    kind,
                    text,
                    study,
                    order,
                    patient,
                    at=now,
                    zone=self._rules.zone,
                    ids=self._ids,
                    is_alarm=kind != "study.started",
                )
            )
        return events

    def _forward(self, instance: Instance, node: str, now: datetime) -> Delivery:
        id = self._ids()
        return Delivery(
            id=id,
            destination=node,
            study_uid=instance.study_uid,
            sop_uid=instance.sop_uid,
            digest=instance.digest,
            lane=f"object {instance.sop_uid} {instance.digest}",
            control_id=id,
            not_before=now,
            created_at=now,
            updated_at=now,
        )

    async def look_again(self, study_uid: str) -> None:
        """Look whether a study is complete by now."""
        now = self._clock()

        def decide(held: Held) -> Changes[None]:
            found = held.find(Study, "uid", study_uid)
            if not found or found[0].completed_at is not None:
                return Changes(result=None)
            looked = progress(held, found[0], orders={}, performed=(), rules=self._rules, now=now, ids=self._ids)
            return Changes(save=(looked.study, *looked.orders), events=looked.events, result=None)

        await self._writer.run(Job(keys=((Study, ("uid", study_uid)),), decide=decide))

    async def watch_quiet_time(self) -> None:
        """Complete studies whose quiet time is over and alarm MPPS that nobody closes, for ever."""
        while True:
            self._waker.clear()
            await self.look_at_what_waits()
            next_at = await self._reader.next_quiet_at()
            wait = QUIET_POLL if next_at is None else min(QUIET_POLL, next_at - self._clock())
            await wait_at_most(max(0.02, wait.total_seconds()), self._waker)

    async def look_at_what_waits(self) -> None:
        """Complete what has been quiet long enough, alarm what has been open too long."""
        now = self._clock()
        for uid in await self._reader.due_quiet(now):
            await self.look_again(uid)
        for uid in await self._reader.open_performed(now - OPEN_LIMIT):
            await self._writer.run(overdue(uid, now, self._rules.zone, self._ids))


def _keys(facts: ObjectFacts, instance: Instance) -> tuple[Key, ...]:
    keys: list[Key] = [
        (Study, ("uid", facts.study_uid)),
        (Instance, ("sop", instance.sop_uid)),
        (Order, ("study", facts.study_uid)),
    ]
    if facts.accession:
        keys.append((Order, ("accession", facts.accession)))
    return tuple(keys)


def _candidates(held: Held, facts: ObjectFacts) -> list[Candidate]:
    """Gather the orders that the object may belong to, by every key that it carries."""
    keys: dict[tuple[str, ...], None] = {("study", facts.study_uid): None}
    for accession in (facts.accession, *(accession for _, _, accession in facts.references)):
        if accession:
            keys[("accession", accession)] = None
    for step_id, _procedure, _accession in facts.references:
        if step_id:
            keys[("step", step_id)] = None
    performed = held.find(PerformedStep, "uid", facts.performed_uid) if facts.performed_uid else ()
    for one in (*performed, *held.find(PerformedStep, "study", facts.study_uid)):
        keys.update((("id", order_id), None) for order_id in one.order_ids)
    orders = {order.id: order for key in keys for order in held.find(Order, *key)}
    return [
        Candidate(
            order=order,
            patient=held.find(Patient, "ref", order.patient_ref)[0],
            performed=held.find(PerformedStep, "order", order.id),
        )
        for order in orders.values()
    ]


def _worse(before: Verdict | None, now: Verdict) -> Verdict:
    """Keep a mismatch; else what the newest object says, unless it knows less."""
    if before == "mismatched" or (before == "matched" and now == "unscheduled"):
        return before
    return now
