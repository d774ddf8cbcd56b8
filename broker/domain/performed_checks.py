"""What the data sets of N-CREATE and N-SET say, and what is wrong with them (PS3.4 Table F.7.2-1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from broker.domain.identity import items, text
from broker.domain.order import Item

SUCCESS = 0x0000
INVALID_VALUE = 0x0106
ATTRIBUTE_LIST_ERROR = 0x0107
PROCESSING_FAILURE = 0x0110
DUPLICATE_INSTANCE = 0x0111
NO_SUCH_INSTANCE = 0x0112
MISSING_ATTRIBUTE = 0x0120
MISSING_VALUE = 0x0121

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
_MEANINGS = {
    "INPROGRESS": IN_PROGRESS,
    "STARTED": IN_PROGRESS,
    "COMPLETE": COMPLETED,
    "COMPLETED": COMPLETED,
    "DISCONTINUE": DISCONTINUED,
    "DISCONTINUED": DISCONTINUED,
}
_STATUS = "PerformedProcedureStepStatus"
_VALUED_AT_CREATE = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Modality",
)
_PRESENT_AT_CREATE = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "PerformedStationName",
    "PerformedLocation",
    "PerformedProcedureStepDescription",
    "PerformedProcedureTypeDescription",
    "ProcedureCodeSequence",
    "PerformedProcedureStepEndDate",
    "PerformedProcedureStepEndTime",
    "StudyID",
    "PerformedProtocolCodeSequence",
    "PerformedSeriesSequence",
)
_PRESENT_IN_REFERENCE = (
    "ReferencedStudySequence",
    "AccessionNumber",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "ScheduledProcedureStepID",
    "ScheduledProcedureStepDescription",
    "ScheduledProtocolCodeSequence",
)
ONLY_AT_CREATE = (
    "ScheduledStepAttributesSequence",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "ReferencedPatientSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Modality",
    "StudyID",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a request: the status that the standard has for it, and words for people."""

    status: int
    text: str


def status_at_create(attributes: Item) -> tuple[str | None, tuple[Fault, ...]]:
    """Read the status of an N-CREATE; None when nobody can tell what is meant, IN PROGRESS when nothing is said."""
    said = text(attributes, _STATUS)
    if not said:
        return IN_PROGRESS, _without_value(attributes, (_STATUS,))
    if said == IN_PROGRESS:
        return IN_PROGRESS, ()
    return _meaning(said), (Fault(INVALID_VALUE, f"N-CREATE with status {said[:30]}"),)


def status_at_set(attributes: Item, current: str) -> tuple[str | None, tuple[Fault, ...]]:
    """Read the status of an N-SET; an N-SET that names none leaves *current*; None when it is not a status."""
    said = text(attributes, _STATUS)
    if not said:
        return current, _without_value(attributes, (_STATUS,)) if _STATUS in attributes else ()
    status = _meaning(said)
    return status, () if said == status else (Fault(INVALID_VALUE, f"N-SET with status {said[:30]}"),)


def missing_at_create(attributes: Item, *, strict: bool) -> tuple[Fault, ...]:
    """List the type 1 values that an N-CREATE lacks; for the strict also the absent attributes of type 2."""
    references = items(attributes, "ScheduledStepAttributesSequence")
    faults = _without_value(attributes, _VALUED_AT_CREATE)
    for reference in references:
        faults += _without_value(reference, ("StudyInstanceUID",))
    if strict:
        faults += _absent(attributes, _PRESENT_AT_CREATE)
        for reference in references:
            faults += _absent(reference, _PRESENT_IN_REFERENCE)
    return faults


def missing_at_end(attributes: Item, *, ended: str, series: int) -> tuple[Fault, ...]:
    """List what a final N-SET lacks; *ended* and *series* are what the step has after it."""
    lacking = [] if ended else ["PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"]
    lacking += [] if series else ["PerformedSeriesSequence"]
    for one in items(attributes, "PerformedSeriesSequence"):
        lacking += [keyword for keyword in ("SeriesInstanceUID", "ProtocolName") if not text(one, keyword)]
    return tuple(Fault(MISSING_VALUE, f"{keyword} is missing") for keyword in lacking)


def moment(attributes: Item, date: str, time: str) -> tuple[str, tuple[Fault, ...]]:
    """Join a date and a time as YYYYMMDDHHMMSS; empty, with a fault, when the date is none."""
    said = text(attributes, date)
    day = "".join(filter(str.isdecimal, said))
    clock = "".join(filter(str.isdecimal, text(attributes, time).partition(".")[0]))
    if not said:
        return "", ()
    if len(day) != 8 or not day.isascii() or not clock.isascii():
        return "", (Fault(INVALID_VALUE, f"{date} is {said[:20]}"),)
    return day + clock[:6].ljust(6, "0"), ()


def instances(attributes: Item) -> tuple[str, ...]:
    """List the SOP Instance UIDs that the Performed Series Sequence names, each once."""
    named: dict[str, None] = {}
    for series in items(attributes, "PerformedSeriesSequence"):
        for keyword in ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence"):
            named.update((text(one, "ReferencedSOPInstanceUID"), None) for one in items(series, keyword))
    named.pop("", None)
    return tuple(named)


def _meaning(said: str) -> str | None:
    return _MEANINGS.get("".join(filter(str.isalpha, said.upper())))


def _without_value(attributes: Item, keywords: Iterable[str]) -> tuple[Fault, ...]:
    return tuple(
        Fault(MISSING_VALUE if keyword in attributes else MISSING_ATTRIBUTE, f"{keyword} is missing")
        for keyword in keywords
        if not attributes.get(keyword)
    )


def _absent(attributes: Item, keywords: Iterable[str]) -> tuple[Fault, ...]:
    return tuple(Fault(MISSING_ATTRIBUTE, f"{keyword} is missing") for keyword in keywords if keyword not in attributes)
