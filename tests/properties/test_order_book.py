"""However the writer gathers jobs into transactions, and however senders come in between each other: the same order book."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.config.mapping_files import read_mapping_files
from broker.domain.order import Order, Patient
from broker.domain.performed import CreateRequest, PerformedStep, SetRequest
from broker.mapping.catalogue import Catalogue
from broker.observe.metrics import Metrics
from broker.ports import Changes, Held, Job
from broker.services.intake import Intake
from broker.services.performed import PerformedSteps
from broker.services.progress import Rules
from broker.services.received import ListenerRules
from broker.store.batch import Batches
from broker.store.dialects import open_engine
from broker.store.schema import bring_up_to_date
from broker.store.tables import metadata

MAPPINGS = Path(__file__).parents[2] / "mappings"
ZONE = ZoneInfo("Europe/Madrid")
CROSSED = (("A1", "A1"), ("A1", "A2"), ("A2", "A1"), ("A2", "A2"))
"""Order number and accession number of messages after which two orders have one number: the first to have it keeps it."""

Ask = tuple[str, ...]
"""``("order", ...)`` is a message, ``("create" | "end", ...)`` an MPPS."""


@cache
def shipped() -> Catalogue:
    catalogue, _ = Catalogue.load(read_mapping_files(MAPPINGS))
    assert catalogue is not None
    return catalogue


def message(control: str, number: str, accession: str, patient: str, hour: str, control_id: str) -> bytes:
    return "\r".join(
        (
            f"MSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|{control_id}|P|2.3.1||||||UNICODE UTF-8",
            f"PID|1||{patient}^^^G||NAME^{patient}||19790312|F",
            f"ORC|{control}|P{number}^HIS|F{number}^RIS||||^^^20260401{hour}0000^^R",
            f"OBR|1|P{number}^HIS|F{number}^RIS|CT^CT^L||||||||||||||{accession}|R{accession}|S{accession}||||CT",
        )
    ).encode()


def asks(accessions: Sequence[str], patients: Sequence[str]) -> st.SearchStrategy[Ask]:
    """What may come: orders, changes (of the accession number too) and cancels, some twice, some of the wrong patient; MPPS."""
    orders = st.tuples(
        st.just("order"),
        st.sampled_from(["NW", "NW", "XO", "CA", "HD", "RL", "DC", "ZZ"]),
        st.sampled_from(accessions),
        st.sampled_from(accessions),
        st.sampled_from(patients),
        st.sampled_from(["08", "14"]),
        st.sampled_from(["1", "2"]),
    )
    begun = st.tuples(st.just("create"), st.sampled_from(accessions))
    ended = st.tuples(st.just("end"), st.sampled_from(accessions), st.sampled_from(["COMPLETED", "DISCONTINUED"]))
    return orders | orders | orders | begun | ended


class Gathering:
    """A writer that keeps the jobs until somebody runs them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Job[Any], asyncio.Future[Any]]] = []

    async def run(self, job: Job[Any]) -> Any:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((job, future))
        return await future


