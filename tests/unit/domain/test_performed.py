from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.domain.performed import (
    CreateRequest,
    PerformedStep,
    SetRequest,
    StepReference,
    decide_create,
    decide_set,
)

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=20)

CREATE: dict[str, Any] = {
    "ScheduledStepAttributesSequence": [
        {
            "StudyInstanceUID": "1.2.3",
            "ReferencedStudySequence": [],
            "AccessionNumber": "A1",
            "RequestedProcedureID": "RP1",
            "RequestedProcedureDescription": "",
            "ScheduledProcedureStepID": "SP1",
            "ScheduledProcedureStepDescription": "",
            "ScheduledProtocolCodeSequence": [],
        }
    ],
    "PatientName": "Ibáñez^Núria",
    "PatientID": "77041",
    "PatientBirthDate": "19790312",
    "PatientSex": "F",
    "ReferencedPatientSequence": [],
    "PerformedProcedureStepID": "PPS1",
    "PerformedStationAETitle": "CT1",
    "PerformedStationName": "",
    "PerformedLocation": "",
    "PerformedProcedureStepStartDate": "20260401",
    "PerformedProcedureStepStartTime": "101500.250",
    "PerformedProcedureStepStatus": "IN PROGRESS",
    "PerformedProcedureStepDescription": "",
    "PerformedProcedureTypeDescription": "",
    "ProcedureCodeSequence": [],
    "PerformedProcedureStepEndDate": "",
    "PerformedProcedureStepEndTime": "",
    "Modality": "CT",
    "StudyID": "",
    "PerformedProtocolCodeSequence": [],
    "PerformedSeriesSequence": [],
}
SERIES = {
    "SeriesInstanceUID": "1.2.3.1",
    "ProtocolName": "Abdomen",
    "ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2.3.1.1"}, {"ReferencedSOPInstanceUID": "1.2.3.1.2"}],
    "ReferencedNonImageCompositeSOPInstanceSequence": [{"ReferencedSOPInstanceUID": "1.2.3.1.9"}],
}
COMPLETED: dict[str, Any] = {
    "PerformedProcedureStepStatus": "COMPLETED",
    "PerformedProcedureStepEndDate": "20260401",
    "PerformedProcedureStepEndTime": "1031",
    "PerformedSeriesSequence": [SERIES],
}


def create(strict: bool = False, existing: PerformedStep | None = None, ae: str = "CT1", **changes: Any) -> Any:
    attributes = {key: value for key, value in {**CREATE, **changes}.items() if value is not None}
    return decide_create(existing, CreateRequest(uid="1.9", ae=ae, attributes=attributes), strict=strict, now=NOW)


def update(existing: PerformedStep | None, strict: bool = False, ae: str = "CT1", **changes: Any) -> Any:
    attributes = {key: value for key, value in {**COMPLETED, **changes}.items() if value is not None}
    return decide_set(existing, SetRequest(uid="1.9", ae=ae, attributes=attributes), strict=strict, now=LATER)


def test_a_full_create_is_accepted_by_the_book() -> None:
    answer = create(strict=True)
    assert (answer.status, answer.faults) == (0x0000, ())
    performed = answer.performed
    assert (performed.status, performed.modality, performed.started) == ("IN PROGRESS", "CT", "20260401101500")
    assert performed.references == (
        StepReference(study_uid="1.2.3", step_id="SP1", procedure_id="RP1", accession="A1"),
    )
    assert (performed.patient.patient_id, performed.created_at) == ("77041", NOW)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
        ({"PerformedProcedureStepStatus": "in progress"}, 0x0106),
        ({"PerformedProcedureStepStatus": None}, 0x0120),
        ({"PerformedProcedureStepStatus": ""}, 0x0121),
        ({"ScheduledStepAttributesSequence": None}, 0x0120),
        ({"ScheduledStepAttributesSequence": []}, 0x0121),
        ({"ScheduledStepAttributesSequence": [{"StudyInstanceUID": ""}]}, 0x0121),
        ({"PerformedProcedureStepStartDate": ""}, 0x0121),
        ({"PerformedProcedureStepStartDate": "1.4."}, 0x0106),
        ({"Modality": ""}, 0x0121),
        ({"PatientName": None}, 0x0120),
    ],
)
def test_a_strict_create_is_refused_a_lenient_one_kept(changes: dict[str, Any], status: int) -> None:
    strict, lenient = create(strict=True, **changes), create(**changes)
    assert (strict.status, strict.performed) == (status, None)
    assert lenient.status == 0x0000
    assert lenient.performed.faults == lenient.faults


def test_an_empty_name_is_no_fault() -> None:
    assert create(strict=True, PatientName="").status == 0x0000


def test_a_create_with_a_meaningless_status_is_refused_by_the_lenient_too() -> None:
    assert create(PerformedProcedureStepStatus="PURPLE").status == 0x0106


def test_a_repeated_create_is_answered_again() -> None:
    first = create().performed
    answer = create(existing=first)
    assert (answer.status, answer.is_repeat) == (0x0000, True)
    assert answer.performed is first


def test_a_create_with_other_content_is_a_duplicate() -> None:
    assert create(existing=create().performed, PatientID="1").status == 0x0111


def test_a_create_by_another_caller_is_a_duplicate() -> None:
    assert create(existing=create().performed, ae="CT2").status == 0x0111


def test_the_strict_take_no_repeated_create() -> None:
    assert create(strict=True, existing=create().performed).status == 0x0111


