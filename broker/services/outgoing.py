"""Objects queued for the archives: one outbox row for each object and node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from broker.domain.records import Delivery
from broker.domain.study import Instance
from broker.ports import Ids


def queue(instance: Instance, nodes: Sequence[str], now: datetime, ids: Ids) -> tuple[Instance, tuple[Delivery, ...]]:
    """Make the rows that take *instance* to *nodes*, and the object that knows of them."""
    rows = tuple(_row(instance, node, now, ids()) for node in nodes)
    return replace(instance, deliveries=(*instance.deliveries, *(row.id for row in rows))), rows


def _row(instance: Instance, node: str, now: datetime, id: str) -> Delivery:
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
