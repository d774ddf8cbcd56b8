"""Objects that wait for a node which was taken out of forward_to: at the start they are told to go elsewhere.

What no archive has goes to the nodes that are configured now; with none it stays in the spool. A person may send it
again to its old node once that is back (`broker deliveries retry`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, Protocol

import structlog

from broker.domain.records import Delivery
from broker.domain.study import Instance, Study
from broker.ports import Changes, Clock, Held, Ids, Job, Key, Writer
from broker.services.forwarding import UNSENT
from broker.services.outgoing import queue
from broker.services.progress import Rules, progress
from broker.services.recognition import about

log = structlog.get_logger()

BATCH: Final = 500
_WHENEVER: Final = timedelta(days=3650)


class OutboxReader(Protocol):
    """The part of the store that counts the outbox."""

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Count the rows of each destination by state, without those that are delivered or cancelled."""


class ObjectReader(Protocol):
    """The part of the store that knows the objects of this broker's spool."""

    async def due(self, node: str, now: datetime, limit: int) -> Sequence[tuple[Delivery, Instance]]:
        """Give the objects that may leave for *node* at *now*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readdressing:
    """The use case of a start. *known* are the destinations and nodes that are configured."""

    writer: Writer
    outbox: OutboxReader
    objects: ObjectReader
    remove: Callable[[str], Awaitable[None]]
    known: Collection[str]
    rules: Rules
    clock: Clock
    ids: Ids

    async def run(self) -> None:
        """Cancel every row whose node is not configured any more, and see where its object goes instead."""
        for node in sorted(set(await self.outbox.counts()) - set(self.known)):
            count = 0
            while rows := await self.objects.due(node, self.clock() + _WHENEVER, BATCH):
                ordered = sorted(rows, key=lambda row: row[0].study_uid)
                for study_uid, own in groupby(ordered, key=lambda row: row[0].study_uid):
                    for path in await self.writer.run(self._job(node, study_uid, [row for row, _ in own])):
                        await self.remove(path)
                count += len(rows)
            if count:
                log.warning("archive.not_configured", node=node, count=count)

    def _job(self, node: str, study_uid: str, rows: Sequence[Delivery]) -> Job[tuple[str, ...]]:
        """Make the job for the rows of one study; it gives the paths of files that nobody needs any more."""
        now = self.clock()

        def decide(held: Held) -> Changes[tuple[str, ...]]:
            saved: list[Delivery | Instance] = []
            gone: list[str] = []
            added = 0
            for row in rows:
                instance = next(i for i in held.find(Instance, "sop", row.sop_uid) if i.digest == row.digest)
                known = [one for id in instance.deliveries for one in held.find(Delivery, "id", id)]
                saved.append(
                    replace(row, state="cancelled", error=f"{node} is not configured any more", updated_at=now)
                )
                if any(one.state in UNSENT and one.destination in self.rules.forward_to for one in known):
                    continue
                if any(one.state == "delivered" for one in known):
                    gone.append(instance.path)
                    saved.append(replace(instance, path=""))
                    continue
                instance, others = queue(instance, self.rules.forward_to, now, self.ids)
                added += len(others)
                saved += [instance, *others]
            return self._changes(held, node, study_uid, saved, added - len(rows), gone, now)

        keys: list[Key] = [(Study, ("uid", study_uid))]
        keys += [(Instance, ("sop", row.sop_uid)) for row in rows]
        return Job(keys=tuple(keys), decide=decide, is_large=True)

    def _changes(
        self,
        held: Held,
        node: str,
        study_uid: str,
        saved: Sequence[Delivery | Instance],
        more: int,
        gone: Sequence[str],
        now: datetime,
    ) -> Changes[tuple[str, ...]]:
        study = held.find(Study, "uid", study_uid)[0]
        study = replace(study, pending=max(0, study.pending + more))
        cancelled = sum(isinstance(row, Delivery) and row.state == "cancelled" for row in saved)
        nodes = ", ".join(self.rules.forward_to)
        where = f"what no archive has goes to {nodes}" if nodes else "they stay in the spool"
        text = f"{cancelled} objects waited for {node}, which is not configured any more: {where}"
        events = about(held, "study.noted", text, study, study.order_ids, rules=self.rules, now=now, ids=self.ids)
        looked = progress(held, study, orders={}, performed=(), rules=self.rules, now=now, ids=self.ids)
        return Changes(
            save=(*saved, looked.study, *looked.orders), events=(*events, *looked.events), result=tuple(gone)
        )
