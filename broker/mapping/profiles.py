"""What a target asks for: types of the worklist's attributes (PS3.4 Table K.6-1), and which of them identify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STEP = "ScheduledProcedureStepSequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A target. Attributes by path (``Sequence.Attribute``): *types* 1 or 2, *identifiers* that may refuse an order.

    *indispensable*: identifiers without which there is no entry.
    *kept* is what orders other than new and changed ones are read for; *detail* of it only where *detail_segments* are.
    """

    title: str
    types: Mapping[str, str]
    identifiers: frozenset[str]
    indispensable: frozenset[str]
    kept: frozenset[str]
    detail: frozenset[str]
    detail_segments: frozenset[str]


_ORDER_IDENTIFIERS = frozenset(
    {
        "PatientID",
        "IssuerOfPatientID",
        "AccessionNumber",
        "IssuerOfAccessionNumberSequence",
        "IssuerOfAccessionNumberSequence.LocalNamespaceEntityID",
        "IssuerOfAccessionNumberSequence.UniversalEntityID",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "OrderPlacerIdentifierSequence",
        "OrderPlacerIdentifierSequence.LocalNamespaceEntityID",
        "OrderPlacerIdentifierSequence.UniversalEntityID",
        "OrderFillerIdentifierSequence",
        "OrderFillerIdentifierSequence.LocalNamespaceEntityID",
        "OrderFillerIdentifierSequence.UniversalEntityID",
    }
)
_STEP_IDENTIFIERS = frozenset({"RequestedProcedureID", "StudyInstanceUID", f"{STEP}.ScheduledProcedureStepID"})
_STATUS = frozenset({STEP, f"{STEP}.ScheduledProcedureStepStatus"})

_TYPE_1 = (
    "PatientName", "PatientID", "StudyInstanceUID", "RequestedProcedureID", STEP,
    f"{STEP}.ScheduledStationAETitle", f"{STEP}.ScheduledProcedureStepStartDate",
    f"{STEP}.ScheduledProcedureStepStartTime", f"{STEP}.Modality", f"{STEP}.ScheduledProcedureStepID",
)  # fmt: skip
_TYPE_2 = (
    "RequestedProcedureDescription", "RequestedProcedureCodeSequence", "ReferencedStudySequence",
    "ReferencedPatientSequence", "RequestedProcedurePriority", "PatientTransportArrangements", "AccessionNumber",
    "RequestingPhysician", "ReferringPhysicianName", "AdmissionID", "CurrentPatientLocation", "PatientBirthDate",
    "PatientSex", "PatientWeight", "ConfidentialityConstraintOnPatientDataDescription", "MedicalAlerts",
    "Allergies", "PregnancyStatus", "SpecialNeeds", "PatientState",
    f"{STEP}.ScheduledPerformingPhysicianName", f"{STEP}.ScheduledProcedureStepDescription",
    f"{STEP}.ScheduledProtocolCodeSequence", f"{STEP}.ScheduledStationName",
    f"{STEP}.ScheduledProcedureStepLocation",
)  # fmt: skip

MODALITY_WORKLIST = Profile(
    title="Modality Worklist",
    types={**dict.fromkeys(_TYPE_1, "1"), **dict.fromkeys(_TYPE_2, "2")},
    identifiers=_ORDER_IDENTIFIERS | _STEP_IDENTIFIERS | {f"{STEP}.ScheduledStationAETitle"},
    indispensable=_STEP_IDENTIFIERS | {"PatientID"},
    kept=_ORDER_IDENTIFIERS | _STEP_IDENTIFIERS | _STATUS,
    detail=_STEP_IDENTIFIERS,
    detail_segments=frozenset({"OBR", "IPC"}),
)
