"""Objects that arrive: which order they belong to, where they go, when the study is complete (policies 6 and 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from broker.domain.events import Event
from broker.domain.order import Order
from broker.domain.study import Instance, ObjectFacts, Study
from broker.ports import Changes, Clock, Held, Ids, Job, Key, Writer
from broker.services.outgoing import queue
from broker.services.overdue import overdue
from broker.services.progress import Rules, progress
from broker.services.recognition import about, recognize
from broker.services.waiting import wait_at_most

log = structlog.get_logger()

QUIET_POLL = timedelta(seconds=30)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of an arrived object; *is_new* is False for one that was here already, byte for byte.

    *is_hold*: its study is held from now on. *is_rejected*: its study was rejected, so its file is to be set aside.
    *quiet_at*: when its study has been quiet long enough, if nothing else comes.
    """

    is_new: bool
    is_hold: bool = False
    is_rejected: bool = False
    quiet_at: datetime | None = None


class QuietReader(Protocol):
    """The part of the store that tells what waits: for the end of a quiet time, for an MPPS or what it names."""

    async def due_quiet(self, now: datetime) -> Sequence[str]:
        """Give the Study UIDs whose quiet time is over."""

    async def next_quiet_at(self) -> datetime | None:
        """Tell when the next quiet time is over."""

    async def due_performed(self, now: datetime) -> Sequence[str]:
        """Give the UIDs of MPPS that are to be looked at."""


class ObjectCounters(Protocol):
    """What arriving objects are counted by."""

    def stored(self, ae: str, outcome: str, size: int) -> None:
        """Count one object: stored or repeated, and its bytes."""


class Studies:
    """The use cases of arriving objects."""

    def __init__(
        self,
        writer: Writer,
        reader: QuietReader,
        rules: Rules,
        clock: Clock,
        ids: Ids,
        counters: ObjectCounters,
        on_hold: Callable[[], None],
    ) -> None:
        self._on_hold = on_hold
        self._counters = counters
        self._writer = writer
        self._reader = reader
        self._rules = rules
        self._clock = clock
        self._ids = ids
        self._waker = asyncio.Event()
        self._looks_at = _NEVER

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
        if kept.quiet_at is not None and kept.quiet_at < self._looks_at:
            self._waker.set()
        if kept.is_hold:
            log.warning("study.held", study_uid=facts.study_uid, accession=facts.accession, ae=instance.ae)
            self._on_hold()
        return kept

    def _keep(
        self, held: Held, facts: ObjectFacts, instance: Instance, is_other_version: bool, now: datetime
    ) -> Changes[Kept]:
        before = next(iter(held.find(Study, "uid", facts.study_uid)), None)
        known = recognize(held, facts, before, instance.ae, rules=self._rules, now=now, ids=self._ids)
        is_kept_back = known.study.state in ("held", "rejected")
        instance, forwards = queue(instance, () if is_kept_back else self._rules.forward_to, now, self._ids)
        study = _with_object(known.study, facts, len(forwards), now)
        events = [*known.events, *self._notes(held, before, study, is_other_version, now)]
        looked = progress(
            held,
            study,
            orders={order.id: order for order in known.orders},
            performed=(),
            rules=self._rules,
            now=now,
            ids=self._ids,
            arrived=instance.sop_uid,
        )
        saved = {order.id: order for order in (*known.orders, *looked.orders)}
        return Changes(
            save=(instance, looked.study, *saved.values(), *forwards),
            events=(*events, *looked.events),
            result=Kept(
                is_new=True,
                is_hold=before is None and study.state == "held",
                is_rejected=study.state == "rejected",
                quiet_at=looked.study.quiet_at,
            ),
        )

    def _notes(
        self, held: Held, before: Study | None, study: Study, is_other_version: bool, now: datetime
    ) -> tuple[Event, ...]:
        """Tell of an object that came before with other bytes, and of the first one for a rejected study."""
        texts = []
        if is_other_version:
            texts.append("an object came again with other content: both are kept")
        if before is not None and before.state == "rejected" and before.last_at <= (before.decided_at or now):
            texts.append("more objects of the rejected study arrive: they are set aside too")
        return tuple(
            event
            for text in texts
            for event in about(
                held, "study.noted", text, study, study.order_ids, rules=self._rules, now=now, ids=self._ids
            )
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
            self._looks_at = _NEVER
            await self.look_at_what_waits()
            next_at = await self._reader.next_quiet_at()
            now = self._clock()
            self._looks_at = min(next_at or _NEVER, now + QUIET_POLL)
            await wait_at_most(max(0.02, (self._looks_at - now).total_seconds()), self._waker)

    async def look_at_what_waits(self) -> None:
        """Complete what has been quiet long enough, alarm the MPPS that nobody closes or whose objects do not come."""
        now = self._clock()
        for uid in await self._reader.due_quiet(now):
            await self.look_again(uid)
        for uid in await self._reader.due_performed(now):
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


def _with_object(study: Study, facts: ObjectFacts, forwards: int, now: datetime) -> Study:
    """Count an object in: what was complete is not any more; what a person decided stays decided."""
    return replace(
        study,
        series=study.series if facts.series_uid in study.series else (*study.series, facts.series_uid),
        instances=study.instances + 1,
        pending=study.pending + forwards,
        last_at=now,
        state="arriving" if study.state == "available" else study.state,
        completed_at=None,
        evidence="",
    )
