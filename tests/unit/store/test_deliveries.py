"""The outbox: lanes, what is due, counts."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest


def run(story):
    return asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize(
    ("first", "due"),
    [
        ({}, ["delivery-001"]),
        ({"state": "executing"}, []),
        ({"state": "retryable", "not_before": timedelta(seconds=9)}, []),
        ({"state": "delivered"}, ["delivery-002"]),
        ({"state": "cancelled"}, ["delivery-002"]),
        ({"state": "dead"}, ["delivery-002"]),
        ({"lane": "order 2"}, ["delivery-001", "delivery-002"]),
        ({"destination": "bus"}, ["delivery-002"]),
    ],
)
def test_rows_of_one_lane_leave_in_order(opened, rows, save, first, due):
    if "not_before" in first:
        first = first | {"not_before": rows.now + first["not_before"]}

    async def story():
        async with opened() as store:
            await store.run(save(rows.delivery(2), rows.delivery(1, **first)))
            return await store.deliveries.due("ris", rows.now, 10)

    assert [delivery.id for delivery, _ in run(story)] == due


def test_a_due_notice_comes_with_its_event(opened, rows, save):
    async def story():
        async with opened() as store:
            await store.run(save(rows.delivery(event_id="event-001"), rows.event(), rows.delivery(2, lane="order 2")))
            return await store.deliveries.due("ris", rows.now, 10)

    assert [event for _, event in run(story)] == [rows.event(), None]


def test_a_due_object_comes_with_its_instance(opened, rows, save):
    async def story():
        async with opened() as store:
            objects = [
                rows.delivery(n, destination="PACS", lane=f"object {n}", sop_uid=f"1.2.1.1.{n}", digest=f"digest {n}")
                for n in (1, 2)
            ]
            await store.run(save(rows.instance(1), rows.instance(2), rows.instance(2, digest="another"), *objects))
            return await store.objects_of("S1").due("PACS", rows.now, 1), await store.deliveries.due(
                "PACS", rows.now, 9
            )

    objects, notices = run(story)

    assert [(delivery.id, instance) for delivery, instance in objects] == [("delivery-001", rows.instance(1))]
    assert notices == []


def test_the_next_row_is_the_first_of_a_lane_that_waits(opened, rows, save):
    async def story():
        later = rows.now + timedelta(seconds=30)
        async with opened() as store:
            none = await store.deliveries.next_due_at("ris")
            await store.run(
                save(
                    rows.delivery(1, state="retryable", not_before=later),
                    rows.delivery(2),
                    rows.delivery(3, destination="bus"),
                )
            )
            return none, await store.deliveries.next_due_at("ris"), later

    none, found, later = run(story)

    assert none is None
    assert found == later


def test_rows_are_counted_by_destination_and_state(opened, rows, save):
    states = ["available", "available", "retryable", "dead", "delivered", "cancelled"]

    async def story():
        async with opened() as store:
            await store.run(save(*(rows.delivery(n, state=state) for n, state in enumerate(states))))
            return await store.deliveries.counts()

    assert run(story) == {"ris": {"available": 2, "retryable": 1, "dead": 1}}


def test_deliveries_are_paged_from_the_newest(opened, rows, save):
    async def story():
        async with opened() as store:
            await store.run(save(*(rows.delivery(n, state="dead" if n % 2 else "delivered") for n in range(10))))
            first, cursor = await store.deliveries.search(state="dead", destination="ris", limit=3)
            rest, end = await store.deliveries.search(state="dead", destination="ris", limit=3, cursor=cursor)
            return [delivery.id for delivery in (*first, *rest)], end

    assert run(story) == ([f"delivery-{n:03d}" for n in (9, 7, 5, 3, 1)], "")
