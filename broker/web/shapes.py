"""Values as JSON, by the contract: absent values are null, times ISO 8601 in the department's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from broker.domain.events import Event
from broker.domain.facts import code, text
from broker.domain.identity import identities
from broker.domain.order import Order, Patient, Procedure, Step
from broker.domain.performed import PerformedStep
from broker.domain.records import Delivery, StoredMessage
from broker.domain.study import Study
from broker.errors import without_values
from broker.services.inspect import OrderLife, Part
from broker.web.moments import iso, iso_date, iso_local

Json = dict[str, Any]


def order_shape(order: Order, patient: Patient, zone: tzinfo) -> Json:
    """Write an order with its patient, procedures and steps: an item of a list."""
    return {
        "id": order.id,
        "accession": order.accession or None,
        "accession_issuer": order.accession_issuer or None,
        "placer_number": order.placer.number if order.placer else None,
        "filler_number": order.filler.number if order.filler else None,
        "status": str(order.status),
        "priority": order.priority or None,
        "patient": patient_shape(patient),
        "procedures": [_procedure(p) for p in order.procedures],
        "steps": [_step(s, zone) for s in order.steps],
    }


def life_shape(life: OrderLife, zone: tzinfo) -> Json:
    """Write all that is known of an order."""
    return {
        **order_shape(life.order, life.patient, zone),
        "performed_steps": [_performed(p, zone) for p in life.performed],
        "studies": [_study(s) for s in life.studies],
        "deliveries": [_order_delivery(d, zone) for d in life.deliveries],
        "timeline": [_entry(e, zone) for e in life.events],
    }


def patient_shape(patient: Patient) -> Json:
    """Write a patient; *other_ids* are the numbers of old and elsewhere."""
    others = dict.fromkeys((i.patient_id, i.issuer) for i in identities(patient)[1:] if i.patient_id)
    others.pop((patient.patient_id, patient.issuer), None)
    return {
        "id": patient.patient_id or None,
        "issuer": patient.issuer or None,
        "name": patient.name or None,
        "birth_date": iso_date(patient.birth_date),
        "sex": patient.sex or None,
        "other_ids": [{"id": number, "issuer": issuer or None} for number, issuer in others],
    }


def candidate_shape(order: Order) -> Json:
    """Write what tells orders with one accession number apart."""
    return {
        "id": order.id,
        "accession": order.accession or None,
        "accession_issuer": order.accession_issuer or None,
        "facility": order.facility or None,
        "placer_number": order.placer.number if order.placer else None,
        "filler_number": order.filler.number if order.filler else None,
        "status": str(order.status),
    }


def study_shape(study: Study, orders: Sequence[Order], release_at: datetime | None, zone: tzinfo) -> Json:
    """Write a study for a list: what its objects say, whose it may be, and since when it is what it is."""
    patient = study.patient
    return {
        **_study(study),
        "ae": study.ae,
        "modality": study.modality or None,
        "accession": study.accession or None,
        "patient": {
            "id": patient.patient_id or None,
            "issuer": patient.issuer or None,
            "name": patient.name or None,
            "birth_date": iso_date(patient.birth_date),
            "sex": patient.sex or None,
        },
        "orders": [{"id": order.id, "accession": order.accession or None} for order in orders],
        "pending": study.pending,
        "first_at": iso(study.first_at, zone),
        "last_at": iso(study.last_at, zone),
        "held_at": iso(study.held_at, zone),
        "release_at": iso(release_at, zone),
        "decided_at": iso(study.decided_at, zone),
        "linked_by": study.linked_by or None,
    }


def delivery_shape(delivery: Delivery, zone: tzinfo) -> Json:
    """Write a row of the outbox."""
    return {
        "id": delivery.id,
        "destination": delivery.destination,
        "event": delivery.event_type or None,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "at": iso(delivery.updated_at, zone),
        "created_at": iso(delivery.created_at, zone),
        "not_before": iso(delivery.not_before, zone),
        "order_id": delivery.order_id or None,
        "study_uid": delivery.study_uid or None,
        "sop_uid": delivery.sop_uid or None,
        "control_id": delivery.control_id or None,
        "error": delivery.error or None,
    }


def message_line(message: StoredMessage, zone: tzinfo) -> Json:
    """Write a message for a list: without its text, and without what its errors quote."""
    return {
        "id": message.id,
        "received_at": iso(message.received_at, zone),
        "listener": message.listener,
        "sender": message.sender or None,
        "type": message.type or None,
        "control_id": message.control_id or None,
        "state": message.state,
        "mapping": message.mapping or None,
        "code": message.code or None,
        "error": without_values(message.error) or None,
        "warnings": [without_values(w) for w in message.warnings],
        "order_ids": list(message.order_ids),
        "count": message.count,
    }


def message_shape(message: StoredMessage, zone: tzinfo) -> Json:
    """Write a message in full, as it came and as it was answered."""
    return {
        **message_line(message, zone),
        "error": message.error or None,
        "warnings": list(message.warnings),
        "charset": message.charset or None,
        "raw": _decode(message.raw, message.charset),
        "answer": _decode(message.answer, message.charset),
    }


def part_shape(part: Part) -> Json:
    """Write how a part of the broker is."""
    return {
        "name": part.name,
        "kind": part.kind,
        "up": part.is_up,
        "address": part.address or None,
        "error": part.error or None,
    }


def plain(item: Any) -> Any:
    """Write a worklist item by keyword: texts, lists of texts, lists of items."""
    match item:
        case Mapping():
            return {str(keyword): plain(value) for keyword, value in item.items()}
        case str():
            return item
        case Sequence():
            return [plain(value) for value in item]
        case _:
            return str(item)


def _procedure(procedure: Procedure) -> Json:
    value, scheme, meaning = code(procedure.attributes, "RequestedProcedureCodeSequence")
    return {
        "id": procedure.procedure_id or None,
        "study_uid": procedure.study_uid or None,
        "code": value or None,
        "scheme": scheme or None,
        "description": text(procedure.attributes, "RequestedProcedureDescription") or meaning or None,
    }


def _step(step: Step, zone: tzinfo) -> Json:
    return {
        "id": step.step_id or None,
        "procedure_id": step.procedure_id or None,
        "status": str(step.status),
        "modality": step.modality or None,
        "stations": list(step.stations),
        "start": iso_local(step.start, zone),
        "description": text(step.attributes, "ScheduledProcedureStepDescription") or None,
    }


def _performed(performed: PerformedStep, zone: tzinfo) -> Json:
    return {
        "uid": performed.uid,
        "status": performed.status,
        "ae": performed.ae,
        "started": iso_local(performed.started, zone),
        "ended": iso_local(performed.ended, zone),
        "step_ids": [link.step_id for link in performed.links],
        "series": performed.series,
        "instances": len(performed.instances),
        "missing": performed.missing,
    }


def _study(study: Study) -> Json:
    return {
        "uid": study.uid,
        "status": study.state,
        "verdict": study.verdict,
        "evidence": study.evidence or None,
        "series": len(study.series),
        "instances": study.instances,
        "findings": [
            {"attribute": f.attribute, "ordered": f.ordered or None, "found": f.found or None, "weight": f.weight}
            for f in study.findings
        ],
    }


def _order_delivery(delivery: Delivery, zone: tzinfo) -> Json:
    whole = delivery_shape(delivery, zone)
    return {name: whole[name] for name in ("id", "destination", "event", "state", "attempts", "at", "error")}


def _entry(event: Event, zone: tzinfo) -> Json:
    return {
        "at": iso(event.at, zone),
        "event": event.type,
        "text": event.text,
        "alarm": event.is_alarm,
        "ref": dict(event.ref),
    }


def _decode(raw: bytes, charset: str) -> str:
    """Show bytes as text, whatever they are; unreadable ones become U+FFFD."""
    try:
        return raw.decode(charset, "replace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")
