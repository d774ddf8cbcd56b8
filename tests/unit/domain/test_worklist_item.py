"""From the levels of an order to one worklist item."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from broker.domain.order import Identity, Order, Patient, Procedure, Step
from broker.domain.worklist_item import compose, entry

NOW = datetime(2026, 4, 1, tzinfo=UTC)
STEP = Step(
    step_id="S1",
    procedure_id="RP1",
    modality="CT",
    stations=("CT1",),
    start="20260401101500",
    attributes={"ScheduledProcedureStepDescription": "CT abdomen"},
)
PROCEDURE = Procedure(
    procedure_id="RP1",
    study_uid="1.2.3",
    attributes={"RequestedProcedureDescription": "CT abdomen", "StudyInstanceUID": ""},
)
ORDER = Order(
    id="order",
    facility="GENERAL",
    patient_ref="ref",
    accession="A1",
    attributes={"ReferringPhysicianName": "Ward^Ann", "AccessionNumber": "as it was said"},
    procedures=(PROCEDURE,),
    steps=(STEP,),
    created_at=NOW,
    updated_at=NOW,
)
PATIENT = Patient(ref="ref", patient_id="77041", issuer="GENERAL", attributes={"PatientName": "Ibáñez^Núria"})


def test_an_item_joins_all_levels_and_what_the_broker_knows_stands():
    assert compose(PATIENT, ORDER, PROCEDURE, STEP) == {
        "PatientName": "Ibáñez^Núria",
        "PatientID": "77041",
        "IssuerOfPatientID": "GENERAL",
        "ReferringPhysicianName": "Ward^Ann",
        "AccessionNumber": "A1",
        "StudyInstanceUID": "1.2.3",
        "RequestedProcedureID": "RP1",
        "RequestedProcedureDescription": "CT abdomen",
        "ScheduledProcedureStepSequence": [
            {
                "ScheduledProcedureStepDescription": "CT abdomen",
                "ScheduledStationAETitle": "CT1",
                "ScheduledProcedureStepStartDate": "20260401",
                "ScheduledProcedureStepStartTime": "101500",
                "Modality": "CT",
                "ScheduledProcedureStepID": "S1",
            }
        ],
    }


@pytest.mark.parametrize(("stations", "value"), [((), ""), (("CT1",), "CT1"), (("CT1", "CT2"), ["CT1", "CT2"])])
def test_several_stations_are_several_values(stations, value):
    step = Step(step_id="S1", procedure_id="RP1", stations=stations)

    (item,) = compose(PATIENT, ORDER, PROCEDURE, step)["ScheduledProcedureStepSequence"]

    assert item["ScheduledStationAETitle"] == value


def test_numbers_of_old_join_the_other_patient_ids_each_once():
    elsewhere = {"PatientID": "N1", "IssuerOfPatientID": "NATIONAL", "TypeOfPatientID": "TEXT"}
    former = (
        Identity(patient_id="77041", issuer="GENERAL", name="Ibanez^Nuria"),
        Identity(patient_id="OLD", issuer="GENERAL"),
        Identity(patient_id="OLD", issuer="GENERAL", name="another name"),
        Identity(patient_id="N1", issuer="NATIONAL"),
        Identity(patient_id=""),
    )
    patient = Patient(
        ref="ref",
        patient_id="77041",
        issuer="GENERAL",
        attributes={"OtherPatientIDsSequence": [elsewhere]},
        former=former,
    )

    item = compose(patient, ORDER, PROCEDURE, STEP)

    assert [(one["PatientID"], one["IssuerOfPatientID"]) for one in item["OtherPatientIDsSequence"]] == [
        ("N1", "NATIONAL"),
        ("OLD", "GENERAL"),
    ]
    assert patient.attributes == {"OtherPatientIDsSequence": [elsewhere]}


def test_an_entry_of_a_step_without_its_procedure_has_no_study():
    found = entry("key", PATIENT, ORDER, Step(step_id="S2", procedure_id="RP2"))

    assert (found.key, found.order_id, found.item["StudyInstanceUID"]) == ("key", "order", "")
