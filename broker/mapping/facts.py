"""The names of what the broker knows: what ``order.accession`` may be in a mapping, and of which kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

Facts = Mapping[str, Any]
"""What the broker knows of an event, as domain.facts.snapshot gives it."""

FactKind = Literal["text", "name", "moment", "list"]

INBOUND: Mapping[str, FactKind] = {"message.received_at": "moment"}
"""Known to mappings that read messages."""

OUTBOUND: Mapping[str, FactKind] = {
    "event.at": "moment",
    "event.control_id": "text",
    "event.type": "text",
    "destination.sending_application": "text",
    "destination.sending_facility": "text",
    "destination.receiving_application": "text",
    "destination.receiving_facility": "text",
    "destination.processing_id": "text",
    "patient.id": "text",
    "patient.issuer": "text",
    "patient.name": "name",
    "patient.birth_date": "moment",
    "patient.sex": "text",
    "order.id": "text",
    "order.accession": "text",
    "order.status": "text",
    "order.placer_number": "text",
    "order.placer_namespace": "text",
    "order.filler_number": "text",
    "order.filler_namespace": "text",
    "order.procedure_id": "text",
    "order.procedure_code": "text",
    "order.procedure_text": "text",
    "order.procedure_scheme": "text",
    "order.priority": "text",
    "order.reason": "text",
    "order.visit_number": "text",
    "order.patient_class": "text",
    "order.location": "text",
    "order.referring_physician": "name",
    "order.requesting_physician": "name",
    "step.id": "text",
    "step.procedure_id": "text",
    "step.status": "text",
    "step.modality": "text",
    "step.start": "moment",
    "step.description": "text",
    "mpps.status": "text",
    "mpps.started_at": "moment",
    "mpps.ended_at": "moment",
    "mpps.operator": "name",
    "study.uid": "text",
    "study.modality": "text",
    "study.state": "text",
    "study.verdict": "text",
    "study.evidence": "text",
    "study.instances": "text",
    "study.series": "list",
    "series.uid": "text",
}
"""Known to mappings of events. A list's items go by its last name: ``study.series`` gives ``series.uid``."""


def look_up(facts: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Give the fact at *path*: None when it is not known, a text (a datetime as HL7 writes it), or a list."""
    found: Any = facts
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    if found is None or found == "":
        return None
    if isinstance(found, datetime):
        return found.strftime("%Y%m%d%H%M%S%z")
    return found if isinstance(found, list | tuple) else str(found)
