from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.domain.linking import Candidate
from broker.domain.matching import match
from broker.domain.order import Identity, Order, Patient, Procedure, Step
from broker.domain.performed import PerformedStep, StepKey
from broker.domain.study import ObjectFacts

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
NURIA = Patient(
    ref="p1",
    patient_id="77041",
    issuer="GENERAL",
    attributes={"PatientName": "Ibáñez^Núria", "PatientBirthDate": "19790312", "PatientSex": "F"},
    former=(Identity(patient_id="TMP1", name="Unknown^Woman"),),
)
JOAN = Patient(ref="p2", patient_id="88052", attributes={"PatientName": "Puig^Joan", "PatientBirthDate": "19500102"})
FOUND = Identity(patient_id="77041", issuer="GENERAL", name="IBANEZ^NURIA", birth_date="19790312", sex="F")
WRONG = Identity(patient_id="88052", name="Puig^Joan", birth_date="19500102", sex="M")


def candidate(
    id: str = "o1",
    accession: str = "A1",
    study: str = "1.2",
    step: str = "SP1",
    procedure: str = "RP1",
    modality: str = "CT",
    patient: Patient = NURIA,
    issuer: str = "",
    performed: tuple[PerformedStep, ...] = (),
) -> Candidate:
    order = Order(
        id=id,
        facility="GENERAL",
        patient_ref=patient.ref,
        accession=accession,
        accession_issuer=issuer,
        procedures=(Procedure(procedure_id=procedure, study_uid=study),),
        steps=(Step(step_id=step, procedure_id=procedure, modality=modality),),
        created_at=NOW,
        updated_at=NOW,
    )
    return Candidate(order=order, patient=patient, performed=performed)


def facts(**changes: Any) -> ObjectFacts:
    base = ObjectFacts(
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        sop_uid="7.1",
        study_uid="7",
        series_uid="7.0",
        modality="CT",
        patient=FOUND,
    )
    return replace(base, **changes)


MPPS = PerformedStep(
    uid="1.9",
    ae="CT1",
    patient=FOUND,
    links=(StepKey(order_id="o1", procedure_id="RP1", step_id="SP1"),),
    created_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    "one",
    [
        facts(study_uid="1.2"),
        facts(performed_uid="1.9"),
        facts(references=(("SP1", "RP1", "A1"),)),
        facts(references=(("SP1", "RP1", ""),)),
        facts(references=(("SP1", "", ""),)),
        facts(references=(("", "RP1", ""),)),
        facts(references=(("", "", "A1"),)),
        facts(accession="A1"),
    ],
)
def test_every_key_finds_the_order(one: ObjectFacts) -> None:
    result = match(one, [candidate(performed=(MPPS,)), candidate("o2", "A2", "1.3", "SP2", "RP2")])
    assert (result.order_ids, result.verdict) == (("o1",), "matched")
    assert list(result.scores) == ["o1"]


@pytest.mark.parametrize(
    "one",
    [
        facts(),
        facts(accession="A9"),
        facts(references=(("SP1", "RP1", "A9"),)),
        facts(patient=WRONG, references=(("SP1", "RP1", ""),)),
        facts(patient=WRONG, references=(("SP1", "", ""),)),
        facts(accession="A1", accession_issuer="NORTH"),
    ],
)
def test_what_names_no_order_is_unscheduled(one: ObjectFacts) -> None:
    result = match(one, [candidate(issuer="GENERAL")])
    assert (result.order_ids, result.verdict, result.findings) == ((), "unscheduled", ())


def test_without_candidates_it_is_unscheduled() -> None:
    assert match(facts(), []).verdict == "unscheduled"


