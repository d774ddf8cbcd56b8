"""What is listed, what a query is answered with, and why an order is not on a list."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

from broker.domain.answer import STUDY_MANAGEMENT, answer_item, whole_item
from broker.domain.order import StepStatus
from broker.domain.query import read_query
from broker.domain.why import why
from broker.domain.worklist import Caller, WorklistEntry, visible
from broker.domain.worklist_keys import NESTED_KEYS, REQUEST_KEYS, STEP_KEYS

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
STEP: dict[str, Any] = {
    "ScheduledStationAETitle": "CT1",
    "ScheduledProcedureStepStartDate": "20260401",
    "ScheduledProcedureStepStartTime": "101500",
    "Modality": "CT",
    "ScheduledProcedureStepID": "SP41",
    "ScheduledProtocolCodeSequence": [{"CodeValue": "A1", "CodingSchemeDesignator": "L", "CodeMeaning": "Abdomen"}],
}
ITEM: dict[str, Any] = {
    "PatientName": "Ibáñez^Núria",
    "PatientID": "77041",
    "StudyInstanceUID": "1.2.3",
    "AccessionNumber": "A41",
    "OtherPatientIDsSequence": [{"PatientID": "OLD1"}],
    "ScheduledProcedureStepSequence": [STEP],
}
ENTRY = WorklistEntry(
    key="1", item=ITEM, status=StepStatus.SCHEDULED, stations=("CT1",), modality="CT", start="20260401101500"
)
CT1 = Caller(ae="CT1", modalities={"CT1": frozenset({"CT"}), "MR1": frozenset({"MR"})})
EVERYTHING = read_query({})


def answer(entry: WorklistEntry = ENTRY, caller: Caller = CT1, **keys: Any) -> dict[str, Any]:
    query = read_query(keys)
    return dict(answer_item(entry, query, query.station(caller)))


@pytest.mark.parametrize(
    ("status", "is_listed"),
    [
        (StepStatus.SCHEDULED, True),
        (StepStatus.ARRIVED, True),
        (StepStatus.READY, True),
        (StepStatus.STARTED, True),
        (StepStatus.DEPARTED, False),
        (StepStatus.COMPLETED, False),
        (StepStatus.DISCONTINUED, False),
        (StepStatus.CANCELED, False),
        (StepStatus.ON_HOLD, False),
    ],
)
def test_a_step_is_listed_by_its_status(status: StepStatus, is_listed: bool) -> None:
    assert visible(replace(ENTRY, status=status), CT1, NOW) is is_listed


def test_a_scanner_may_hide_what_has_been_started() -> None:
    assert not visible(replace(ENTRY, status=StepStatus.STARTED), replace(CT1, hide_started=True), NOW)


@pytest.mark.parametrize(("minutes", "is_listed"), [(5, True), (10, False), (11, False)])
def test_a_completed_step_stays_for_as_long_as_is_set(minutes: int, is_listed: bool) -> None:
    entry = replace(ENTRY, status=StepStatus.COMPLETED, completed_at=NOW - timedelta(minutes=minutes))
    assert visible(entry, replace(CT1, completed_visible=timedelta(minutes=10)), NOW) is is_listed


def test_a_step_without_station_and_modality_is_listed_nowhere() -> None:
    assert not visible(replace(ENTRY, stations=(), modality=""), CT1, NOW)


def test_only_the_requested_keys_are_answered_and_all_of_them() -> None:
    found = answer(
        PatientName="*", Allergies="", ScheduledProcedureStepSequence=[{"Modality": "", "PreMedication": ""}]
    )
    assert found == {
        "PatientName": "Ibáñez^Núria",
        "Allergies": "",
        "ScheduledProcedureStepSequence": [{"Modality": "CT", "PreMedication": ""}],
    }


@pytest.mark.parametrize("asked", [[], [{}], ""])
def test_an_empty_sequence_asks_for_the_whole_item(asked: Any) -> None:
    (step,) = answer(ScheduledProcedureStepSequence=asked)["ScheduledProcedureStepSequence"]
    assert step == {**STEP, "ScheduledProcedureStepStatus": "SCHEDULED"}


def test_the_character_set_of_the_query_is_not_answered() -> None:
    assert answer(SpecificCharacterSet="ISO_IR 100", AccessionNumber="") == {"AccessionNumber": "A41"}


def test_a_private_key_that_nobody_knows_is_left_out() -> None:
    assert answer(**{"(0009,0010)": "ACME", "(0009,1001)": ""}) == {}


def test_the_referenced_study_is_that_of_the_study_uid() -> None:
    (study,) = answer(ReferencedStudySequence=[])["ReferencedStudySequence"]
    assert study == {"ReferencedSOPClassUID": STUDY_MANAGEMENT, "ReferencedSOPInstanceUID": "1.2.3"}


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (StepStatus.READY, "READY"),
        (StepStatus.DEPARTED, "DEPARTED"),
        (StepStatus.COMPLETED, "STARTED"),
        (StepStatus.DISCONTINUED, "STARTED"),
        (StepStatus.CANCELED, "SCHEDULED"),
        (StepStatus.ON_HOLD, "SCHEDULED"),
    ],
)
def test_the_status_on_the_wire_is_a_word_of_the_standard(status: StepStatus, word: str) -> None:
    keys = {"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStatus": ""}]}
    (step,) = answer(replace(ENTRY, status=status), **keys)["ScheduledProcedureStepSequence"]
    assert step == {"ScheduledProcedureStepStatus": word}


@pytest.mark.parametrize(
    ("stations", "asked", "answered"),
    [
        ((), "", "CT1"),
        ((), "CT2", "CT2"),
        ((), "CT*", "CT1"),
        ((), "MR*", "CT1"),
        ((), ["CT9", "CT8"], "CT8"),
        (("CT3",), "", "CT3"),
        (("CT3", "CT4"), "CT3", ["CT3", "CT4"]),
    ],
)
def test_the_station_that_is_answered(stations: tuple[str, ...], asked: Any, answered: Any) -> None:
    keys = {"ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": asked}]}
    (step,) = answer(replace(ENTRY, stations=stations), **keys)["ScheduledProcedureStepSequence"]
    assert step == {"ScheduledStationAETitle": answered}


def test_a_patient_found_by_an_old_id_is_answered_with_both() -> None:
    assert answer(PatientID="OLD1") == {"PatientID": "77041", "OtherPatientIDsSequence": [{"PatientID": "OLD1"}]}


def test_the_whole_item_is_what_a_query_for_everything_gets() -> None:
    found = whole_item(replace(ENTRY, stations=()), "CT7")
    assert found["ScheduledProcedureStepSequence"][0]["ScheduledStationAETitle"] == "CT7"
    assert found["PatientName"] == "Ibáñez^Núria"


@pytest.mark.parametrize(
    ("changes", "keys", "reasons"),
    [
        ({}, {}, []),
        ({"status": StepStatus.COMPLETED}, {}, ["the step is completed"]),
        ({"status": StepStatus.ON_HOLD}, {}, ["the order is on hold"]),
        (
            {"stations": (), "modality": "MR"},
            {},
            ["its modality is MR, that of CT1 is CT; no station is assigned"],
        ),
        ({"stations": (), "modality": ""}, {}, ["it has neither a station nor a modality: assign one"]),
        (
            {"stations": ("CT2", "CT3")},
            {"ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "CT1"}]},
            ["it is assigned to CT2, CT3; asked for was CT1"],
        ),
        (
            {},
            {"ScheduledProcedureStepSequence": [{"ScheduledStationAETitle": "ct1"}]},
            ["it is assigned to CT1; asked for was ct1 (only upper and lower case differ)"],
        ),
        (
            {},
            {
                "ScheduledProcedureStepSequence": [
                    {"ScheduledProcedureStepStartDate": "20260402-", "ScheduledProcedureStepStartTime": "08-"}
                ]
            },
            ["its start is 20260401 101500; asked for was 20260402- 08-"],
        ),
        (
            {"start": ""},
            {"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStartDate": "20260402"}]},
            ["its start is not known; asked for was 20260402"],
        ),
        (
            {},
            {"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepStatus": "READY", "Modality": "MR"}]},
            [
                "Scheduled Procedure Step Status is SCHEDULED; asked for was READY",
                "Modality is CT; asked for was MR",
            ],
        ),
        ({}, {"PatientID": "1"}, ["Patient ID is 77041; asked for was 1"]),
        (
            {},
            {"AccessionNumber": "a41"},
            ["Accession Number is A41; asked for was a41 (only upper and lower case differ)"],
        ),
        ({}, {"Allergies": "nuts"}, ["Allergies is empty; asked for was nuts"]),
        (
            {},
            {"RequestedProcedureCodeSequence": [{"CodeValue": "X"}]},
            ["no item of Requested Procedure Code Sequence is what was asked for"],
        ),
    ],
)
def test_why_an_order_is_not_on_a_list(changes: Any, keys: Any, reasons: list[str]) -> None:
    assert why(replace(ENTRY, **changes), read_query(keys), CT1, NOW) == reasons


def test_without_a_query_the_usual_one_of_the_scanner_is_meant() -> None:
    assert why(replace(ENTRY, stations=("CT2",)), None, CT1, NOW) == ["it is assigned to CT2; asked for was CT1"]


VRS = {
    "text": {"AE", "AS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"},
    "code": {"CS"},
    "uid": {"UI"},
    "name": {"PN"},
    "number": {"DS", "IS", "US"},
    "date": {"DA"},
    "time": {"TM"},
    "sequence": {"SQ"},
}


@pytest.mark.parametrize("keys", [REQUEST_KEYS, STEP_KEYS, NESTED_KEYS])
def test_every_key_is_compared_as_its_value_representation_wants(keys: dict[str, str]) -> None:
    assert [k for k, kind in keys.items() if dictionary_VR(tag_for_keyword(k) or 0) not in VRS[kind]] == []
