"""The snapshot of an order that an event carries: what notices are made of. Dates and times as HL7 and DICOM write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from broker.domain.order import Item, Order, Patient, Procedure, Step
from broker.domain.performed import PerformedStep
from broker.domain.study import Study


def text(item: Item, *keywords: str) -> str:
    """Give the first value that *item* has under one of *keywords*, or ``""``."""
    for keyword in keywords:
        value = item.get(keyword)
        if isinstance(value, list):
            value = value[0] if value else ""
        if isinstance(value, str) and value:
            return value
    return ""


def code(item: Item, keyword: str) -> tuple[str, str, str]:
    """Give (value, scheme, meaning) of the first item of a code sequence, or empty texts."""
    items = item.get(keyword)
    if not isinstance(items, list) or not items or not isinstance(items[0], dict):
        return "", "", ""
    first = items[0]
    return text(first, "CodeValue"), text(first, "CodingSchemeDesignator"), text(first, "CodeMeaning")


def patient_facts(patient: Patient | None) -> dict[str, Any]:
    """Name the patient."""
    if patient is None:
        return {}
    return {
        "id": patient.patient_id,
        "issuer": patient.issuer,
        "name": patient.name,
        "birth_date": patient.birth_date,
        "sex": patient.sex,
    }


def order_facts(order: Order, procedure: Procedure | None) -> dict[str, Any]:
    """Name the order and one of its procedures."""
    wanted: Item = procedure.attributes if procedure else {}
    value, scheme, meaning = code(wanted, "RequestedProcedureCodeSequence")
    return {
        "id": order.id,
        "accession": order.accession,
        "status": str(order.status),
        "placer_number": order.placer.number if order.placer else "",
        "placer_namespace": order.placer.namespace if order.placer else "",
        "filler_number": order.filler.number if order.filler else "",
        "filler_namespace": order.filler.namespace if order.filler else "",
        "priority": order.priority,
        "procedure_id": procedure.procedure_id if procedure else "",
        "procedure_code": value,
        "procedure_scheme": scheme,
        "procedure_text": meaning or text(wanted, "RequestedProcedureDescription"),
        "reason": text(wanted, "ReasonForTheRequestedProcedure"),
        "visit_number": text(order.attributes, "AdmissionID"),
        "patient_class": text(order.attributes, "RouteOfAdmissions"),
        "location": text(order.attributes, "CurrentPatientLocation"),
        "referring_physician": text(order.attributes, "ReferringPhysicianName"),
        "requesting_physician": text(order.attributes, "RequestingPhysician"),
    }


def step_facts(step: Step) -> dict[str, Any]:
    """Name one scheduled step."""
    return {
        "id": step.step_id,
        "procedure_id": step.procedure_id,
        "status": str(step.status),
        "modality": step.modality,
        "stations": list(step.stations),
        "start": step.start,
        "description": text(step.attributes, "ScheduledProcedureStepDescription"),
    }


def performed_facts(performed: Sequence[PerformedStep]) -> dict[str, Any]:
    """Sum up the performed steps of a study: COMPLETED when any is; from the first start to the last end."""
    if not performed:
        return {}
    statuses = {p.status for p in performed}
    status = next((s for s in ("IN PROGRESS", "COMPLETED", "DISCONTINUED") if s in statuses), "")
    return {
        "status": status,
        "started_at": min((p.started for p in performed if p.started), default=""),
        "ended_at": max((p.ended for p in performed if p.ended), default=""),
        "operator": next((p.operator for p in performed if p.operator), ""),
    }


def study_facts(study: Study) -> dict[str, Any]:
    """Name a study with its series, verdict and findings."""
    return {
        "uid": study.uid,
        "modality": study.modality,
        "state": study.state,
        "verdict": study.verdict,
        "evidence": study.evidence,
        "instances": study.instances,
        "series": [{"uid": uid} for uid in study.series],
    }


def snapshot(
    at: datetime,
    *,
    order: Order | None = None,
    patient: Patient | None = None,
    study: Study | None = None,
    performed: Sequence[PerformedStep] = (),
    step: Step | None = None,
) -> dict[str, Any]:
    """Put together the facts of an event at *at* (local time of the department)."""
    facts: dict[str, Any] = {"event": {"at": _written(at)}, "patient": patient_facts(patient)}
    if order is not None:
        facts["order"] = order_facts(order, _procedure_of(order, study, step))
        facts["steps"] = [step_facts(s) for s in order.steps]
    if step is not None:
        facts["step"] = step_facts(step)
    facts["mpps"] = performed_facts(performed)
    if study is None and order is not None and step is not None:
        facts["study"] = _study_to_come(order, step)
    if study is not None:
        facts["study"] = study_facts(study)
        facts["verdict"] = study.verdict
        facts["findings"] = [
            {"attribute": f.attribute, "ordered": f.ordered, "found": f.found, "weight": f.weight}
            for f in study.findings
        ]
    return facts


def _written(at: datetime) -> str:
    """Write YYYYMMDDHHMMSS+ZZZZ; strftime takes three times as long."""
    text = at.isoformat(timespec="seconds")
    return f"{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}{text[17:22]}{text[23:25]}"


def _study_to_come(order: Order, step: Step) -> dict[str, Any]:
    """Name the study of *step*, of which nothing has arrived."""
    procedure = order.procedure(step.procedure_id)
    return {"uid": procedure.study_uid if procedure else "", "modality": step.modality, "instances": 0, "series": []}


def _procedure_of(order: Order, study: Study | None, step: Step | None) -> Procedure | None:
    if study is not None:
        for procedure in order.procedures:
            if procedure.study_uid == study.uid:
                return procedure
    if step is not None:
        return order.procedure(step.procedure_id)
    return order.procedures[0] if order.procedures else None