@pytest.mark.parametrize("one", [facts(accession="A1"), facts(study_uid="1.2"), facts(references=(("SP1", "", "A1"),))])
def test_the_wrong_patient_under_the_right_keys_is_a_mismatch(one: ObjectFacts) -> None:
    result = match(replace(one, patient=WRONG), [candidate()])
    weights = {finding.attribute: finding.weight for finding in result.findings if finding.weight}
    assert (result.order_ids, result.verdict) == (("o1",), "mismatched")
    assert weights == {"PatientID": 3, "PatientName": 2, "PatientBirthDate": 2, "PatientSex": 1}
    assert ("PatientName", "Ibáñez^Núria", "Puig^Joan") in [(f.attribute, f.ordered, f.found) for f in result.findings]


@pytest.mark.parametrize(
    ("patient", "verdict"),
    [
        (Identity(patient_id="77041", name="Ibanez^Nuria^Maria^Dra"), "matched"),
        (Identity(patient_id="TMP1", name="UNKNOWN^WOMAN"), "matched"),
        (Identity(patient_id="", name=""), "matched"),
        (Identity(patient_id="77041", issuer="", name="Ibáñez^Núria"), "matched"),
        (Identity(patient_id="77041", name="Ibáñez^Marta"), "mismatched"),
        (Identity(patient_id="77041", birth_date="19790313"), "mismatched"),
        (Identity(patient_id="770410", name="Ibáñez^Núria"), "mismatched"),
        (Identity(patient_id="77041", sex="M"), "mismatched"),
        (Identity(patient_id="77041", sex="O"), "matched"),
    ],
)
def test_the_patient_is_compared_with_all_that_was_served(patient: Identity, verdict: str) -> None:
    assert match(facts(accession="A1", patient=patient), [candidate()]).verdict == verdict


def test_another_spelling_is_a_remark() -> None:
    remarks = match(facts(study_uid="1.2"), [candidate()]).findings
    assert [(one.attribute, one.ordered, one.found, one.weight) for one in remarks] == [
        ("PatientName", "Ibáñez^Núria", "IBANEZ^NURIA", 0)
    ]


@pytest.mark.parametrize(
    ("ordered", "found", "verdict"),
    [
        ("DX", "CR", "matched"),
        ("CR", "DX", "matched"),
        ("PT", "CT", "matched"),
        ("CT", "SR", "matched"),
        ("CT", "OT", "matched"),
        ("", "US", "matched"),
        ("CT", "", "matched"),
        ("CT", "MR", "mismatched"),
        ("DX", "CT", "mismatched"),
    ],
)
def test_modalities_that_belong_together(ordered: str, found: str, verdict: str) -> None:
    assert match(facts(accession="A1", modality=found), [candidate(modality=ordered)]).verdict == verdict


def test_another_accession_in_the_ordered_study_is_a_mismatch() -> None:
    result = match(facts(study_uid="1.2", accession="A9"), [candidate()])
    assert (result.order_ids, result.verdict) == (("o1",), "mismatched")


def test_a_study_uid_of_the_scanner_is_a_remark() -> None:
    result = match(facts(accession="A1"), [candidate()])
    assert (result.verdict, [one.attribute for one in result.findings]) == (
        "matched",
        ["PatientName", "StudyInstanceUID"],
    )


def test_a_group_of_orders_in_one_study_matches_each() -> None:
    group = facts(references=(("SP1", "RP1", "A1"), ("SP2", "", "")))
    orders = [candidate(), candidate("o2", "A2", "1.3", "SP2", "RP2"), candidate("o3", "A3", "1.4", "SP3", "RP3")]
    result = match(group, orders)
    assert (set(result.order_ids), result.verdict) == ({"o1", "o2"}, "matched")


def test_linked_orders_that_share_accession_or_study_match_together() -> None:
    orders = [candidate(), candidate("o2", "A1", "1.3", "SP2", "RP2"), candidate("o3", "A3", "1.2", "SP3", "RP3")]
    assert match(facts(accession="A1"), orders).order_ids == ("o1", "o2")
    assert match(facts(study_uid="1.2"), orders).order_ids == ("o1", "o3")


def test_a_repeated_accession_goes_to_the_patient_it_fits() -> None:
    orders = [candidate(patient=JOAN), candidate("o2", study="1.3")]
    result = match(facts(accession="A1"), orders)
    assert (result.order_ids, result.verdict) == (("o2",), "matched")
    assert set(result.scores) == {"o1", "o2"}


