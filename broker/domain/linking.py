"""Which scheduled steps does an MPPS perform (policies 5, IHE RAD TF-2 Appendix A)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from broker.domain.identity import compare
from broker.domain.lifecycle import FINAL
from broker.domain.modalities import is_possible
from broker.domain.order import Order, Patient, Procedure, Step
from broker.domain.performed import PerformedStep, StepKey, StepReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An order that may be meant, its patient, and the performed steps that are linked to it."""

    order: Order
    patient: Patient
    performed: tuple[PerformedStep, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    candidate: Candidate
    procedure: Procedure
    step: Step

    @property
    def key(self) -> StepKey:
        return StepKey(order_id=self.candidate.order.id, procedure_id=self.step.procedure_id, step_id=self.step.step_id)


def link(performed: PerformedStep, candidates: Sequence[Candidate]) -> tuple[StepKey, ...]:
    """Find the scheduled steps that *performed* refers to, each once; none for an unscheduled examination.

    For each reference in turn: Study UID and step ID; step ID and patient; Study UID, or accession and requested
    procedure: the step of that procedure that is next; accession alone, when it leaves one step.
    """
    keys: dict[StepKey, None] = {}
    for reference in performed.references:
        keys.update((found.key, None) for found in _steps(performed, reference, candidates))
    return tuple(keys)


def is_named(reference: StepReference, order: Order) -> bool:
    """Say whether *reference* names a step of *order* by Study UID and step ID: then no other key decides."""
    return any(
        step.step_id == reference.step_id != "" and procedure.study_uid == reference.study_uid != ""
        for step in order.steps
        if (procedure := order.procedure(step.procedure_id)) is not None
    )


def _steps(performed: PerformedStep, reference: StepReference, candidates: Sequence[Candidate]) -> tuple[_Found, ...]:
    everything = tuple(_all_steps(candidates))
    named = [one for one in everything if reference.step_id and one.step.step_id == reference.step_id]
    by_study = [one for one in named if reference.study_uid and one.procedure.study_uid == reference.study_uid]
    if by_study:
        return tuple(_agreeing(by_study, reference))
    likeness = {one.order.id: compare(performed.patient, one.patient) for one in candidates}
    by_patient = _agreeing([one for one in named if likeness[one.candidate.order.id].fits], reference)
    if len(by_patient) == 1 and not _is_elsewhere(by_patient[0], reference):
        return tuple(by_patient)
    possible = [one for one in everything if not likeness[one.candidate.order.id].contradicts]
    by_procedure = [one for one in possible if _is_same_procedure(one, reference)]
    if by_procedure:
        return (_next(by_procedure, performed),)
    by_accession = [one for one in possible if reference.accession == one.candidate.order.accession != ""]
    by_accession = [one for one in by_accession if one.step.status not in FINAL and _is_of_modality(one, performed)]
    return tuple(by_accession) if len(by_accession) == 1 else ()


def _all_steps(candidates: Sequence[Candidate]) -> Iterable[_Found]:
    for candidate in candidates:
        for step in candidate.order.steps:
            procedure = candidate.order.procedure(step.procedure_id)
            if procedure is not None:
                yield _Found(candidate, procedure, step)


def _agreeing(found: list[_Found], reference: StepReference) -> list[_Found]:
    """Keep those that agree best with the reference's accession and requested procedure."""

    def agreement(one: _Found) -> int:
        is_same_order = one.candidate.order.accession == reference.accession
        return is_same_order + (one.step.procedure_id == reference.procedure_id)

    best = max(map(agreement, found), default=0)
    return [one for one in found if agreement(one) == best]


def _is_elsewhere(one: _Found, reference: StepReference) -> bool:
    """Say whether the reference names both another accession and another requested procedure."""
    pairs = (
        (reference.accession, one.candidate.order.accession),
        (reference.procedure_id, one.step.procedure_id),
    )
    return all(said and known and said != known for said, known in pairs)


def _is_same_procedure(one: _Found, reference: StepReference) -> bool:
    if reference.study_uid and one.procedure.study_uid == reference.study_uid:
        return True
    wanted = (reference.accession, reference.procedure_id)
    return all(wanted) and (one.candidate.order.accession, one.step.procedure_id) == wanted


def _is_of_modality(one: _Found, performed: PerformedStep) -> bool:
    return is_possible(performed.modality, (one.step.modality,))


def _next(found: list[_Found], performed: PerformedStep) -> _Found:
    """Choose the step that is next: of the modality, open, on the station, then the earliest."""

    def rank(one: _Found) -> tuple[bool, bool, bool, str, str]:
        return (
            not _is_of_modality(one, performed),
            one.step.status in FINAL,
            performed.ae not in one.step.stations,
            one.step.start,
            one.step.step_id,
        )

    return min(found, key=rank)
