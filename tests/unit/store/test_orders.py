"""Searching orders, and the life of one."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from broker.domain.order import Identity, OrderStatus
from broker.domain.performed import PerformedStep, StepKey


def run(story):
    return asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [3, 2, 1]),
        ({"accession": "A2"}, [2]),
        ({"accession": "A4"}, []),
        ({"patient_id": "77041"}, [2, 1]),
        ({"patient_id": "OLD"}, [2, 1]),
        ({"patient_id": "1"}, []),
        ({"status": "completed"}, [3]),
        ({"modality": "MR"}, [2]),
        ({"start_from": "20260402"}, [3, 2]),
        ({"start_to": "20260402"}, [2, 1]),
        ({"start_from": "20260402", "start_to": "20260402", "status": "scheduled", "modality": "MR"}, [2]),
        ({"patient_id": "77041", "modality": "CT"}, [1]),
    ],
)
def test_orders_are_searched_by_what_is_said(opened, rows, save, asked, found):
    async def story():
        async with opened() as store:
            await store.run(
                save(
                    rows.patient(former=(Identity(patient_id="OLD"),)),
                    rows.patient("2"),
                    rows.order(1),
                    rows.order(2, steps=(rows.step(2, modality="MR", start="20260402235959"),)),
                    rows.order(
                        3,
                        patient_ref="ref-2",
                        status=OrderStatus.COMPLETED,
                        steps=(rows.step(3, start="20260403000000"),),
                    ),
                )
            )
            return await store.orders.search(**asked)

    orders, cursor = run(story)

    assert [order.id for order, _ in orders] == [f"order-{n:03d}" for n in found]
    assert all(patient.ref == order.patient_ref for order, patient in orders)
    assert cursor == ""


@pytest.mark.parametrize("asked", [{}, {"start_from": "2026"}])
def test_pages_join_to_the_whole(opened, rows, save, asked):
    async def story():
        seen, cursor, pages = [], "", 0
        async with opened() as store:
            await store.run(save(rows.patient(), *(rows.order(n) for n in range(10))))
            while pages == 0 or cursor:
                orders, cursor = await store.orders.search(**asked, limit=3, cursor=cursor)
                seen += [order.id for order, _ in orders]
                pages += 1
        return seen, pages

    assert run(story) == ([f"order-{n:03d}" for n in range(9, -1, -1)], 4)


def test_the_life_of_an_order_holds_all_that_is_of_it_and_nothing_else(opened, rows, save):
    performed = PerformedStep(
        uid="1.9",
        ae="CT1",
        patient=Identity(patient_id="77041"),
        links=(StepKey(order_id="order-001", procedure_id="RP1", step_id="S1"),),
        created_at=rows.now,
        updated_at=rows.now,
    )
    later = rows.now + timedelta(seconds=1)
    own = (
        rows.event(3, order_id="order-001"),
        rows.event(2, study_uid="1.2.1", at=later),
        rows.event(1, patient_ref="ref-77041", type="patient.updated", at=later + timedelta(seconds=1)),
    )
    foreign = (
        rows.event(4, order_id="order-002", study_uid="1.2.1", patient_ref="ref-77041"),
        rows.event(5, patient_ref="ref-77041", study_uid="1.2.2"),
    )

    async def story():
        async with opened() as store:
            await store.run(
                save(
                    rows.patient(),
                    rows.order(1, study_uids=("1.2.7",)),
                    rows.order(2),
                    performed,
                    rows.study(1, order_ids=("order-001",)),
                    rows.study(7),
                    rows.study(2, order_ids=("order-002",)),
                    rows.delivery(1, order_id="order-001"),
                    rows.delivery(2, order_id="order-002"),
                    *own,
                    *foreign,
                )
            )
            return await store.orders.life("order-001"), await store.orders.life("order-009")

    life, nothing = run(story)

    assert (life.order.id, life.patient) == ("order-001", rows.patient())
    assert life.performed == (performed,)
    assert [study.uid for study in life.studies] == ["1.2.1", "1.2.7"]
    assert life.deliveries == (rows.delivery(1, order_id="order-001"),)
    assert life.events == own
    assert nothing is None


def test_all_orders_with_an_accession_number_are_given(opened, rows, save):
    async def story():
        async with opened() as store:
            await store.run(save(rows.order(2, accession="A1"), rows.order(1), rows.order(3)))
            return (
                await store.orders.by_accession("A1"),
                await store.orders.by_accession(""),
                await store.orders.get("x"),
            )

    found, none, unknown = run(story)

    assert [order.id for order in found] == ["order-001", "order-002"]
    assert (none, unknown) == ([], None)