def test_what_came_from_the_worklist_is_stronger_than_a_typed_accession() -> None:
    orders = [candidate(), candidate("o2", "A2", "1.3", "SP2", "RP2")]
    assert match(facts(accession="A2", references=(("SP1", "RP1", "A1"),)), orders).order_ids == ("o1",)


@pytest.mark.parametrize(
    ("changes", "priority", "may_be_held"),
    [
        ({}, "", False),
        ({"patient": WRONG}, "", True),
        ({"patient": WRONG}, "ROUTINE", True),
        ({"patient": WRONG}, "STAT", False),
        ({"patient": WRONG}, " stat ", False),
        ({"patient": replace(FOUND, patient_id="88052")}, "", False),
        ({"patient": replace(FOUND, patient_id="88052", birth_date="19500102")}, "", True),
        ({"patient": replace(FOUND, patient_id="88052", name="PUIG^JOAN")}, "", True),
        ({"patient": replace(FOUND, name="PUIG^JOAN", birth_date="19500102")}, "", False),
        ({"patient": replace(WRONG, issuer="NORTH")}, "", False),
        ({"patient": replace(WRONG, patient_id="TMP1")}, "", False),
        ({"patient": Identity(patient_id="88052")}, "", False),
        ({"modality": "MR"}, "", False),
        ({"accession": "A9"}, "", False),
        ({"patient": WRONG, "study_uid": "7"}, "", False),
    ],
)
def test_only_another_number_with_another_name_or_birth_date_may_be_held(
    changes: dict[str, Any], priority: str, may_be_held: bool
) -> None:
    wanted = candidate(issuer="GENERAL")
    wanted = replace(wanted, order=replace(wanted.order, priority=priority))
    assert match(facts(**{"study_uid": "1.2", **changes}), [wanted]).may_be_held is may_be_held


def test_one_urgent_order_of_a_group_keeps_the_whole_study_from_being_held() -> None:
    calm, urgent = candidate(), candidate("o2", "A2", "1.3", "SP2", "RP2")
    urgent = replace(urgent, order=replace(urgent.order, priority="STAT"))
    one = facts(patient=WRONG, references=(("SP1", "RP1", "A1"), ("SP2", "RP2", "A2")))
    assert match(one, [calm]).may_be_held
    assert not match(one, [calm, urgent]).may_be_held


GROUPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "all keys": (("SP1", "RP1", "A1"), ("SP2", "RP2", "A2")),
    "step and procedure": (("SP1", "RP1", ""), ("SP2", "RP2", "")),
    "steps alone": (("SP1", "", ""), ("SP2", "", "")),
    "procedures alone": (("", "RP1", ""), ("", "RP2", "")),
    "accessions and steps": (("SP1", "", "A1"), ("SP2", "", "A2")),
}


@pytest.mark.parametrize("references", GROUPS.values(), ids=GROUPS.keys())
def test_a_group_is_matched_by_whatever_its_items_name(references: tuple[tuple[str, str, str], ...]) -> None:
    orders = [candidate(), candidate("o2", "A2", "1.3", "SP2", "RP2"), candidate("o3", "A3", "1.4", "SP3", "RP3")]
    result = match(facts(references=references), orders)
    assert (set(result.order_ids), result.verdict) == ({"o1", "o2"}, "matched")
    assert [finding for finding in result.findings if finding.weight] == []


def test_a_group_without_request_attributes_is_matched_by_its_mpps() -> None:
    links = tuple(StepKey(order_id=f"o{n}", procedure_id=f"RP{n}", step_id=f"SP{n}") for n in (1, 2))
    mpps = replace(MPPS, links=links)
    orders = [candidate(performed=(mpps,)), candidate("o2", "A2", "1.3", "SP2", "RP2", performed=(mpps,))]
    result = match(facts(performed_uid="1.9"), orders)
    assert (result.order_ids, result.verdict) == (("o1", "o2"), "matched")
