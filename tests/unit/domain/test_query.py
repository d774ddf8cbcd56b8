"""What matches a worklist query, key by key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.domain.order import StepStatus
from broker.domain.query import Criteria, read_query
from broker.domain.worklist import Caller, WorklistEntry
from broker.errors import BrokerError

STEP: dict[str, Any] = {
    "ScheduledStationAETitle": "CT1",
    "ScheduledProcedureStepStartDate": "20260401",
    "ScheduledProcedureStepStartTime": "223000",
    "ScheduledProcedureStepEndDate": "20260402",
    "ScheduledProcedureStepEndTime": "0010",
    "Modality": "CT",
    "ScheduledProcedureStepID": "SP41",
    "ScheduledProcedureStepDescription": "CT abdomen",
    "ScheduledStationName": "Room 4",
    "ScheduledProcedureStepLocation": "East",
    "ScheduledPerformingPhysicianName": "Curie^Marie",
    "PreMedication": "none",
    "RequestedContrastAgent": "Iohexol",
    "CommentsOnTheScheduledProcedureStep": "in a wheelchair\r\nwith a nurse",
    "ScheduledProtocolCodeSequence": [
        {"CodeValue": "A1", "CodingSchemeDesignator": "L", "CodeMeaning": "Abdomen"},
        {"CodeValue": "B2", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Pelvis"},
    ],
}
ITEM: dict[str, Any] = {
    "PatientName": "Ibáñez^Núria^^Dra",
    "PatientID": "77041",
    "IssuerOfPatientID": "GENERAL",
    "PatientBirthDate": "19790312",
    "PatientSex": "F",
    "PatientWeight": "70.0",
    "PregnancyStatus": "4",
    "MedicalAlerts": ["latex", "pacemaker"],
    "AccessionNumber": "A41",
    "StudyInstanceUID": "1.2.3",
    "RequestedProcedureID": "RP41",
    "RequestedProcedureDescription": "CT abdomen with contrast",
    "RequestedProcedurePriority": "STAT",
    "RequestingPhysician": "Bohr^Niels",
    "ReferringPhysicianName": "Meitner^Lise",
    "CurrentPatientLocation": "Ward 3",
    "PlacerOrderNumberImagingServiceRequest": "P41",
    "IssuerOfAccessionNumberSequence": [{"LocalNamespaceEntityID": "RIS"}],
    "OtherPatientIDsSequence": [{"PatientID": "OLD1", "IssuerOfPatientID": "CLINIC"}],
    "OtherPatientIDs": ["OLD2", "OLD3"],
    "ScheduledProcedureStepSequence": [STEP],
}
ENTRY = WorklistEntry(
    key="1", item=ITEM, status=StepStatus.ARRIVED, stations=("CT1",), modality="CT", start="20260401223000"
)
CT1 = Caller(ae="CT1", modalities={"CT1": frozenset({"CT"}), "MR1": frozenset({"MR"})})


def is_match(entry: WorklistEntry = ENTRY, caller: Caller = CT1, step: Any = None, **keys: Any) -> bool:
    identifier = {**keys, **({"ScheduledProcedureStepSequence": [step]} if step else {})}
    return read_query(identifier).matches(entry, caller)


@pytest.mark.parametrize(
    ("keyword", "asked", "matches"),
    [
        ("AccessionNumber", "A41", True),
        ("AccessionNumber", " A41 ", True),
        ("AccessionNumber", "A4", False),
        ("AccessionNumber", "a41", False),
        ("AccessionNumber", "A4*", True),
        ("AccessionNumber", "A4?", True),
        ("AccessionNumber", "A?", False),
        ("AccessionNumber", "*1", True),
        ("AccessionNumber", "*", True),
        ("AccessionNumber", ["B1", "A41"], True),
        ("RequestedProcedureID", "RP41", True),
        ("RequestedProcedureID", "RP42", False),
        ("RequestedProcedureDescription", "CT*contrast", True),
        ("RequestedProcedurePriority", "ROUTINE", False),
        ("PlacerOrderNumberImagingServiceRequest", "P41", True),
        ("CurrentPatientLocation", "Ward ?", True),
        ("StudyInstanceUID", ["1.2.4", "1.2.3"], True),
        ("StudyInstanceUID", ["1.2.4", "1.2.5"], False),
        ("StudyInstanceUID", "1.2.*", False),
        ("PatientSex", "f", True),
        ("PatientSex", "M", False),
        ("PatientWeight", "70", True),
        ("PatientWeight", "71", False),
        ("PregnancyStatus", "4", True),
        ("MedicalAlerts", "pace*", True),
        ("MedicalAlerts", "nickel", False),
        ("PatientBirthDate", "19790312", True),
        ("PatientBirthDate", "1979.03.12", True),
        ("PatientBirthDate", "19790101-19791231", True),
        ("PatientBirthDate", "-19790311", False),
        ("RequestingPhysician", "BOHR^*", True),
        ("ReferringPhysicianName", "meitner^lise", True),
        ("Allergies", "latex", False),
        ("Allergies", "*", True),
        ("IssuerOfPatientID", "GENERAL", True),
        ("IssuerOfPatientID", "CLINIC", False),
        ("IssuerOfAccessionNumberSequence", [{"LocalNamespaceEntityID": "RIS"}], True),
        ("IssuerOfAccessionNumberSequence", [{"LocalNamespaceEntityID": "PACS"}], False),
        ("IssuerOfAccessionNumberSequence", [{"LocalNamespaceEntityID": ""}], True),
        ("RequestedProcedureCodeSequence", [{"CodeValue": "X"}], False),
        ("RequestedProcedureCodeSequence", [], True),
        ("Modality", "MR", True),
        ("(0009,1001)", "whatever", True),
    ],
)
def test_a_key_beside_the_step(keyword: str, asked: Any, matches: bool) -> None:
    assert is_match(**{keyword: asked}) is matches


@pytest.mark.parametrize(
    ("keyword", "asked", "matches"),
    [
        ("ScheduledStationAETitle", "CT1 ", True),
        ("ScheduledStationAETitle", "CT2", False),
        ("ScheduledStationAETitle", "CT?", True),
        ("ScheduledStationAETitle", ["CT2", "CT1"], True),
        ("Modality", "ct", True),
        ("Modality", "MR", False),
        ("Modality", ["MR", "CT"], True),
        ("ScheduledPerformingPhysicianName", "cur*", True),
        ("ScheduledProcedureStepID", "SP41", True),
        ("ScheduledProcedureStepID", "SP42", False),
        ("ScheduledProcedureStepDescription", "*ABDOMEN*", False),
        ("ScheduledProcedureStepDescription", "*abdomen*", True),
        ("ScheduledStationName", "Room 4", True),
        ("ScheduledProcedureStepLocation", "West", False),
        ("PreMedication", "none", True),
        ("RequestedContrastAgent", "I*", True),
        ("CommentsOnTheScheduledProcedureStep", "*nurse", True),
        ("ScheduledProcedureStepStatus", "ARRIVED", True),
        ("ScheduledProcedureStepStatus", "SCHEDULED", False),
        ("ScheduledProcedureStepStatus", ["SCHEDULED", "ARRIVED"], True),
        ("ScheduledProcedureStepEndDate", "20260402", True),
        ("ScheduledProcedureStepEndTime", "0000-0010", True),
        ("ScheduledProcedureStepEndTime", "0011-", False),
        ("ScheduledProtocolCodeSequence", [{"CodeValue": "B2", "CodingSchemeDesignator": "SCT"}], True),
        ("ScheduledProtocolCodeSequence", [{"CodeValue": "A1", "CodingSchemeDesignator": "SCT"}], False),
        ("ScheduledProtocolCodeSequence", [{"CodeMeaning": "Pel*"}], True),
        ("PatientName", "Nobody", True),
    ],
)
def test_a_key_of_the_step(keyword: str, asked: Any, matches: bool) -> None:
    assert is_match(step={keyword: asked}) is matches


@pytest.mark.parametrize(
    ("name", "asked", "matches"),
    [
        ("Ibáñez^Núria^^Dra", "IBANEZ^NURIA^^DRA", True),
        ("Ibáñez^Núria^^Dra", "ibañez*", True),
        ("Ibáñez^Núria^^Dra", "Ibanez", False),
        ("Ibáñez^Núria^^Dra", "Ibanez^N*", True),
        ("Ibáñez^Núria^^Dra", "Ib*^Nuria", True),
        ("Ibáñez^Núria^^Dra", "*^Nuria*", True),
        ("Ibáñez^Núria^^Dra", "*^Anna*", False),
        ("Doe^John", "Doe^John^^^", True),
        ("Doe^John^^", "doe ^ john", True),
        ("Doe", "Doe^*", True),
        ("Doe", "^", True),
        ("Doe^J", "Doe^?", True),
        ("Weiß^Łucja", "WEISS^LUCJA", True),
        ("Ødegård^Åse", "odegard*", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "yamada*", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田*", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^太郎", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada*=山*", True),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada*=川*", False),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ*", True),
        ("ガ", "カ", False),
        ("김^희중", "김*", True),
        ("Люксембург^Роза", "ЛЮКС*", True),
        ("", "Doe", False),
        ("", "*", True),
    ],
)
def test_a_name_is_found_without_case_and_accents(name: str, asked: str, matches: bool) -> None:
    entry = replace(ENTRY, item={**ITEM, "PatientName": name})
    assert is_match(entry, PatientName=asked) is matches


@pytest.mark.parametrize(
    ("date", "time", "matches"),
    [
        ("20260401", "", True),
        ("20260402", "", False),
        ("20260401-20260403", "", True),
        ("20260402-", "", False),
        ("-20260401", "", True),
        ("-", "", True),
        ("", "2230", True),
        ("", "22", True),
        ("", "2229", False),
        ("", "2200-2300", True),
        ("", "2200-0600", True),
        ("", "2300-0600", False),
        ("", "22:30:00", True),
        ("20260401", "223000.000000", True),
        ("20260401", "2200-2300", True),
        ("20260401", "2200-0600", True),
        ("20260331", "2200-0600", False),
        ("20260401", "-2200", False),
        ("20260401-20260402", "2300-0600", False),
        ("20260331-20260402", "2300-0600", True),
        ("20260331-20260401", "0800-2230", True),
        ("20260331-20260401", "0800-2229", False),
        ("20260401-", "2300-0600", False),
        ("20260331-", "2300-0600", True),
        ("20260331-20260402", "0800", False),
        ("20260331-20260402", "2230", True),
        ("20260401", "0000-2400", True),
        (["20260331", "20260401"], "", True),
    ],
)
def test_date_and_time_of_the_start_are_one_interval(date: Any, time: str, matches: bool) -> None:
    step = {"ScheduledProcedureStepStartDate": date, "ScheduledProcedureStepStartTime": time}
    assert is_match(step=step) is matches


@pytest.mark.parametrize(
    ("keyword", "asked"),
    [
        ("PatientBirthDate", "1979"),
        ("PatientBirthDate", "20260402-20260401"),
        ("PatientBirthTime", "8 am"),
        ("PatientWeight", "heavy"),
        ("PatientBirthDate", "²0260401"),
    ],
)
def test_a_key_that_cannot_be_read_is_named(keyword: str, asked: str) -> None:
    with pytest.raises(BrokerError) as caught:
        read_query({keyword: asked})
    assert caught.value.location == keyword


def test_a_step_without_a_start_matches_no_date() -> None:
    entry = replace(ENTRY, start="")
    assert not is_match(entry, step={"ScheduledProcedureStepStartDate": "20260401-"})


@pytest.mark.parametrize("patient_id", ["77041", "OLD1", "OLD2", "OLD3"])
def test_a_patient_is_found_by_the_id_of_today_and_those_of_old(patient_id: str) -> None:
    assert is_match(PatientID=patient_id)


@pytest.mark.parametrize(
    ("patient_id", "issuer", "matches"),
    [
        ("77041", "GENERAL", True),
        ("77041", "CLINIC", False),
        ("OLD1", "CLINIC", True),
        ("OLD1", "GENERAL", False),
        ("OLD2", "ANY", True),
    ],
)
def test_an_id_is_compared_together_with_its_issuer(patient_id: str, issuer: str, matches: bool) -> None:
    assert is_match(PatientID=patient_id, IssuerOfPatientID=issuer) is matches


def test_a_step_for_several_stations_is_found_by_any() -> None:
    entry = replace(ENTRY, stations=("CT2", "CT1"))
    assert is_match(entry, step={"ScheduledStationAETitle": "CT1"})


def test_a_step_of_another_station_is_not_hidden_unless_the_query_asks() -> None:
    assert is_match(replace(ENTRY, stations=("CT9",)))


@pytest.mark.parametrize(
    ("caller", "station", "matches"),
    [
        ("CT1", "", True),
        ("CT1", "CT1", True),
        ("MR1", "MR1", False),
        ("MR1", "", False),
        ("UNKNOWN", "UNKNOWN", True),
        ("UNKNOWN", "MR1", False),
        ("MR1", "CT1", True),
        ("CT1", "*", True),
        ("CT1", "C*", True),
    ],
)
def test_an_unassigned_step_is_for_every_scanner_of_its_modality(caller: str, station: str, matches: bool) -> None:
    entry = replace(ENTRY, stations=())
    assert is_match(entry, replace(CT1, ae=caller), {"ScheduledStationAETitle": station}) is matches


def test_a_step_without_station_and_modality_is_for_no_scanner() -> None:
    assert not is_match(replace(ENTRY, stations=(), modality=""))


def test_an_empty_query_asks_for_everything() -> None:
    assert is_match()
    assert read_query({}).criteria() == Criteria()


def test_what_a_store_can_select_by_is_told() -> None:
    step = {
        "ScheduledStationAETitle": "CT1",
        "Modality": ["MR", "CT"],
        "ScheduledProcedureStepID": "SP41",
        "ScheduledProcedureStepStartDate": "20260401-20260402",
        "ScheduledProcedureStepStartTime": "2200-",
    }
    query = read_query(
        {
            "PatientID": "77041",
            "AccessionNumber": "A41",
            "RequestedProcedureID": "RP*",
            "StudyInstanceUID": ["1.2.4", "1.2.3"],
            "PatientName": "Ibáñ*^N*",
            "ScheduledProcedureStepSequence": [step],
        }
    )
    assert query.criteria() == Criteria(
        patient_ids=("77041",),
        accessions=("A41",),
        step_ids=("SP41",),
        study_uids=("1.2.3", "1.2.4"),
        modalities=("CT", "MR"),
        stations=("CT1",),
        start_from="20260401220000",
        start_to="20260402235959",
        name_prefix="iban",
    )


def test_keys_that_are_not_compared_are_told() -> None:
    query = read_query({"PatientName": "A*", "Modality": "CT", "PatientState": "", "(0009,1001)": "x"})
    assert query.ignored == ("Modality", "(0009,1001)")
