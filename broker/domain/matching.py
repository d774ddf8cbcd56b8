"""Does an arriving object belong to an order: keys, findings, verdict (policies 6.2 and 6.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from broker.domain.identity import Answer, Likeness, compare, is_other_issuer
from broker.domain.linking import Candidate
from broker.domain.modalities import is_possible
from broker.domain.order import Order
from broker.domain.study import Finding, ObjectFacts, Verdict

STUDY, PERFORMED, REQUEST, ACCESSION, STEP, PATIENT = 32, 32, 16, 8, 4, 2
"""What each key adds to a score: it sorts orders for people; the verdict follows from keys and findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The orders that an object belongs to, each once, and how it differs from them.

    *scores* has every candidate that some key named, by order id. Findings with a weight made it mismatched.
    *may_be_held*: it is somebody else's by all that is known, and no order is urgent (policies 6.1).
    """

    order_ids: tuple[str, ...] = ()
    verdict: Verdict = "unscheduled"
    findings: tuple[Finding, ...] = ()
    scores: Mapping[str, int] = field(default_factory=dict)
    may_be_held: bool = False


@dataclass(frozen=True, slots=True)
class _Ranked:
    candidate: Candidate
    likeness: Likeness
    score: int


def match(facts: ObjectFacts, candidates: Sequence[Candidate]) -> Match:
    """Match an object with the orders that may be meant.

    What came from the worklist decides first (Study UID, MPPS, Request Attributes), then the accession number, then a
    step or procedure ID of the same patient; the patient alone names no order. Of several patients under one key the
    one who fits is meant; when none does, it is a mismatch.
    """
    ranked = [_rank(facts, candidate) for candidate in candidates]
    scores = {one.candidate.order.id: one.score for one in ranked if one.score >= STEP}
    for threshold in (REQUEST, ACCESSION, STEP):
        chosen = [one for one in ranked if one.score >= threshold]
        if chosen:
            break
    else:
        return Match()
    chosen.sort(key=lambda one: (one.likeness.contradicts, -one.score))
    chosen = [one for one in chosen if one.candidate.patient.ref == chosen[0].candidate.patient.ref]
    findings = _findings(facts, chosen)
    return Match(
        order_ids=tuple(dict.fromkeys(one.candidate.order.id for one in chosen)),
        verdict="mismatched" if any(finding.weight for finding in findings) else "matched",
        findings=findings,
        scores=scores,
        may_be_held=chosen[0].likeness.is_other_person and not any(is_urgent(one.candidate.order) for one in chosen),
    )


def differences(facts: ObjectFacts, candidate: Candidate) -> tuple[Finding, ...]:
    """List how an object differs from one order and its patient."""
    return _findings(facts, [_rank(facts, candidate)])


def is_urgent(order: Order) -> bool:
    """Say whether nothing of *order* may wait for a person's decision."""
    return order.priority.strip().upper() == "STAT"


def _rank(facts: ObjectFacts, candidate: Candidate) -> _Ranked:
    order = candidate.order
    likeness = compare(facts.patient, candidate.patient)
    studies = {procedure.study_uid for procedure in order.procedures} | set(order.study_uids)
    is_performed = any(
        facts.performed_uid == performed.uid and order.id in performed.order_ids for performed in candidate.performed
    )
    is_accession = facts.accession == order.accession != ""
    score = (
        STUDY * (facts.study_uid in studies - {""})
        + PERFORMED * is_performed
        + max((_request_score(one, facts, order, likeness) for one in facts.references), default=0)
        + ACCESSION * (is_accession and not is_other_issuer(facts.accession_issuer, order.accession_issuer))
        + PATIENT * likeness.fits
    )
    return _Ranked(candidate, likeness, score)


def _request_score(reference: tuple[str, str, str], facts: ObjectFacts, order: Order, likeness: Likeness) -> int:
    """Weigh one item of the Request Attributes Sequence: IDs that other patients' orders may bear too need the patient."""
    step_id, procedure_id, accession = reference
    is_accession = accession == order.accession != ""
    if accession and order.accession and not is_accession:
        return 0
    agreeing = max(
        ((step_id == step.step_id != "") + (procedure_id == step.procedure_id != "") for step in order.steps),
        default=0,
    )
    if (agreeing and is_accession) or (agreeing == 2 and not likeness.contradicts):
        return REQUEST
    if is_accession:
        return ACCESSION
    if agreeing == 1 and likeness.fits:
        return REQUEST if len(facts.references) > 1 else STEP
    return 0


def _findings(facts: ObjectFacts, chosen: Sequence[_Ranked]) -> tuple[Finding, ...]:
    orders = [one.candidate.order for one in chosen]
    likeness, patient = chosen[0].likeness, chosen[0].candidate.patient
    found = facts.patient
    answers: tuple[tuple[str, str, str, Answer, int], ...] = (
        ("PatientID", patient.patient_id, found.patient_id, likeness.patient_id, 3),
        ("IssuerOfPatientID", patient.issuer, found.issuer, None, 0),
        ("PatientName", patient.name.rstrip("^"), found.name.rstrip("^"), likeness.name, 2),
        ("PatientBirthDate", patient.birth_date, found.birth_date, likeness.birth_date, 2),
        ("PatientSex", patient.sex, found.sex, likeness.sex, 1),
    )
    differing = [
        Finding(attribute=attribute, ordered=ordered, found=said, weight=weight if answer is False else 0)
        for attribute, ordered, said, answer, weight in answers
        if ordered and said and ordered != said
    ]
    accessions = [order.accession for order in orders]
    if facts.accession and all(accessions) and facts.accession not in accessions:
        differing.append(_finding("AccessionNumber", accessions, facts.accession, 2))
    studies = [uid for order in orders for uid in (*(one.study_uid for one in order.procedures), *order.study_uids)]
    if any(studies) and facts.study_uid not in studies:
        differing.append(_finding("StudyInstanceUID", studies, facts.study_uid, 0))
    modalities = [step.modality for order in orders for step in order.steps]
    if not is_possible(facts.modality, modalities):
        differing.append(_finding("Modality", modalities, facts.modality, 1))
    return tuple(differing)


def _finding(attribute: str, ordered: Sequence[str], found: str, weight: int) -> Finding:
    return Finding(attribute=attribute, ordered="\\".join(dict.fromkeys(ordered)), found=found, weight=weight)