class Book:
    """The use cases over a real database, one transaction a group."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        bring_up_to_date(self.engine)

    def write(self, asked: Sequence[Ask], groups: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
        """Empty the book, let *asked* come, run it in transactions of *groups* jobs; give all rows."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            for table in metadata.sorted_tables:
                connection.execute(table.delete())
            connection.exec_driver_sql("COMMIT")
        batches = Batches(self.engine, fan_out=lambda event: ())
        try:
            asyncio.run(self._write(asked, iter(groups), batches))
        finally:
            batches.close()
        return self._rows()

    async def _write(self, asked: Sequence[Ask], groups: Iterator[int], batches: Batches) -> None:
        writer, numbers, moments = Gathering(), count(), count()
        clock: Callable[[], datetime] = lambda: datetime(2026, 4, 1, tzinfo=UTC) + timedelta(seconds=next(moments))  # noqa: E731
        ids: Callable[[], str] = lambda: f"{next(numbers):026d}"  # noqa: E731
        intake = Intake(writer, shipped, ZONE, clock, ids, Metrics())
        rules = Rules(quiet=None, forward_to=(), zone=ZONE)
        performed = PerformedSteps(writer, rules, frozenset(), clock, ids, Metrics())
        tasks = [asyncio.create_task(self._come(intake, performed, one)) for one in asked]
        await asyncio.sleep(0)
        while writer.waiting:
            size = next(groups, 1)
            taken, writer.waiting = writer.waiting[:size], writer.waiting[size:]
            outcomes = batches.run([job for job, _ in taken])
            for (_, future), outcome in zip(taken, outcomes, strict=True):
                assert outcome.error is None
                future.set_result(outcome.result)
        await asyncio.gather(*tasks)

    async def _come(self, intake: Intake, performed: PerformedSteps, asked: Ask) -> object:
        kind, *said = asked
        if kind == "order":
            return await intake.handle(message(*said), ListenerRules(name="his"))
        if kind == "create":
            return await performed.create(
                CreateRequest(uid=f"1.{said[0]}", ae="CT1", attributes=begun(said[0])), b"", ""
            )
        attributes = {"PerformedProcedureStepStatus": said[1], "PerformedSeriesSequence": []}
        return await performed.set(SetRequest(uid=f"1.{said[0]}", ae="CT1", attributes=attributes), b"", "")

    def shown(self) -> dict[str, Any]:
        """Give what a person sees of the book: without our identifiers and moments."""
        batches = Batches(self.engine, fan_out=lambda event: ())
        found = {}
        try:
            for accession in ("A1", "A2", "B1", "B2"):
                keys = ((Order, ("accession", accession)),)
                (outcome,) = batches.run([Job(keys=keys, decide=lambda held, key=keys[0]: _life(held, *key[1]))])
                found[accession] = outcome.result
        finally:
            batches.close()
        return found

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        found = {}
        with self.engine.connect() as connection:
            for table in metadata.sorted_tables:
                columns = [column for column in table.columns if not column.name.endswith("version")]
                rows = connection.execute(table.select().with_only_columns(*columns)).mappings()
                found[table.name] = sorted((dict(row) for row in rows), key=repr)
        return found


def _life(held: Held, *key: str) -> Changes[list[Any]]:
    lives = [
        (
            order.status,
            order.is_cancel_asked,
            [(step.key, step.status, step.start) for step in order.steps],
            [(patient.patient_id, patient.attributes) for patient in held.find(Patient, "ref", order.patient_ref)],
            [(one.uid, one.status) for one in held.find(PerformedStep, "order", order.id)],
        )
        for order in held.find(Order, *key)
    ]
    return Changes(result=sorted(lives, key=repr))


def begun(accession: str) -> dict[str, Any]:
    return {
        "ScheduledStepAttributesSequence": [
            {"AccessionNumber": accession, "ScheduledProcedureStepID": f"S{accession}"}
        ],
        "PatientID": "1",
        "PerformedStationAETitle": "CT1",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "Modality": "CT",
    }


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    made = Book(database_url)
    yield made
    made.engine.dispose()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(asks(["A1", "A2", "A3"], ["1", "2"]), min_size=2, max_size=10),
    groups=st.lists(st.integers(1, 8), min_size=1, max_size=8),
)
@example(asked=[("order", "NW", *pair, "1", "08", "1") for pair in CROSSED], groups=[4])
def test_jobs_in_any_transactions_make_the_same_book(book: Book, asked: list[Ask], groups: list[int]) -> None:
    together = book.write(asked, groups)

    assert together == book.write(asked, [])
    assert bool(together["messages"]) == any(kind == "order" for kind, *_ in asked)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mine=st.lists(asks(["A1", "A2"], ["1", "2"]), min_size=1, max_size=6),
    yours=st.lists(asks(["B1", "B2"], ["3", "4"]), min_size=1, max_size=6),
    turns=st.lists(st.booleans(), max_size=12),
    groups=st.lists(st.integers(1, 8), max_size=8),
)
def test_senders_that_come_in_between_each_other_make_the_same_book(
    book: Book, mine: list[Ask], yours: list[Ask], turns: list[bool], groups: list[int]
) -> None:
    rest, mixed = {True: list(mine), False: list(yours)}, []
    for turn in turns:
        mixed += [rest[turn].pop(0)] if rest[turn] else []
    mixed += rest[True] + rest[False]

    book.write(mixed, groups)
    together = book.shown()
    book.write([*mine, *yours], [])

    assert together == book.shown()
