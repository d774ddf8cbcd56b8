"""Events as others read them: CloudEvents 1.0, structured JSON (contract, section 4), with as much of the patient as allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Literal
from urllib.parse import quote

from broker.domain.events import Event

Phi = Literal["full", "ids", "none"]

_PATIENT_IDS = ("id", "issuer")
_NAMING = frozenset({"reason", "visit_number", "location", "referring_physician", "requesting_physician"})


def cloud_event(event: Event, *, site: str, phi: Phi, zone: tzinfo) -> bytes:
    """Write *event* as structured JSON. ``ids`` leaves numbers and UIDs, ``none`` nothing of the patient."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": f"/radbroker/{site}",
            "type": f"radbroker.{event.type}",
            "subject": event.subject or "-",
            "time": event.at.astimezone(zone).isoformat(),
            "datacontenttype": "application/json",
            "data": _shown(event.facts, phi),
        },
        ensure_ascii=False,
    ).encode()


def topic(event: Event, site: str) -> str:
    """Name the MQTT topic: ``radbroker/{site}/{event}/{accession or -}``, percent-encoded (``+``, ``#`` and ``/`` too)."""
    accession = event.facts.get("order", {}).get("accession", "")
    return f"radbroker/{quote(site, safe='')}/{event.type.replace('.', '/')}/{quote(accession, safe='') or '-'}"


def _shown(facts: Mapping[str, Any], phi: Phi) -> dict[str, Any]:
    shown = {name: _readable(value) for name, value in facts.items() if name not in ("event", "patient")}
    patient = facts.get("patient") or {}
    if phi == "full":
        return {**shown, "patient": _readable(patient) or None}
    for finding in shown.get("findings", ()):
        finding.pop("ordered", None)
        finding.pop("found", None)
    order = shown.get("order")
    if isinstance(order, dict):
        shown["order"] = {name: value for name, value in order.items() if name not in _NAMING}
    if isinstance(shown.get("mpps"), dict):
        shown["mpps"].pop("operator", None)
    known = {name: patient[name] for name in _PATIENT_IDS if patient.get(name)} if phi == "ids" else {}
    return {**shown, "patient": known or None}


def _readable(value: Any) -> Any:
    """Give *value* with empty texts as null and times and dates in ISO 8601 (local time of the department)."""
    if isinstance(value, Mapping):
        return {name: _iso(name, _readable(inner)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    return None if value == "" else value


def _iso(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not value.isdigit():
        return value
    if name == "birth_date" and len(value) == 8:
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    if name in ("start", "started_at", "ended_at") and len(value) == 14:
        return f"{value[:4]}-{value[4:6]}-{value[6:8]}T{value[8:10]}:{value[10:12]}:{value[12:]}"
    return value
