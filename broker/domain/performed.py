"""Performed procedure steps: what N-CREATE and N-SET may say and change (PS3.4 F.7)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from broker.domain import performed_checks as checks
from broker.domain.identity import items, text
from broker.domain.order import Identity, Item
from broker.domain.performed_checks import Fault

PATIENCE = timedelta(hours=4)
"""How long an MPPS may be in progress without a word, and what it names may stay away after its end (policies 7.2)."""

NO_LONGER_UPDATED = 0xA710
"""Error ID: the performed procedure step may no longer be updated (PS3.4 F.7.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReference:
    """One item of the Scheduled Step Attributes Sequence (0040,0270)."""

    study_uid: str = ""
    step_id: str = ""
    procedure_id: str = ""
    accession: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKey:
    """A scheduled step inside: order, requested procedure, step."""

    order_id: str
    procedure_id: str
    step_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformedStep:
    """An MPPS instance. *started* and *ended* are local, YYYYMMDDHHMMSS; *instances* are the SOP UIDs it names.

    *create_digest* and *final_digest* tell an identical repeat from a contradiction (policy: MPPS 2).
    """

    uid: str
    ae: str
    status: str = "IN PROGRESS"
    modality: str = ""
    patient: Identity
    references: tuple[StepReference, ...] = ()
    links: tuple[StepKey, ...] = ()
    started: str = ""
    ended: str = ""
    series: int = 0
    instances: tuple[str, ...] = ()
    discontinuation_code: str = ""
    operator: str = ""
    faults: tuple[str, ...] = ()
    create_digest: str = ""
    final_digest: str = ""
    is_overdue: bool = False
    """Whether it has been alarmed: nobody closes it, or what it names does not come."""
    missing: int = 0
    """Objects that it names and that were not here when it was last looked at."""
    look_at: datetime | None = None
    """When to look at it: it should be closed by then, and what it names should be here."""
    created_at: datetime
    updated_at: datetime

    @property
    def is_final(self) -> bool:
        """Say whether the step has ended: nothing may change it any more (PS3.4 F.7.2)."""
        return self.status in ("COMPLETED", "DISCONTINUED")

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The orders whose steps it performs, each once."""
        return tuple(dict.fromkeys(link.order_id for link in self.links))


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """An N-CREATE by *ae*; the adapter makes *uid* when the modality gives none (PS3.4 F.7.2.1)."""

    uid: str
    ae: str
    attributes: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRequest:
    """An N-SET by *ae*."""

    uid: str
    ae: str
    attributes: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request is answered, and the performed step after it: None when refused, unchanged when repeated.

    *faults* is what was wrong with an accepted request, or why it was refused; *error_id* 0 is none.
    """

    status: int = checks.SUCCESS
    error_id: int = 0
    comment: str = ""
    performed: PerformedStep | None = None
    is_repeat: bool = False
    faults: tuple[str, ...] = ()


def decide_create(existing: PerformedStep | None, request: CreateRequest, *, strict: bool, now: datetime) -> Answer:
    """Answer an N-CREATE (PS3.4 F.7.2.1, policies 5); *existing* is the step that has the UID already.

    The links to scheduled steps are left to `linking.link`.
    """
    digest = digest_of(request.attributes)
    if existing is not None:
        if not strict and (existing.ae, existing.create_digest) == (request.ae, digest):
            return Answer(performed=existing, is_repeat=True)
        return _refuse(Fault(checks.DUPLICATE_INSTANCE, "This performed step exists, with other content"))
    status, faults = checks.status_at_create(request.attributes)
    started, unclear = _started(request.attributes)
    created = PerformedStep(
        uid=request.uid,
        ae=request.ae,
        status=status or "",
        modality=text(request.attributes, "Modality"),
        patient=patient_of(request.attributes),
        references=references_of(request.attributes),
        started=started,
        create_digest=digest,
        created_at=now,
        updated_at=now,
    )
    created, more = _progress(created, request.attributes)
    faults += checks.missing_at_create(request.attributes, strict=strict) + unclear + more
    if status is None or (strict and faults):
        return _refuse(*faults)
    return _accept(created, *faults)


def decide_set(existing: PerformedStep | None, request: SetRequest, *, strict: bool, now: datetime) -> Answer:
    """Answer an N-SET (PS3.4 F.7.2.2, policies 5) on the step *existing*; None is an unknown UID.

    After a final N-SET nothing changes any more. What only N-CREATE may say is refused, or by the lenient ignored
    with 0107H where it differs. A sequence replaces the earlier one whole.
    """
    if existing is None:
        return _refuse(Fault(checks.NO_SUCH_INSTANCE, "No such performed procedure step"))
    digest = digest_of(request.attributes)
    if existing.final_digest:
        if not strict and (existing.ae, existing.final_digest) == (request.ae, digest):
            return Answer(performed=existing, is_repeat=True)
        closed = Fault(checks.PROCESSING_FAILURE, "The performed step has ended and takes no more updates")
        return replace(_refuse(closed), error_id=NO_LONGER_UPDATED)
    status, faults = checks.status_at_set(request.attributes, existing.status)
    if status is None:
        return _refuse(*faults)
    changed, unclear = _progress(replace(existing, status=status, updated_at=now), request.attributes)
    faults += unclear
    if changed.is_final:
        changed = replace(changed, final_digest=digest, is_overdue=False)
        faults += checks.missing_at_end(request.attributes, ended=changed.ended, series=changed.series)
    if strict:
        faults = _not_for_set(request.attributes) + faults
        return _refuse(*faults) if faults else _accept(changed)
    ignored = _differences(existing, request.attributes)
    answer = _accept(changed, *ignored, *faults, *_other_caller(existing, request))
    return replace(answer, status=checks.ATTRIBUTE_LIST_ERROR, comment=ignored[0].text) if ignored else answer


def digest_of(attributes: Item) -> str:
    """Digest the content of a data set, whatever its encoding."""
    canonical = json.dumps(attributes, sort_keys=True, default=str)
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def patient_of(attributes: Item) -> Identity:
    """Read who a data set says the patient is."""
    return Identity(
        patient_id=text(attributes, "PatientID"),
        issuer=text(attributes, "IssuerOfPatientID"),
        name=text(attributes, "PatientName"),
        birth_date=text(attributes, "PatientBirthDate"),
        sex=text(attributes, "PatientSex"),
    )


def references_of(attributes: Item) -> tuple[StepReference, ...]:
    """Read the Scheduled Step Attributes Sequence (0040,0270)."""
    return tuple(
        StepReference(
            study_uid=text(one, "StudyInstanceUID"),
            step_id=text(one, "ScheduledProcedureStepID"),
            procedure_id=text(one, "RequestedProcedureID"),
            accession=text(one, "AccessionNumber"),
        )
        for one in items(attributes, "ScheduledStepAttributesSequence")
    )


def _started(attributes: Item) -> tuple[str, tuple[Fault, ...]]:
    return checks.moment(attributes, "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime")


def _progress(performed: PerformedStep, attributes: Item) -> tuple[PerformedStep, tuple[Fault, ...]]:
    """Take over what both N-CREATE and N-SET may say: end, reason, series with operator and instances."""
    ended, faults = checks.moment(attributes, "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime")
    reasons = items(attributes, "PerformedProcedureStepDiscontinuationReasonCodeSequence")
    changed = replace(
        performed,
        ended=ended or performed.ended,
        discontinuation_code=text(reasons[0], "CodeValue") if reasons else performed.discontinuation_code,
    )
    if "PerformedSeriesSequence" in attributes:
        series = items(attributes, "PerformedSeriesSequence")
        changed = replace(
            changed,
            series=len(series),
            instances=checks.instances(attributes),
            operator=next(filter(None, (text(one, "OperatorsName") for one in series)), changed.operator),
        )
    return changed, faults


def _not_for_set(attributes: Item) -> tuple[Fault, ...]:
    return tuple(
        Fault(checks.INVALID_VALUE, f"{keyword} is not for N-SET")
        for keyword in checks.ONLY_AT_CREATE
        if keyword in attributes
    )


def _differences(existing: PerformedStep, attributes: Item) -> tuple[Fault, ...]:
    """List what an N-SET says otherwise than the N-CREATE about patient, orders, start and modality."""
    patient = patient_of(attributes)
    pairs = (
        ("PatientID", existing.patient.patient_id, patient.patient_id),
        ("IssuerOfPatientID", existing.patient.issuer, patient.issuer),
        ("PatientName", existing.patient.name, patient.name),
        ("PatientBirthDate", existing.patient.birth_date, patient.birth_date),
        ("PatientSex", existing.patient.sex, patient.sex),
        ("Modality", existing.modality, text(attributes, "Modality")),
        ("PerformedProcedureStepStartDate", existing.started, _started(attributes)[0]),
        ("ScheduledStepAttributesSequence", existing.references, references_of(attributes)),
    )
    return tuple(
        Fault(checks.ATTRIBUTE_LIST_ERROR, f"{keyword} ignored: not for N-SET")
        for keyword, given, said in pairs
        if said and said != given
    )


def _other_caller(existing: PerformedStep, request: SetRequest) -> tuple[Fault, ...]:
    if request.ae == existing.ae:
        return ()
    return (Fault(checks.SUCCESS, f"N-SET by {request.ae}, N-CREATE by {existing.ae}"),)


def _accept(performed: PerformedStep, *faults: Fault) -> Answer:
    texts = tuple(dict.fromkeys(fault.text for fault in faults))
    kept = tuple(dict.fromkeys(performed.faults + texts))
    waits = not performed.is_final or performed.instances
    look_at = performed.updated_at + PATIENCE if waits else None
    return Answer(performed=replace(performed, faults=kept, look_at=look_at), faults=texts)


def _refuse(*faults: Fault) -> Answer:
    texts = tuple(dict.fromkeys(fault.text for fault in faults))
    return Answer(status=faults[0].status, comment=faults[0].text, faults=texts)
