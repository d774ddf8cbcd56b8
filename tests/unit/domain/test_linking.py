from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.domain.linking import Candidate, link
from broker.domain.order import Identity, Order, Patient, Procedure, Step, StepStatus
from broker.domain.performed import PerformedStep, StepReference

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
PATIENT = Patient(ref="p1", patient_id="77041", issuer="GENERAL", attributes={"PatientName": "Ibáñez^Núria"})
OTHER = Patient(ref="p2", patient_id="88052", issuer="GENERAL", attributes={"PatientName": "Puig^Joan"})


def step(step_id: str = "SP1", procedure_id: str = "RP1", **changes: Any) -> Step:
    return replace(Step(step_id=step_id, procedure_id=procedure_id, modality="CT", stations=("CT1",)), **changes)


def candidate(
    *steps: Step, id: str = "o1", accession: str = "A1", study: str = "1.2", patient: Patient = PATIENT
) -> Candidate:
    steps = steps or (step(),)
    procedures = {one.procedure_id: study for one in steps}
    order = Order(
        id=id,
        facility="GENERAL",
        patient_ref=patient.ref,
        accession=accession,
        procedures=tuple(Procedure(procedure_id=key, study_uid=uid) for key, uid in procedures.items()),
        steps=steps,
        created_at=NOW,
        updated_at=NOW,
    )
    return Candidate(order=order, patient=patient)


def performed(*references: StepReference, patient_id: str = "77041", **changes: Any) -> PerformedStep:
    base = PerformedStep(
        uid="1.9",
        ae="CT1",
        modality="CT",
        patient=Identity(patient_id=patient_id, name="IBANEZ^NURIA"),
        references=references,
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(base, **changes)


def refer(study: str = "", step: str = "", procedure: str = "", accession: str = "") -> StepReference:
    return StepReference(study_uid=study, step_id=step, procedure_id=procedure, accession=accession)


def found(one: PerformedStep, *candidates: Candidate) -> list[tuple[str, str]]:
    return [(key.order_id, key.step_id) for key in link(one, candidates)]


@pytest.mark.parametrize(
    "reference",
    [
        refer("1.2", "SP1"),
        refer("9.9", "SP1"),
        refer("", "SP1", "", "A1"),
        refer("", "", "RP1", "A1"),
        refer("1.2"),
        refer("", "", "", "A1"),
    ],
)
def test_a_reference_finds_its_step_by_the_best_key_it_has(reference: StepReference) -> None:
    assert found(performed(reference), candidate()) == [("o1", "SP1")]


@pytest.mark.parametrize("reference", [refer(), refer("9.9"), refer("9.9", "X", "RP1", "A9"), refer("", "", "RP1", "")])
def test_an_unscheduled_examination_has_no_step(reference: StepReference) -> None:
    assert found(performed(reference), candidate()) == []


def test_study_and_step_link_whoever_the_patient_is() -> None:
    assert found(performed(refer("1.2", "SP1"), patient_id="1"), candidate()) == [("o1", "SP1")]


@pytest.mark.parametrize("reference", [refer("", "SP1"), refer("", "", "RP1", "A1"), refer("", "", "", "A1")])
def test_weaker_keys_need_the_patient(reference: StepReference) -> None:
    assert found(performed(reference, patient_id="88052"), candidate()) == []


def test_the_same_step_id_in_two_orders_of_a_patient_goes_by_the_accession() -> None:
    both = candidate(), candidate(id="o2", accession="A2", study="1.3")
    assert found(performed(refer("", "SP1", "", "A2")), *both) == [("o2", "SP1")]
    assert found(performed(refer("", "SP1")), *both) == []


def test_a_step_id_of_another_accession_and_procedure_is_not_meant() -> None:
    assert found(performed(refer("", "SP1", "RP7", "A7")), candidate()) == []


def test_a_repeated_accession_goes_to_the_patient_it_fits() -> None:
    both = candidate(patient=OTHER), candidate(id="o2", study="1.3")
    assert found(performed(refer("", "", "RP1", "A1")), *both) == [("o2", "SP1")]


def test_without_a_step_id_the_next_step_of_the_procedure_is_meant() -> None:
    done = step("SP1", status=StepStatus.COMPLETED, start="20260401080000")
    late = step("SP3", start="20260401110000")
    soon = step("SP2", start="20260401100000")
    elsewhere = step("SP0", stations=("CT2",), start="20260401070000")
    mr = step("SP9", modality="MR", start="20260401060000")
    reference = performed(refer("1.2", "", "RP1", "A1"))
    assert found(reference, candidate(done, late, soon, elsewhere, mr)) == [("o1", "SP2")]


def test_an_accession_alone_links_only_what_is_unambiguous() -> None:
    reference = performed(refer("", "", "", "A1"))
    assert found(reference, candidate(step("SP1"), step("SP2", modality="MR"))) == [("o1", "SP1")]
    assert found(reference, candidate(step("SP1"), step("SP2"))) == []


def test_a_group_links_every_step_once() -> None:
    both = candidate(), candidate(id="o2", accession="A2", study="1.3")
    references = refer("9.9", "SP1", "RP1", "A1"), refer("9.9", "SP1", "RP1", "A2"), refer("1.2", "SP1")
    assert found(performed(*references), *both) == [("o1", "SP1"), ("o2", "SP1")]


def test_a_former_name_without_a_number_still_finds_the_patient() -> None:
    married = replace(PATIENT, former=(Identity(patient_id="1", name="Ferrer^Núria"),))
    one = performed(refer("", "SP1"), patient=Identity(patient_id="", name="FERRER^NURIA"))
    assert found(one, replace(candidate(), patient=married)) == [("o1", "SP1")]


@pytest.mark.parametrize(
    "reference",
    [refer("1.2", "SP1", "RP1", "A1"), refer("1.2", "SP1"), refer("1.2"), refer("", "SP1"), refer("", "", "RP1", "A1")],
)
@pytest.mark.parametrize("status", [StepStatus.COMPLETED, StepStatus.DISCONTINUED])
def test_an_appended_mpps_is_of_the_step_that_has_ended(reference: StepReference, status: StepStatus) -> None:
    assert found(performed(reference), candidate(step(status=status))) == [("o1", "SP1")]


@pytest.mark.parametrize(
    "references",
    [
        (refer("1.2", "SP1", "RP1", "A1"), refer("1.3", "SP2", "RP2", "A2")),
        (refer("9.9", "SP1", "RP1", "A1"), refer("9.9", "SP2", "RP2", "A2")),
        (refer("9.9", "SP1"), refer("9.9", "SP2")),
        (refer("9.9", "", "RP1", "A1"), refer("9.9", "", "RP2", "A2")),
    ],
)
def test_a_group_of_two_orders_links_the_step_of_each(references: tuple[StepReference, ...]) -> None:
    both = candidate(), candidate(step("SP2", "RP2"), id="o2", accession="A2", study="1.3")
    assert found(performed(*references), *both) == [("o1", "SP1"), ("o2", "SP2")]
