"""Performed procedure steps: what N-CREATE and N-SET may say and change (PS3.4 F.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.domain.order import Identity


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
