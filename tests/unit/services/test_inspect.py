"""What a person may do to a delivery: a table of its states."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, get_args

import pytest

from broker.domain.records import Delivery, DeliveryState
from broker.ports import Changes, Job
from broker.services.inspect import Inspection, Settled

T = TypeVar("T")

NOW = datetime(2026, 4, 1, 8, 30, tzinfo=UTC)
STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)


@dataclass
class Outbox:
    """Runs jobs on one row and keeps what they changed."""

    row: Delivery | None
    changes: list[Changes[Any]] = field(default_factory=list)

    async def run(self, job: Job[T]) -> T:
        changes = job.decide(self)
        self.changes.append(changes)
        return changes.result

    def find(self, kind: type[T], *key: str) -> tuple[Any, ...]:
        return (self.row,) if self.row else ()


def delivery(state: DeliveryState, **changes: Any) -> Delivery:
    return Delivery(
        id="D1",
        destination="ris",
        event_type="study.available",
        order_id="O1",
        lane="order O1",
        control_id="C1",
        state=state,
        attempts=7,
        refusals=3,
        not_before=NOW + timedelta(minutes=1),
        created_at=NOW,
        updated_at=NOW,
        **changes,
    )


def inspection(outbox: Outbox) -> Inspection:
    nothing: Any = None
    return Inspection(
        orders=nothing,
        messages=nothing,
        deliveries=nothing,
        alarms=nothing,
        worklist=nothing,
        health=nothing,
        studies=nothing,
        reconciliation=nothing,
        writer=outbox,
        clock=lambda: NOW,
        ids=lambda: "E1",
    )


@pytest.mark.parametrize("state", STATES)
def test_retry_makes_available_what_waits_is_dead_or_was_cancelled(state: DeliveryState) -> None:
    settled = asyncio.run(inspection(Outbox(delivery(state))).retry("D1"))
    assert (settled.delivery is not None) == (state in ("retryable", "dead", "cancelled"))
    assert bool(settled.refusal) == (settled.delivery is None)


@pytest.mark.parametrize("state", STATES)
def test_cancel_ends_what_has_not_ended(state: DeliveryState) -> None:
    settled = asyncio.run(inspection(Outbox(delivery(state))).cancel("D1"))
    assert (settled.delivery is not None) == (state in ("available", "executing", "retryable"))
    assert bool(settled.refusal) == (settled.delivery is None)


@pytest.mark.parametrize("state", STATES)
def test_an_object_is_never_cancelled(state: DeliveryState) -> None:
    outbox = Outbox(delivery(state, sop_uid="1.2.3"))
    settled = asyncio.run(inspection(outbox).cancel("D1"))
    assert settled.refusal == "it is an object: objects wait until the archive has them"
    assert outbox.changes[0].save == ()


def test_a_retried_delivery_leaves_at_once_and_may_be_refused_three_times_again() -> None:
    settled = asyncio.run(inspection(Outbox(delivery("dead"))).retry("D1"))
    assert settled.delivery is not None
    assert (settled.delivery.state, settled.delivery.not_before, settled.delivery.refusals) == ("available", NOW, 0)


def test_what_was_done_by_hand_stands_in_the_timeline() -> None:
    outbox = Outbox(delivery("available"))
    asyncio.run(inspection(outbox).cancel("D1"))
    (event,) = outbox.changes[0].events
    assert (event.order_id, event.text) == ("O1", "study.available for ris cancelled by hand")


def test_a_refused_wish_changes_nothing() -> None:
    outbox = Outbox(delivery("delivered"))
    asyncio.run(inspection(outbox).retry("D1"))
    assert (outbox.changes[0].save, outbox.changes[0].events) == ((), ())


def test_a_delivery_that_is_not_there_is_neither_changed_nor_refused() -> None:
    assert asyncio.run(inspection(Outbox(None)).retry("D1")) == Settled()
