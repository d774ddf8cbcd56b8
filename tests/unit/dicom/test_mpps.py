import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.dicom.charset import get_charset
from broker.dicom.dataset import EXPLICIT, write_item
from broker.dicom.mpps import PERFORMED_STEP, MppsHandler
from broker.dicom.service import Request, Response
from broker.domain.performed import Answer, CreateRequest, PerformedStep, SetRequest, decide_create, decide_set
from broker.errors import BrokerError
from broker.ul.dimse import Command, Kind

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
CREATE: dict[str, Any] = {
    "ScheduledStepAttributesSequence": [{"StudyInstanceUID": "1.2", "ScheduledProcedureStepID": "SP1"}],
    "PatientName": "Ibáñez^Núria",
    "PatientID": "77041",
    "PerformedProcedureStepID": "P1",
    "PerformedStationAETitle": "CT1",
    "PerformedProcedureStepStartDate": "20260401",
    "PerformedProcedureStepStartTime": "101500",
    "PerformedProcedureStepStatus": "IN PROGRESS",
    "Modality": "CT",
}
FINAL: dict[str, Any] = {"PerformedProcedureStepStatus": "COMPLETED", "PerformedProcedureStepEndDate": "20260401"}


@dataclass
class Book:
    """Keeps performed steps in memory; while it is *broken* it cannot write."""

    steps: dict[str, PerformedStep] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)
    is_broken: bool = False

    async def create(self, request: CreateRequest, raw: bytes, transfer_syntax: str) -> Answer:
        return self._keep(request.uid, raw, decide_create(self.steps.get(request.uid), request, strict=False, now=NOW))

    async def set(self, request: SetRequest, raw: bytes, transfer_syntax: str) -> Answer:
        return self._keep(request.uid, raw, decide_set(self.steps.get(request.uid), request, strict=False, now=NOW))

    def _keep(self, uid: str, raw: bytes, answer: Answer) -> Answer:
        if self.is_broken:
            raise BrokerError("the disk is full", code="S001", ack="AR")
        if answer.performed is not None:
            self.steps[uid] = answer.performed
            self.raw.append(raw)
        return answer


@pytest.fixture
def book() -> Book:
    return Book()


def ask(book: Book, kind: int, content: dict[str, Any] | bytes, uid: str | None = "1.9") -> Response:
    raw = content if isinstance(content, bytes) else write_item(content, EXPLICIT, get_charset("ISO_IR 100"))
    named = {"requested_instance": uid} if kind == Kind.N_SET_RQ else {"affected_instance": uid}
    command = Command(kind=kind, message_id=1, affected_class=PERFORMED_STEP, has_data_set=True, **named)
    request = Request(
        command=command,
        abstract_syntax=PERFORMED_STEP,
        transfer_syntax=EXPLICIT,
        calling_ae="CT1",
        called_ae="BROKER",
        peer_host="127.0.0.1",
        data_set=raw,
    )
    return asyncio.run(MppsHandler(book)(request))


def test_a_step_is_created_and_completed(book: Book) -> None:
    created, done = ask(book, Kind.N_CREATE_RQ, CREATE), ask(book, Kind.N_SET_RQ, FINAL)
    assert (created.status, created.sop_instance, done.status) == (0x0000, "1.9", 0x0000)
    step = book.steps["1.9"]
    assert (step.ae, step.status, step.patient.name) == ("CT1", "COMPLETED", "Ibáñez^Núria")
    assert book.raw[0] == write_item(CREATE, EXPLICIT, get_charset("ISO_IR 100"))


def test_a_step_without_a_uid_is_given_one_and_a_repeat_the_same(book: Book) -> None:
    first, second = ask(book, Kind.N_CREATE_RQ, CREATE, uid=None), ask(book, Kind.N_CREATE_RQ, CREATE, uid=None)
    other = ask(book, Kind.N_CREATE_RQ, {**CREATE, "PerformedProcedureStepID": "P2"}, uid=None)
    assert first.sop_instance.startswith("2.25.")
    assert len(first.sop_instance) <= 64
    assert (first.sop_instance == second.sop_instance, other.sop_instance == first.sop_instance) == (True, False)
    assert len(book.steps) == 2


def test_an_ended_step_is_refused_with_its_error_id(book: Book) -> None:
    ask(book, Kind.N_CREATE_RQ, CREATE)
    ask(book, Kind.N_SET_RQ, FINAL)
    answer = ask(book, Kind.N_SET_RQ, {"PerformedProcedureStepStatus": "DISCONTINUED"})
    assert (answer.status, answer.error_id) == (0x0110, 0xA710)
    assert answer.comment


def test_an_unknown_step_is_no_such_instance(book: Book) -> None:
    assert ask(book, Kind.N_SET_RQ, FINAL).status == 0x0112


@pytest.mark.parametrize("kind", [Kind.N_GET_RQ, Kind.N_ACTION_RQ, Kind.C_FIND_RQ, 0x0999])
def test_other_operations_are_not_recognised(book: Book, kind: int) -> None:
    assert ask(book, kind, b"").status == 0x0211


@pytest.mark.parametrize("kind", [Kind.N_CREATE_RQ, Kind.N_SET_RQ])
def test_a_broken_data_set_is_a_processing_failure(book: Book, kind: int) -> None:
    assert ask(book, kind, b"\xff" * 50).status == 0x0110
    assert book.steps == {}


def test_a_store_that_cannot_write_is_a_processing_failure(book: Book) -> None:
    book.is_broken = True
    answer = ask(book, Kind.N_CREATE_RQ, CREATE)
    assert (answer.status, answer.comment) == (0x0110, "the disk is full")
