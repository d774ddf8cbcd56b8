"""The worklist handler without a network: statuses, what is kept, what is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from broker.dicom.answers import Answers
from broker.dicom.charset import CharacterSet, get_charset
from broker.dicom.dataset import EXPLICIT, IMPLICIT, read_item, write_item
from broker.dicom.find import WORKLIST_FIND, Asker, FindWorklist
from broker.dicom.service import Failure, Request, Response
from broker.domain.order import StepStatus
from broker.domain.query import Query
from broker.domain.worklist import Caller, WorklistEntry
from broker.errors import BrokerError
from broker.ul.dimse import Command, Kind

NAMES = {"PatientName": "", "PatientID": "", "ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": ""}]}


def entry(
    number: int = 1, name: str = "Doe^John", stations: tuple[str, ...] = ("CT1",), key: str = ""
) -> WorklistEntry:
    step = {"ScheduledStationAETitle": list(stations), "Modality": "CT", "ScheduledProcedureStepID": f"S{number}"}
    item = {
        "PatientName": name,
        "PatientID": str(number),
        "OtherPatientIDs": f"OLD{number}",
        "PatientBirthDate": "19790312",
        "ScheduledProcedureStepSequence": [step],
    }
    return WorklistEntry(
        key=key or str(number), item=item, status=StepStatus.SCHEDULED, stations=stations, modality="CT"
    )


def request(identifier: dict[str, Any] | bytes = NAMES, **changes: Any) -> Request:
    transfer_syntax = changes.get("transfer_syntax", IMPLICIT)
    raw = identifier if isinstance(identifier, bytes) else write_item(identifier, transfer_syntax)
    plain = Request(
        command=Command(kind=Kind.C_FIND_RQ, affected_class=WORKLIST_FIND, has_data_set=True),
        abstract_syntax=WORKLIST_FIND,
        transfer_syntax=transfer_syntax,
        calling_ae="CT1",
        called_ae="BROKER",
        peer_host="127.0.0.1",
        data_set=raw,
    )
    return replace(plain, **changes)


class Department:
    """A worklist in memory, asked through the handler."""

    def __init__(self, *entries: WorklistEntry, charset: CharacterSet | None = None, limit: int | None = None) -> None:
        self.entries = entries
        self.charset = charset
        self.limit = limit
        self.answers = Answers(limit=100_000)
        self.handler = FindWorklist(self.search, self.asker, self.answers)

    async def search(self, query: Query, caller: Caller) -> Sequence[WorklistEntry]:
        return [one for one in self.entries if query.matches(one, caller)]

    def asker(self, ae: str) -> Asker:
        return Asker(caller=Caller(ae=ae), charset=self.charset, answer_limit=self.limit)

    def ask(self, asked: Request) -> list[Response | bytes]:
        return asyncio.run(_gather(self.handler, asked))

    def items(self, asked: Request) -> list[dict[str, Any]]:
        answers = self.ask(asked)
        return [read_item(one, asked.transfer_syntax) for one in answers if isinstance(one, bytes)]


async def _gather(handler: FindWorklist, asked: Request) -> list[Response | bytes]:
    async with asyncio.timeout(10):
        given = [answer if isinstance(answer, list) else [answer] async for answer in handler(asked)]
        return [answer for together in given for answer in together]


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT])
def test_matches_are_answered_in_the_transfer_syntax_of_the_request(transfer_syntax: str) -> None:
    (item,) = Department(entry()).items(request(transfer_syntax=transfer_syntax))
    assert item == {
        "PatientName": "Doe^John",
        "PatientID": "1",
        "ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "CT1"}],
    }


def test_the_same_answer_is_encoded_once() -> None:
    department = Department(entry())
    (first,) = department.ask(request())
    (second,) = department.ask(request())
    assert first is second


def test_what_was_asked_for_does_not_tell_answers_apart() -> None:
    department = Department(entry())
    (first,) = department.ask(request({"PatientID": "1"}))
    (second,) = department.ask(request({"PatientID": ""}))
    assert first is second


def test_a_changed_entry_is_encoded_anew() -> None:
    department = Department(entry())
    department.ask(request())
    department.entries = (entry(name="Doe^Jane", key="2"),)
    (item,) = department.items(request())
    assert item["PatientName"] == "Doe^Jane"


def test_an_unassigned_step_is_answered_with_the_title_of_each_who_asks() -> None:
    department = Department(entry(stations=()))
    titles = [
        item["ScheduledProcedureStepSequence"][0]["ScheduledStationAETitle"]
        for ae in ("CT1", "CT2", "CT1")
        for item in department.items(request(calling_ae=ae))
    ]
    assert titles == ["CT1", "CT2", "CT1"]


@pytest.mark.parametrize("ae", ["CT2", "MR", "CT1\x02", "A_LONGER_TITLE_1"])
def test_an_unassigned_step_is_answered_alike_whoever_has_asked_before(ae: str) -> None:
    asked = {**NAMES, "RequestedProcedureComments": "", "PregnancyStatus": ""}
    step = replace(entry(stations=()), item={**entry().item, "RequestedProcedureComments": "\x02\x02 CT1"})
    department = Department(step, entry(2, stations=()))
    department.ask(request(asked, calling_ae="CT1"))
    assert department.ask(request(asked, calling_ae=ae)) == Department(step, entry(2, stations=())).ask(
        request(asked, calling_ae=ae)
    )


def test_scanners_share_the_answers_of_unassigned_steps() -> None:
    department = Department(*(entry(number, stations=()) for number in range(3)))
    asked = request(calling_ae="CT1")
    department.ask(asked)
    identifier = department.answers.read(asked.data_set, asked.transfer_syntax)
    assert len(department.answers.form(identifier, Caller(ae="MR7"), asked.transfer_syntax).known) == 3


def test_an_answer_found_by_an_old_id_is_not_given_to_others() -> None:
    department = Department(entry())
    by_old, by_new = ({"PatientID": "OLD1"}, {"PatientID": "1"})
    answers = [department.items(request(asked))[0] for asked in (by_old, by_new, by_old)]
    assert answers == [
        {"PatientID": "1", "OtherPatientIDs": "OLD1"},
        {"PatientID": "1"},
        {"PatientID": "1", "OtherPatientIDs": "OLD1"},
    ]


def test_no_more_answers_are_kept_than_allowed() -> None:
    department = Department(*(entry(number) for number in range(250)))
    assert len(department.items(request())) == 250
    (first, *_) = department.ask(request())
    (again, *_) = department.ask(request())
    assert first is not again


def test_an_answer_as_large_as_many_others_is_not_kept() -> None:
    department = Department(entry(name="D" * 2000))
    (first,) = department.ask(request())
    (again,) = department.ask(request())
    assert first == again
    assert first is not again


@pytest.mark.parametrize(
    ("asked", "forced", "terms", "name"),
    [
        ("", "", "ISO_IR 100", "Ibáñez^Núria"),
        ("ISO_IR 192", "", "ISO_IR 192", "Ibáñez^Núria"),
        ("", "ISO_IR 192", "ISO_IR 192", "Ibáñez^Núria"),
        ("ISO_IR 192", "ISO_IR 6", None, "Ibanez^Nuria"),
    ],
)
def test_the_character_set_of_an_answer(asked: str, forced: str, terms: str | None, name: str) -> None:
    department = Department(entry(name="Ibáñez^Núria"), charset=get_charset(forced) if forced else None)
    raw = write_item({"PatientName": ""}, IMPLICIT, get_charset(asked))
    (item,) = department.items(request(raw))
    assert (item.get("SpecificCharacterSet"), item["PatientName"]) == (terms, name)


def test_two_character_sets_never_share_an_answer() -> None:
    department = Department(entry(name="Ibáñez^Núria"))
    sets = [
        department.items(request(write_item({"PatientName": ""}, IMPLICIT, get_charset(terms))))[0][
            "SpecificCharacterSet"
        ]
        for terms in ("ISO_IR 192", "ISO_IR 100", "ISO_IR 192")
    ]
    assert sets == ["ISO_IR 192", "ISO_IR 100", "ISO_IR 192"]


def test_a_value_that_dicom_cannot_hold_is_left_out_and_the_list_still_comes() -> None:
    odd = replace(entry(1), item={**entry(1).item, "PregnancyStatus": "perhaps"})
    items = Department(odd, entry(2)).items(request({"PatientID": "", "PregnancyStatus": ""}))
    assert items == [{"PatientID": "1", "PregnancyStatus": ""}, {"PatientID": "2", "PregnancyStatus": ""}]


def test_a_key_that_is_not_compared_is_answered_with_a_warning() -> None:
    (answer,) = Department(entry()).ask(request({"PatientName": "", "Modality": "MR"}))
    assert isinstance(answer, Response)
    assert answer.status == 0xFF01


def test_a_limit_ends_the_answers_with_a_comment() -> None:
    *pending, last = Department(entry(1), entry(2), entry(3), limit=2).ask(request())
    assert len(pending) == 2
    assert isinstance(last, Response)
    assert (last.status, last.comment) == (0xA700, "3 matches, answered the first 2: ask for less")


@pytest.mark.parametrize(
    ("asked", "status", "comment"),
    [
        (request(b""), 0xA900, "no identifier"),
        (request(b"\x08\0\x50\0\xff\0\0\0A"), 0xA900, "the data set is broken"),
        (request({"PatientBirthDate": "1979"}), 0xA900, "PatientBirthDate '1979' is not a date"),
        (request(command=Command(kind=Kind.C_FIND_RQ, affected_class="1.2.3")), 0xA900, "the SOP class is not"),
        (request(command=Command(kind=Kind.C_ECHO_RQ)), 0x0211, "not supported"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(asked: Request, status: int, comment: str) -> None:
    with pytest.raises(Failure, match=comment) as caught:
        Department(entry()).ask(asked)
    assert caught.value.response.status == status


def test_the_key_at_fault_is_named() -> None:
    with pytest.raises(Failure) as caught:
        Department().ask(request({"PatientBirthDate": "1979"}))
    assert caught.value.response.offending_elements == (0x00100030,)


def test_a_store_that_cannot_be_read_is_a_failure_in_words() -> None:
    async def search(query: Query, caller: Caller) -> Sequence[WorklistEntry]:
        raise BrokerError("the store cannot be read", code="S001")

    handler = FindWorklist(search, lambda ae: Asker(caller=Caller(ae=ae)))
    with pytest.raises(Failure, match="the store cannot be read") as caught:
        asyncio.run(_gather(handler, request()))
    assert caught.value.response.status == 0xC001
