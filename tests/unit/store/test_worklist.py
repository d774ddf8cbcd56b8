"""Worklist queries: what they find, and that their cost does not follow the length of the list."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.domain.order import Identity, StepStatus
from broker.domain.query import Criteria
from broker.store.connection import Connection
from broker.store.dialects import open_engine
from broker.store.prepared import Prepared
from broker.store.schema import bring_up_to_date
from broker.store.tables import metadata
from broker.store.worklist_query import conditions, order_steps_query, patient_query, patients_of, step_query

CRITERIA = [
    Criteria(accessions=("A1",)),
    Criteria(step_ids=("S1",)),
    Criteria(procedure_ids=("RP1",)),
    Criteria(study_uids=("1.2.1", "1.2.3", "1.2.4")),
    Criteria(patient_ids=("77041",)),
    Criteria(patient_ids=("OLD",)),
    Criteria(patient_ids=("ELSEWHERE",)),
    Criteria(name_prefix="ibanez^nu"),
    Criteria(modalities=("CT", "MR")),
    Criteria(stations=("CT1",)),
    Criteria(stations=("CT2", "CT1")),
    Criteria(start_from="20260401000000"),
    Criteria(start_to="20260401235959"),
    Criteria(modalities=("CT",), start_from="20260401000000", start_to="20260401235959"),
    Criteria(stations=("CT1",), start_from="20260401000000", start_to="20260401235959"),
    Criteria(stations=("CT1",), modalities=("CT",), name_prefix="ibanez", accessions=("A1", "A9")),
]


def run(story):
    return asyncio.run(asyncio.wait_for(story(), 30))


def search(opened, saved, criteria):
    async def story():
        async with opened() as store:
            await store.run(saved)
            return await store.worklist.search(criteria)

    return [entry.order_id for entry in run(story)]


@pytest.mark.parametrize("criteria", CRITERIA)
def test_each_condition_finds_the_step_that_fulfils_it_and_no_other(opened, rows, save, criteria):
    attributes = {"PatientName": "Ibáñez^Núria", "OtherPatientIDsSequence": [{"PatientID": "ELSEWHERE"}]}
    former = (Identity(patient_id="OLD", issuer="GENERAL"),)
    wanted = (rows.patient(attributes=attributes, former=former), rows.order(1))
    other = rows.step(2, modality="US", stations=("US1",), start="20260402101500")
    if criteria.start_to and not criteria.start_from:
        other = replace(other, start="20260403101500")
    elif criteria.start_from and not criteria.start_to:
        other = replace(other, start="20260331101500")
    unwanted = (
        rows.patient("2", attributes={"PatientName": "Other^Name"}),
        rows.order(2, patient_ref="ref-2", steps=(other,)),
    )

    assert search(opened, save(*wanted, *unwanted), criteria) == ["order-001"]


WIDE = (Criteria(), Criteria(modalities=("CT", "MR")))
"""Queries without a date, a station or anything narrower: they walk the listed steps, never all of them."""


@pytest.mark.parametrize("criteria", [Criteria(), *CRITERIA])
def test_only_a_wide_query_walks_the_list_and_none_walks_a_table(database, criteria):
    engine = open_engine(f"sqlite:///{database}")
    bring_up_to_date(engine)
    of_patients = patients_of(criteria)
    asked = conditions(criteria) | ({"patients": ("ref-77041",)} if of_patients else {})
    queries = [
        Prepared(engine.dialect, step_query).query({name: values for name, values in asked.items() if values}),
        Prepared(engine.dialect, order_steps_query).query({"orders": ("order-001",)}),
    ]
    if of_patients:
        queries.append(Prepared(engine.dialect, lambda given: patient_query(given, 65)).query(of_patients))

    connection = Connection(engine)
    plans = [row[-1] for text, values in queries for row in connection.fetch(f"EXPLAIN QUERY PLAN {text}", values)]
    connection.close()

    walks = [plan for plan in plans if plan.startswith("SCAN ") and plan.split()[1] in metadata.tables]
    assert walks == (["SCAN steps USING INDEX steps_start"] if criteria in WIDE else [])


def test_more_patients_with_a_name_than_may_lead_are_all_found(opened, rows, save):
    many = [
        row
        for n in range(80)
        for row in (
            rows.patient(str(n), attributes={"PatientName": f"Doe^J{n}"}),
            rows.order(n, patient_ref=f"ref-{n}"),
        )
    ]

    assert len(search(opened, save(*many), Criteria(name_prefix="doe^j"))) == 80


def test_a_step_without_a_station_is_found_for_every_station(opened, rows, save):
    order = rows.order(steps=(rows.step(stations=()), rows.step(2, procedure_id="RP1", stations=("MR1",))))

    assert search(opened, save(rows.patient(), order), Criteria(stations=("CT9",))) == ["order-001"]


def test_a_step_with_two_of_the_stations_is_found_once(opened, rows, save):
    order = rows.order(steps=(rows.step(stations=("CT1", "CT2")),))

    assert search(opened, save(rows.patient(), order), Criteria(stations=("CT1", "CT2"))) == ["order-001"]


@pytest.mark.parametrize("status", list(StepStatus))
def test_only_steps_that_may_be_listed_are_searched(opened, rows, save, status):
    saved = save(rows.patient(), rows.order(steps=(rows.step(status=status),)))
    is_listed = status in ("SCHEDULED", "ARRIVED", "READY", "STARTED")

    assert search(opened, saved, Criteria(stations=("CT1",))) == ["order-001"] * is_listed


def test_steps_come_by_their_start(opened, rows, save):
    starts = ["20260402080000", "20260401090000", "20260401080000"]
    orders = [rows.order(n, steps=(rows.step(n, start=start),)) for n, start in enumerate(starts)]

    for criteria in (Criteria(), Criteria(stations=("CT1",)), Criteria(patient_ids=("77041",))):
        assert search(opened, save(rows.patient(), *orders), criteria) == ["order-002", "order-001", "order-000"]


def test_an_entry_is_built_anew_when_order_or_patient_change_and_only_then(opened, rows, save):
    async def story():
        async with opened() as store:
            seen = []
            for change in (
                save(rows.patient(), rows.order()),
                save(rows.order(2)),
                save(rows.order(steps=(rows.step(start="20260401120000"),))),
                save(rows.patient(attributes={"PatientName": "Ibáñez^Maria"})),
            ):
                await store.run(change)
                seen += await store.worklist.search(Criteria(accessions=("A1",)))
            return seen

    first, second, third, fourth = run(story)

    assert first is second
    assert (second.start, third.start) == ("20260401101500", "20260401120000")
    assert (third.item["PatientName"], fourth.item["PatientName"]) == ("Ibáñez^Núria", "Ibáñez^Maria")
    assert len({second.key, third.key, fourth.key}) == 3


def test_steps_completed_since_a_moment_are_given(opened, rows, save):
    now = datetime(2026, 4, 1, 12, tzinfo=UTC)

    def completed(number, minutes):
        order = rows.order(number)
        at = now - timedelta(minutes=minutes)
        steps = tuple(replace(step, status=StepStatus.COMPLETED, completed_at=at) for step in order.steps)
        return replace(order, steps=steps)

    async def story():
        async with opened() as store:
            await store.run(save(rows.patient(), completed(1, 5), completed(2, 50), rows.order(3)))
            return await store.worklist.completed_since(now - timedelta(minutes=10))

    assert {entry.order_id for entry in run(story)} == {rows.order(1).id}


def test_steps_of_orders_are_given_whether_listed_or_not(opened, rows, save):
    steps = (rows.step(status=StepStatus.COMPLETED), rows.step(2, procedure_id="RP1"))

    async def story():
        async with opened() as store:
            await store.run(save(rows.patient(), rows.order(steps=steps)))
            return await store.worklist.of_orders(["order-001", "order-002"]), await store.worklist.of_orders([])

    found, none = run(story)

    assert [entry.status for entry in found] == ["COMPLETED", "SCHEDULED"]
    assert none == []


def test_a_condition_with_too_many_values_leaves_nothing_out(opened, rows, save):
    criteria = Criteria(study_uids=tuple(f"9.{n}" for n in range(100_000)))

    assert search(opened, save(rows.patient(), rows.order()), criteria) == ["order-001"]
