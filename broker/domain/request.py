"""What one message asks of one order, and the form of what was decided about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from broker.domain.events import EventType
from broker.domain.order import Item, Number, Order, StepStatus

Action = Literal["create", "update", "cancel", "hold", "release", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """What a message says of one step. None: it says nothing; ``""`` and ``()``: it empties. Without *step_id*: any step."""

    step_id: str
    procedure_id: str
    study_uid: str = ""
    modality: str | None = None
    stations: tuple[str, ...] | None = None
    start: str | None = None
    is_start_known: bool = True
    status: StepStatus | None = None
    placer: Number | None = None
    filler: Number | None = None
    attributes: Item = field(default_factory=dict)
    procedure_attributes: Item = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the order's other steps: requested procedure ID and step ID."""
        return self.procedure_id, self.step_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRequest:
    """The patient that a message names; attributes with value None are not mentioned."""

    patient_id: str
    issuer: str = ""
    attributes: Item = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What one message asks of one order; its groups have been brought together.

    *replaces_steps*: of the procedures that it names it names all steps; those that it leaves out are no longer wanted.
    """

    action: Action
    control: str
    facility: str
    placer: Number | None = None
    filler: Number | None = None
    accession: str = ""
    accession_issuer: str = ""
    priority: str | None = None
    patient: PatientRequest | None = None
    attributes: Item = field(default_factory=dict)
    steps: tuple[StepRequest, ...] = ()
    replaces_steps: bool = False

    @property
    def is_accession_own(self) -> bool:
        """Say whether the accession number is one, and not an order number that stands in for it (policies 2.3)."""
        numbers = {number.number for number in (self.placer, self.filler) if number is not None}
        return bool(self.accession) and self.accession not in numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that happened to an order: becomes an event."""

    type: EventType
    text: str
    is_alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The order after a request, and what is to be told."""

    order: Order
    remarks: tuple[Remark, ...] = ()
