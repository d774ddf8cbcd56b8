"""What is finished goes after its time, what somebody waits for stays."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from broker.domain.events import Event
from broker.domain.records import Delivery, StoredMessage
from broker.ports import Changes, Job
from broker.services.retention import Retention
from broker.store.store import Store

NOW = datetime(2026, 4, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=100)


def message(id: str, at: datetime, state: str = "accepted") -> StoredMessage:
    return StoredMessage(
        id=id,
        key=id,
        listener="his",
        sender="",
        control_id="",
        type="ORM^O01",
        received_at=at,
        raw=b"",
        charset="utf-8",
        state=state,  # type: ignore[arg-type]
        answer=b"",
    )


def delivery(id: str, state: str) -> Delivery:
    return Delivery(
        id=id,
        destination="ris",
        event_id="E" + id,
        lane=id,
        control_id=id,
        state=state,  # type: ignore[arg-type]
        not_before=OLD,
        created_at=OLD,
        updated_at=OLD,
    )


def test_what_is_finished_goes_after_its_time(database_url: str) -> None:
    rows = (
        message("1", OLD),
        message("2", OLD, "parked"),
        message("3", NOW),
        delivery("1", "delivered"),
        delivery("2", "dead"),
    )
    events = [Event(id=f"E{n}", type="order.noted", at=OLD, text="") for n in (1, 2)]

    async def remove() -> tuple[set[str], set[str], int]:
        store = await Store.open(database_url, fan_out=lambda event: (), on_death=print)
        await store.run(Job(keys=(), decide=lambda held: Changes(save=rows, events=events, result=None)))
        kept = {
            "deliveries": (store.deliveries, timedelta(days=30)),
            "events": (store.events, timedelta(days=90)),
            "messages": (store.messages, timedelta(days=90)),
        }
        removed = await Retention(kept, store, lambda: NOW).remove()
        messages, _ = await store.messages.search()
        deliveries, _ = await store.deliveries.search()
        await store.close()
        return {one.id for one in messages}, {one.id for one in deliveries}, removed

    messages, deliveries, removed = asyncio.run(remove())

    assert messages == {"2", "3"}
    assert deliveries == {"2"}
    assert removed == 3, "a message, a delivery, and the event that only it told"
