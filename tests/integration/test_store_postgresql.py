"""The same store on PostgreSQL, which several brokers may share."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.domain.events import Event
from broker.domain.order import Identity, Number, Order, Patient, Procedure, Step
from broker.domain.performed import PerformedStep
from broker.domain.query import Criteria
from broker.domain.records import Delivery, StoredMessage
from broker.errors import BrokerError, NothingDone
from broker.ports import Changes, Held, Job
from broker.services.identifiers import Ulids
from broker.services.overdue import overdue
from broker.services.retention import Retention
from broker.store.batch import Batches
from broker.store.dialects import open_engine
from broker.store.store import Store
from peers.postgresql import Postgresql

NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def url(postgresql: Postgresql) -> Iterator[str]:
    with postgresql.database() as address:
        yield address


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
    assert await store.objects_of("S1").due("ris", NOW, 9) == []
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


@pytest.fixture
def brokers(url: str) -> Iterator[list[Batches]]:
    """Two writers, without the threads around them."""
    made = [Batches(open_engine(url), lambda event: ()) for _ in range(2)]
    yield made
    for one in made:
        one.close()


def test_two_brokers_that_find_a_row_under_different_keys_do_not_undo_each_other(brokers: list[Batches]) -> None:
    one, other = brokers
    one.run([Job(keys=(), decide=lambda held: Changes(save=(order(1),), result=None))])
    tries = []

    def rename(held: Held) -> Changes[None]:
        (found,) = held.find(Order, "accession", "A1")
        tries.append(found.placer.number if found.placer else "")
        if len(tries) == 1:
            (outcome,) = other.run([numbering])
            assert outcome.error is None
        return Changes(save=(replace(found, study_uids=("1.9",)),), result=None)

    def number(held: Held) -> Changes[None]:
        (found,) = held.find(Order, "step", "S1")
        return Changes(save=(replace(found, placer=Number(number="P1")),), result=None)

    numbering = Job(keys=((Order, ("step", "S1")),), decide=number)
    (outcome,) = one.run([Job(keys=((Order, ("accession", "A1")),), decide=rename)])

    assert outcome.error is None
    assert tries == ["", "P1"]
    (found,) = one.run([Job(keys=(), decide=lambda held: Changes(result=held.find(Order, "id", "order 1")))])
    assert (found.result[0].placer.number, found.result[0].study_uids) == ("P1", ("1.9",))


def test_two_brokers_that_find_nothing_do_not_both_act_on_it(brokers: list[Batches]) -> None:
    one, other = brokers
    tries = []

    def booking_unless(key: str, n: int, meanwhile: Job[bool] | None = None) -> Job[bool]:
        """Book order *n* unless the patient has one already; *key* is what it says that it looks for, not that."""

        def decide(held: Held) -> Changes[bool]:
            is_free = not held.find(Order, "patient", "ref 1")
            tries.append(n)
            if meanwhile is not None and tries == [n]:
                assert other.run([meanwhile])[0].result is True
            save = (replace(order(n), patient_ref="ref 1"),) if is_free else ()
            return Changes(save=save, result=is_free)

        return Job(keys=((Order, ("accession", key)),), decide=decide)

    (outcome,) = one.run([booking_unless("X", 1, booking_unless("Y", 2))])

    assert (outcome.error, outcome.result) == (None, False)
    assert tries == [1, 2, 1]


def test_of_two_brokers_one_waits_for_the_other_where_they_hold_the_same(brokers: list[Batches]) -> None:
    one, other = brokers
    decided: list[int] = []
    waiting = threading.Event()

    def decide(n: int) -> Job[None]:
        def note(held: Held) -> Changes[None]:
            if n == 1:
                waiting.set()
                time.sleep(0.3)
            decided.append(n)
            return Changes(save=(patient(n),), result=None)

        return Job(keys=((Order, ("accession", "A1")), (Order, ("accession", f"B{n}"))), decide=note)

    first = threading.Thread(target=one.run, args=([decide(1)],))
    first.start()
    assert waiting.wait(30)
    other.run([decide(2)])
    first.join(30)

    assert decided == [1, 2], "the second has not even begun to decide before the first was on disk"


def test_what_all_brokers_look_after_is_done_once(url: str) -> None:
    """An MPPS that nobody closes is alarmed once; what is old goes, whoever takes it away."""
    performed = PerformedStep(uid="1.9", ae="CT1", patient=Identity(patient_id="1"), created_at=NOW, updated_at=NOW)
    old = [message(n) for n in range(300)]
    later = NOW + timedelta(days=100)

    async def story() -> tuple[list[Event], int]:
        async with AsyncExitStack() as stack:
            stores = []
            for _ in range(2):
                store = await Store.open(url, fan_out=lambda event: (), on_death=pytest.fail)
                stack.push_async_callback(store.close)
                stores.append(store)
            one, other = stores
            await one.run(Job(keys=(), decide=lambda held: Changes(save=(performed, *old), result=None)))
            ids = Ulids(lambda: later)
            kept = [Retention({"messages": (one.messages, timedelta(days=90))}, one, lambda: later) for one in stores]
            await asyncio.gather(
                *(store.run(overdue("1.9", later, UTC, ids)) for store in stores), *(one.remove() for one in kept)
            )
            return await other.events.alarms(10), len((await other.messages.search())[0])

    alarms, left = asyncio.run(asyncio.wait_for(story(), 60))

    assert [alarm.type for alarm in alarms] == ["procedure.noted"]
    assert left == 0


def test_connections_that_the_server_let_go_are_opened_again(url: str) -> None:
    async def story() -> None:
        store = await Store.open(url, fan_out=fan_out, on_death=pytest.fail)
        assert await store.run(booking(1)) is True
        with open_engine(url).connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        assert await store.run(booking(2)) is True
        found = await asyncio.gather(*(store.orders.by_accession("A1") for _ in range(8)))
        assert found == [[order(1)]] * 8
        assert store.is_writable
        await store.close()

    asyncio.run(asyncio.wait_for(story(), 60))


def test_brokers_that_start_together_make_the_tables_once(postgresql: Postgresql) -> None:
    async def story(url: str) -> None:
        opening = (Store.open(url, fan_out=fan_out, on_death=pytest.fail) for _ in range(2))
        stores = await asyncio.gather(*opening)
        assert [await store.run(booking(n)) for n, store in enumerate(stores)] == [True, True]
        for store in stores:
            await store.close()

    with postgresql.database(is_empty=True) as url:
        asyncio.run(asyncio.wait_for(story(url), 60))


def test_every_text_is_sorted_by_code_points(url: str) -> None:
    with open_engine(url).connect() as connection:
        columns = connection.exec_driver_sql(
            "SELECT table_name || '.' || column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'text'"
        ).fetchall()

    assert len(columns) > 80
    assert {collation for _, collation in columns} == {"C"}


DYING = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dying AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION die()
"""
"""Ends the connection in the middle of a commit."""


def test_a_sender_whose_commit_broke_off_is_not_told_that_nothing_has_happened(url: str) -> None:
    async def story() -> tuple[object, bool]:
        store = await Store.open(url, fan_out=fan_out, on_death=pytest.fail)
        with open_engine(url).connect() as connection:
            connection.exec_driver_sql(DYING)
            (broken_off,) = await asyncio.gather(store.run(booking(1)), return_exceptions=True)
            connection.exec_driver_sql("DROP TRIGGER dying ON orders")
        again = await store.run(booking(1))
        await store.close()
        return broken_off, again

    broken_off, again = asyncio.run(asyncio.wait_for(story(), 60))

    assert isinstance(broken_off, BrokerError)
    assert not isinstance(broken_off, NothingDone)
    assert (broken_off.code, broken_off.ack, again) == ("S001", "AR", True)
