"""A real store, on SQLite and on PostgreSQL, and rows to put into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.domain.events import Event
from broker.domain.order import Identity, Number, Order, Patient, Procedure, Step
from broker.domain.records import Delivery, StoredMessage
from broker.domain.study import Instance, Study
from broker.ports import Changes, Job
from broker.store.batch import Batches
from broker.store.dialects import open_engine
from broker.store.schema import bring_up_to_date
from broker.store.store import Store

NOW = datetime(2026, 4, 1, 8, 15, tzinfo=UTC)


class Rows:
    """Makes rows; what a test does not name is of no importance to it."""

    now = NOW

    def patient(self, patient_id: str = "77041", **given: Any) -> Patient:
        attributes = given.pop("attributes", {"PatientName": "Ibáñez^Núria"})
        return Patient(ref=f"ref-{patient_id}", patient_id=patient_id, issuer="GENERAL", attributes=attributes, **given)

    def order(self, n: int = 1, **given: Any) -> Order:
        said = {
            "id": f"order-{n:03d}",
            "facility": "GENERAL",
            "patient_ref": "ref-77041",
            "accession": f"A{n}",
            "filler": Number(number=f"F{n}", namespace="RIS"),
            "placer": Number(number=f"P{n}"),
            "procedures": (Procedure(procedure_id=f"RP{n}", study_uid=f"1.2.{n}"),),
            "steps": (self.step(n),),
            "created_at": NOW,
            "updated_at": NOW,
        }
        return Order(**(said | given))

    def step(self, n: int = 1, **given: Any) -> Step:
        said = {
            "step_id": f"S{n}",
            "procedure_id": f"RP{n}",
            "modality": "CT",
            "stations": ("CT1",),
            "start": "20260401101500",
        }
        return Step(**(said | given))

    def message(self, n: int = 1, **given: Any) -> StoredMessage:
        said = {
            "id": f"message-{n:03d}",
            "key": f"key {n}",
            "listener": "his",
            "sender": "HIS",
            "control_id": str(n),
            "type": "ORM^O01",
            "received_at": NOW,
            "raw": b"MSH|\xff\x00",
            "charset": "utf-8",
            "state": "accepted",
            "answer": b"MSA|AA",
        }
        return StoredMessage(**(said | given))

    def event(self, n: int = 1, **given: Any) -> Event:
        said = {"id": f"event-{n:03d}", "type": "order.scheduled", "at": NOW, "text": "scheduled"}
        return Event(**(said | given))

    def delivery(self, n: int = 1, **given: Any) -> Delivery:
        said = {
            "id": f"delivery-{n:03d}",
            "destination": "ris",
            "lane": "order 1",
            "control_id": str(n),
            "not_before": NOW,
            "created_at": NOW,
            "updated_at": NOW,
        }
        return Delivery(**(said | given))

    def study(self, n: int = 1, **given: Any) -> Study:
        said = {
            "uid": f"1.2.{n}",
            "ae": "CT1",
            "patient": Identity(patient_id="77041"),
            "first_at": NOW,
            "last_at": NOW,
        }
        return Study(**(said | given))

    def instance(self, n: int = 1, **given: Any) -> Instance:
        said = {
            "sop_uid": f"1.2.1.1.{n}",
            "digest": f"digest {n}",
            "sop_class": "1.2.840.10008.5.1.4.1.1.2",
            "transfer_syntax": "1.2.840.10008.1.2.1",
            "study_uid": "1.2.1",
            "series_uid": "1.2.1.1",
            "ae": "CT1",
            "path": f"1.2.1/{n}.dcm",
            "size": 1024,
            "received_at": NOW,
        }
        return Instance(**(said | given))


def saving(*rows: Any, **given: Any) -> Job[None]:
    """Make a job that saves *rows* without looking at anything."""
    return Job(keys=(), decide=lambda held: Changes(save=rows, result=None, **given))


def finding(kind: type[Any], *key: str) -> Job[tuple[Any, ...]]:
    """Make a job that gives what it finds."""
    return Job(keys=((kind, key),), decide=lambda held: Changes(result=held.find(kind, *key)))


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def save() -> Callable[..., Job[None]]:
    return saving


@pytest.fixture
def find() -> Callable[..., Job[tuple[Any, ...]]]:
    return finding


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Name the file of a SQLite database, for what only SQLite has."""
    return tmp_path / "broker.db"


@pytest.fixture
def select(database_url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    """Look into the database past the store."""

    def look(statement: str) -> list[tuple[Any, ...]]:
        with open_engine(database_url).connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    return look


@pytest.fixture
def batches(database_url: str) -> Iterator[Batches]:
    """What runs jobs in one transaction, without the thread around it."""
    engine = open_engine(database_url)
    bring_up_to_date(engine)
    made = Batches(engine, lambda event: ())
    yield made
    made.close()


def opener(url: str) -> Callable[..., AbstractAsyncContextManager[Store]]:
    """Open the store at *url*; more than once, one after the other, for a restart."""

    def die(error: BaseException) -> None:
        raise AssertionError("the writer died") from error

    @asynccontextmanager
    async def open_store(
        fan_out: Callable[[Event], tuple[Delivery, ...]] = lambda event: (),
        on_death: Callable[[BaseException], None] = die,
    ) -> AsyncIterator[Store]:
        store = await Store.open(url, fan_out=fan_out, on_death=on_death)
        try:
            yield store
        finally:
            await store.close()

    return open_store


@pytest.fixture
def opened(database_url: str) -> Callable[..., AbstractAsyncContextManager[Store]]:
    """Open the store of the test."""
    return opener(database_url)


@pytest.fixture
def opened_file(database: Path) -> Callable[..., AbstractAsyncContextManager[Store]]:
    """Open a store on SQLite."""
    return opener(f"sqlite:///{database}")