def test_a_final_set_by_the_book() -> None:
    answer = update(create().performed, strict=True)
    assert (answer.status, answer.performed.status, answer.performed.ended) == (0, "COMPLETED", "20260401103100")
    assert answer.performed.instances == ("1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.9")
    assert (answer.performed.series, answer.performed.updated_at) == (1, LATER)


@pytest.mark.parametrize("said", ["COMPLETED ", "complete", "Completed", "COMPLETE"])
def test_an_odd_status_is_understood(said: str) -> None:
    answer = update(create().performed, PerformedProcedureStepStatus=said)
    assert (answer.status, answer.performed.status) == (0x0000, "COMPLETED")
    assert bool(answer.faults) is (said != "COMPLETED ")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepStatus": "Completed"}, 0x0106),
        ({"PerformedProcedureStepEndDate": None}, 0x0121),
        ({"PerformedSeriesSequence": []}, 0x0121),
        ({"PerformedSeriesSequence": None}, 0x0121),
        ({"PerformedSeriesSequence": [{**SERIES, "ProtocolName": ""}]}, 0x0121),
    ],
)
def test_a_strict_set_is_refused_a_lenient_one_kept(changes: dict[str, Any], status: int) -> None:
    existing = create().performed
    strict, lenient = update(existing, strict=True, **changes), update(existing, **changes)
    assert (strict.status, strict.performed) == (status, None)
    assert (lenient.status, lenient.performed.status) == (0x0000, "COMPLETED")
    assert lenient.faults


def test_a_meaningless_status_is_refused_by_the_lenient_too() -> None:
    assert update(create().performed, PerformedProcedureStepStatus="PURPLE").status == 0x0106


def test_an_unknown_step_cannot_be_set() -> None:
    assert update(None).status == 0x0112


def test_the_repeated_final_set_is_answered_again() -> None:
    final = update(create().performed).performed
    answer = update(final)
    assert (answer.status, answer.is_repeat) == (0x0000, True)
    assert answer.performed is final


@pytest.mark.parametrize(
    ("ae", "strict", "changes"),
    [
        ("CT1", False, {"PerformedProcedureStepStatus": "DISCONTINUED"}),
        ("CT2", False, {}),
        ("CT1", True, {}),
    ],
)
def test_an_ended_step_takes_no_more(ae: str, strict: bool, changes: dict[str, Any]) -> None:
    answer = update(update(create().performed).performed, strict=strict, ae=ae, **changes)
    assert (answer.status, answer.error_id, answer.performed) == (0x0110, 0xA710, None)


def test_a_sequence_replaces_the_earlier_one_and_silence_keeps_it() -> None:
    other = {**SERIES, "ReferencedImageSequence": [{"ReferencedSOPInstanceUID": "1.2.4"}]}
    running = update(create().performed, PerformedProcedureStepStatus=None).performed
    final = update(running, PerformedSeriesSequence=[other, other]).performed
    silent = update(running, strict=True, PerformedSeriesSequence=None)
    assert (running.status, final.series, final.instances) == ("IN PROGRESS", 2, ("1.2.4", "1.2.3.1.9"))
    assert (silent.status, silent.performed.instances) == (0x0000, running.instances)


def test_the_patient_does_not_change_after_create() -> None:
    existing = create().performed
    lenient = update(existing, PatientName="Other^Person")
    assert (lenient.status, lenient.performed.patient) == (0x0107, existing.patient)
    assert lenient.comment in lenient.performed.faults
    assert update(existing, strict=True, PatientName="Other^Person").status == 0x0106


def test_what_is_only_said_again_is_no_change() -> None:
    again = {key: value for key, value in CREATE.items() if key not in COMPLETED}
    answer = update(create().performed, **again)
    assert (answer.status, answer.faults) == (0x0000, ())


def test_a_step_that_ended_at_create_still_takes_its_final_set() -> None:
    ended = create(PerformedProcedureStepStatus="COMPLETED").performed
    answer = update(ended)
    assert (ended.is_final, answer.status, len(answer.performed.instances)) == (True, 0x0000, 3)


def test_the_reason_of_a_discontinuation_is_kept() -> None:
    reason = [{"CodeValue": "110514", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Incorrect worklist entry"}]
    answer = update(
        create().performed,
        PerformedProcedureStepStatus="DISCONTINUED",
        PerformedProcedureStepDiscontinuationReasonCodeSequence=reason,
    )
    assert (answer.performed.status, answer.performed.discontinuation_code) == ("DISCONTINUED", "110514")


def test_a_set_by_another_caller_is_kept_with_a_fault() -> None:
    answer = update(create().performed, ae="CT9")
    assert (answer.status, answer.faults) == (0x0000, ("N-SET by CT9, N-CREATE by CT1",))


def test_faults_add_up_each_once() -> None:
    first = create(Modality="").performed
    second = update(first, Modality="MR").performed
    third = update(replace(second, final_digest=""), Modality="MR").performed
    assert third.faults == ("Modality is missing", "Modality ignored: not for N-SET")


@pytest.mark.parametrize(
    "attributes",
    [
        {"ScheduledStepAttributesSequence": "no sequence", "PerformedSeriesSequence": ["x", {}, None]},
        {"PerformedSeriesSequence": [{"ReferencedImageSequence": [{"ReferencedSOPInstanceUID": []}]}]},
        {"PatientName": ["a", "b"], "PerformedProcedureStepStartDate": "²³٣" * 8},
        {},
    ],
)
def test_a_misshapen_data_set_is_kept_with_faults(attributes: dict[str, Any]) -> None:
    request = CreateRequest(uid="1.9", ae="CT1", attributes=attributes)
    answer = decide_create(None, request, strict=False, now=NOW)
    assert answer.status == 0x0000
    assert answer.faults
