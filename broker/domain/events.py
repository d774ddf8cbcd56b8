"""What happened: the events of an order's life, as they are kept, shown and told to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

EventType = Literal[
    "order.scheduled",
    "order.updated",
    "order.cancelled",
    "order.held",
    "order.released",
    "order.reinstated",
    "order.cancel_asked",
    "order.noted",
    "patient.updated",
    "patient.merged",
    "procedure.started",
    "procedure.completed",
    "procedure.discontinued",
    "procedure.noted",
    "study.started",
    "study.available",
    "study.extended",
    "study.unscheduled",
    "study.mismatched",
    "study.released",
    "study.rejected",
    "study.noted",
    "message.rejected",
    "delivery.dead",
]

PUBLIC: frozenset[str] = frozenset(
    {
        "order.scheduled",
        "order.updated",
        "order.cancelled",
        "patient.updated",
        "patient.merged",
        "procedure.started",
        "procedure.completed",
        "procedure.discontinued",
        "study.started",
        "study.available",
        "study.extended",
        "study.unscheduled",
        "study.mismatched",
        "study.released",
        "study.rejected",
        "message.rejected",
        "delivery.dead",
    }
)
"""The types that leave the broker (contract, section 4); the others are for the timeline alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. *facts* is the snapshot that notices are made of; *ref* names what it refers to."""

    id: str
    type: EventType
    at: datetime
    text: str
    order_id: str = ""
    patient_ref: str = ""
    study_uid: str = ""
    subject: str = ""
    is_alarm: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    ref: Mapping[str, str] = field(default_factory=dict)
