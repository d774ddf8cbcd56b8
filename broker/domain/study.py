"""Studies and their objects as they arrive: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from broker.domain.order import Identity

StudyState = Literal["arriving", "available", "held", "released", "rejected"]
Verdict = Literal["matched", "mismatched", "unscheduled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference between what was ordered and what an object says; *weight* 0 is a remark, more contradicts."""

    attribute: str
    ordered: str
    found: str
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """What the header of one stored object says, by the keys that tell its order (Unicode text)."""

    sop_class: str
    sop_uid: str
    study_uid: str
    series_uid: str
    modality: str = ""
    accession: str = ""
    accession_issuer: str = ""
    patient: Identity
    performed_uid: str = ""
    references: tuple[tuple[str, str, str], ...] = ()
    """Request Attributes Sequence (0040,0275): (step id, requested procedure id, accession) per item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One object in the spool, or gone to the archive: *path* is relative to the *spool*, *digest* of its data set.

    *deliveries* are the ids of the outbox rows that take it to the archives.
    """

    sop_uid: str
    digest: str
    sop_class: str
    transfer_syntax: str
    study_uid: str
    series_uid: str
    ae: str
    spool: str = ""
    path: str
    size: int
    received_at: datetime
    deliveries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study that is arriving or has arrived, with what it was matched to and why it counts as complete."""

    uid: str
    ae: str
    state: StudyState = "arriving"
    verdict: Verdict = "unscheduled"
    evidence: str = ""
    findings: tuple[Finding, ...] = ()
    order_ids: tuple[str, ...] = ()
    modality: str = ""
    accession: str = ""
    patient: Identity
    performed_uids: tuple[str, ...] = ()
    references: tuple[tuple[str, str, str], ...] = ()
    """What the Request Attributes Sequences of its objects name, each once: (step id, requested procedure id, accession)."""
    series: tuple[str, ...] = ()
    instances: int = 0
    pending: int = 0
    """Objects that some archive has not accepted yet."""
    awaited: str = ""
    """One SOP Instance UID that an MPPS names and that was not here at the last look: until it comes, nothing is complete."""
    is_announced: bool = False
    """Whether its availability has been told once: what completes it again is an extension."""
    first_at: datetime
    last_at: datetime
    completed_at: datetime | None = None
    quiet_at: datetime | None = None
    """When quiet time says that it is complete, unless something arrives or an MPPS is open."""
    held_at: datetime | None = None
    """Since when it is held, or was until it was decided."""
    decided_at: datetime | None = None
    """When it was released or rejected."""
    linked_by: str = ""
    """Who said by hand whose study this is: no object changes that any more."""
