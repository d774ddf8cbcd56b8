"""Patients, orders, requested procedures, scheduled steps: frozen values with the words of the department.

An *Item* holds DICOM attributes by keyword with Unicode text values: a string, a list of strings (several values)
or a list of items (a sequence). ``""`` is an attribute that is present and empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Item = Mapping[str, Any]


class StepStatus(StrEnum):
    """States of a scheduled step. The last four are the broker's own and never go on the wire (PS3.3 C.4.10)."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    STARTED = "STARTED"
    DEPARTED = "DEPARTED"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELED = "CANCELED"
    ON_HOLD = "ON_HOLD"


class OrderStatus(StrEnum):
    """States of an order, derived from those of its steps."""

    SCHEDULED = "scheduled"
    ON_HOLD = "on_hold"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A placer or filler order number with its namespace (HL7 EI)."""

    number: str
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a patient is, or was once said to be: what images are compared with (policy: matching)."""

    patient_id: str
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A patient; *attributes* is the patient level of a worklist item, *former* what was true before."""

    ref: str
    patient_id: str
    issuer: str = ""
    attributes: Item = field(default_factory=dict)
    former: tuple[Identity, ...] = ()

    @property
    def name(self) -> str:
        """Patient's Name as a DICOM PN in Unicode."""
        return str(self.attributes.get("PatientName", ""))

    @property
    def birth_date(self) -> str:
        """Birth date as YYYYMMDD, or empty."""
        return str(self.attributes.get("PatientBirthDate", ""))

    @property
    def sex(self) -> str:
        """Sex as DICOM has it: M, F, O or empty."""
        return str(self.attributes.get("PatientSex", ""))

    @property
    def identity(self) -> Identity:
        """The identity that is true now."""
        return Identity(
            patient_id=self.patient_id,
            issuer=self.issuer,
            name=self.name,
            birth_date=self.birth_date,
            sex=self.sex,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A requested procedure; its Study Instance UID is kept once it is stored."""

    procedure_id: str
    study_uid: str
    attributes: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A scheduled procedure step. *start* is local time of the department, YYYYMMDDHHMMSS."""

    step_id: str
    procedure_id: str
    status: StepStatus = StepStatus.SCHEDULED
    held_status: StepStatus | None = None
    modality: str = ""
    stations: tuple[str, ...] = ()
    start: str = ""
    is_start_known: bool = True
    placer: Number | None = None
    filler: Number | None = None
    completed_at: datetime | None = None
    attributes: Item = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the order's other steps: requested procedure ID and step ID."""
        return self.procedure_id, self.step_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order with its procedures and steps; *id* is the broker's own. *attributes* is the request's level."""

    id: str
    facility: str
    patient_ref: str
    accession: str = ""
    accession_issuer: str = ""
    placer: Number | None = None
    filler: Number | None = None
    priority: str = ""
    status: OrderStatus = OrderStatus.SCHEDULED
    attributes: Item = field(default_factory=dict)
    procedures: tuple[Procedure, ...] = ()
    steps: tuple[Step, ...] = ()
    study_uids: tuple[str, ...] = ()
    is_cancel_asked: bool = False
    created_at: datetime
    updated_at: datetime

    @property
    def numbers(self) -> tuple[tuple[str, str, str, str], ...]:
        """List (kind, facility, namespace, number) of the order and its steps, by which later messages find it."""
        holders: tuple[Order | Step, ...] = (self, *self.steps)
        fillers = [("filler", holder.filler) for holder in holders]
        placers = [("placer", holder.placer) for holder in holders]
        found = [
            (kind, self.facility, number.namespace, number.number)
            for kind, number in fillers + placers
            if number is not None and number.number
        ]
        return tuple(dict.fromkeys(found))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of its steps, each once."""
        return tuple(dict.fromkeys(step.modality for step in self.steps if step.modality))

    def procedure(self, procedure_id: str) -> Procedure | None:
        """Find the procedure with that Requested Procedure ID."""
        return next((p for p in self.procedures if p.procedure_id == procedure_id), None)
