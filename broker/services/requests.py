"""From what a mapping made of a message to what it asks of the order book: one OrderRequest an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from broker.domain.facts import text
from broker.domain.levels import split
from broker.domain.order import Number, StepStatus
from broker.domain.request import Action, OrderRequest, PatientRequest, StepRequest
from broker.mapping.engine import Output

ACTIONS: Mapping[str, Action] = {
    "create": "create",
    "update": "update",
    "cancel": "cancel",
    "hold": "hold",
    "release": "release",
    "status": "status",
}

_STEP_FIELDS = frozenset(
    """
    ScheduledProcedureStepID ScheduledProcedureStepStatus ScheduledStationAETitle ScheduledProcedureStepStartDate
    ScheduledProcedureStepStartTime Modality
    """.split()
)
_PROCEDURE_FIELDS = frozenset({"RequestedProcedureID", "StudyInstanceUID"})
"""Attributes that StepRequest has fields for."""


def order_requests(outputs: Sequence[Output], facility: str) -> list[OrderRequest]:
    """Bring the groups of a message together: one request for each order, in the order of the message.

    Groups with the same accession number are one order; without one, those with the same filler or placer number.
    """
    gathered: dict[tuple[str, str], OrderRequest] = {}
    for output in outputs:
        request = _request(output, facility)
        key = (request.action, _key(request) or f"group {output.group}")
        known = gathered.get(key)
        gathered[key] = request if known is None else _join(known, request)
    return list(gathered.values())


def _key(request: OrderRequest) -> str:
    if request.accession:
        return f"accession {request.accession}"
    number = request.filler or request.placer
    return f"number {number.namespace} {number.number}" if number else ""


def _join(first: OrderRequest, second: OrderRequest) -> OrderRequest:
    return replace(first, steps=(*first.steps, *second.steps))


def _request(output: Output, facility: str) -> OrderRequest:
    patient, request, procedure, steps = split(output.item)
    accession_issuer = _issuer(request, "IssuerOfAccessionNumberSequence")
    placer = _number(request, "PlacerOrderNumberImagingServiceRequest", "OrderPlacerIdentifierSequence")
    filler = _number(request, "FillerOrderNumberImagingServiceRequest", "OrderFillerIdentifierSequence")
    priority = procedure.get("RequestedProcedurePriority")
    patient_id = text(patient, "PatientID")
    return OrderRequest(
        action=ACTIONS[output.action],
        control=output.control,
        facility=facility,
        placer=placer,
        filler=filler,
        accession=text(request, "AccessionNumber"),
        accession_issuer=accession_issuer,
        priority=priority,
        patient=PatientRequest(patient_id=patient_id, issuer=text(patient, "IssuerOfPatientID"), attributes=patient)
        if patient_id
        else None,
        attributes=request,
        steps=tuple(said for step in steps if (said := _step(output, procedure, step, placer, filler)) is not None),
        replaces_steps=output.replaces_steps,
    )


def _step(
    output: Output,
    procedure: Mapping[str, Any],
    step: Mapping[str, Any],
    placer: Number | None,
    filler: Number | None,
) -> StepRequest | None:
    step_id = text(step, "ScheduledProcedureStepID")
    status = text(step, "ScheduledProcedureStepStatus")
    if not step_id and not status:
        return None
    stations = step.get("ScheduledStationAETitle")
    date, time = step.get("ScheduledProcedureStepStartDate"), text(step, "ScheduledProcedureStepStartTime")
    return StepRequest(
        step_id=step_id,
        procedure_id=text(procedure, "RequestedProcedureID"),
        study_uid=text(procedure, "StudyInstanceUID"),
        modality=step.get("Modality"),
        stations=None if stations is None else _values(stations),
        start=None if date is None else start_text(str(date), time),
        is_start_known=output.is_start_known,
        status=StepStatus(status) if status in StepStatus.__members__ else None,
        placer=placer,
        filler=filler,
        attributes={keyword: value for keyword, value in step.items() if keyword not in _STEP_FIELDS},
        procedure_attributes={
            keyword: value for keyword, value in procedure.items() if keyword not in _PROCEDURE_FIELDS
        },
    )


def start_text(date: str, time: str) -> str:
    """Join a DICOM date and time to YYYYMMDDHHMMSS; a date alone begins at midnight."""
    if not date:
        return ""
    return date + (time.partition(".")[0] + "000000")[:6]


def _values(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(v for v in values if v)


def _number(request: Mapping[str, Any], keyword: str, sequence: str) -> Number | None:
    number = text(request, keyword)
    return Number(number=number, namespace=_issuer(request, sequence)) if number else None


def _issuer(request: Mapping[str, Any], sequence: str) -> str:
    items = request.get(sequence)
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return ""
    return text(items[0], "LocalNamespaceEntityID", "UniversalEntityID")
