"""The trace of a translation as a person reads it; values masked by what they are (mapping language section 8)."""

from __future__ import annotations

import re
from typing import Any

from broker.mapping.context import TraceLine
from broker.mapping.engine import Translation
from broker.mapping.profiles import STEP

SHORT = ((f"{STEP}.", "SPS."), ("ScheduledProcedureStep", "…Step"), ("RequestedProcedure", "ReqProcedure"),
         ("ImagingServiceRequest", "ISR"))  # fmt: skip

IDS = frozenset(
    """
    PatientID IssuerOfPatientID OtherPatientIDs AccessionNumber AdmissionID RequestedProcedureID
    ScheduledProcedureStepID StudyInstanceUID PlacerOrderNumberImagingServiceRequest
    FillerOrderNumberImagingServiceRequest
    """.split()
)
FREE_TEXTS = frozenset({"LT", "ST", "UT"})
TECHNICAL = frozenset({"AE", "CS", "DS", "IS", "US", "TM", "SQ"})
PERSONAL = frozenset(
    {
        "PatientAddress",
        "PatientTelephoneNumbers",
        "MedicalAlerts",
        "Allergies",
        "PatientState",
        "SpecialNeeds",
        "PatientSex",
    }
)

WIDTHS = (38, 22, 38)


def render_trace(translation: Translation, mask: bool = True) -> list[str]:
    """Write the trace of *translation* (made with ``trace=True``) line by line."""
    lines: list[str] = []
    for output in translation.outputs:
        lines.append(
            f"order {output.group} of {_count(translation)} -> {output.action or 'nothing'} ({output.control})"
        )
        lines += [_line(line, mask) for line in output.trace]
        lines += [f"  warning {remark.target}: {_words(remark.text, mask)}" for remark in output.warnings]
    for rejection in translation.rejections:
        lines.append(f"REJECTED  {rejection.target}: {_words(rejection.text, mask)}")
        lines.append(f"          rule at {rejection.rule}")
    if translation.unused:
        lines.append(f"not used: {' '.join(translation.unused)}")
    return lines


def _count(translation: Translation) -> int:
    groups = [output.group for output in translation.outputs] + [one.group for one in translation.rejections]
    return max(groups, default=0)


def _line(line: TraceLine, mask: bool) -> str:
    path, value = line.path, line.value
    for long, short in SHORT:
        path = path.replace(long, short)
    if value is None or value == "":
        shown = "(empty)"
    else:
        text = _written(value)
        shown = f"'{masked(line.path, line.vr, text) if mask else text}'"
    how = (
        re.sub(r"\[[^\]]*\] from", "[***] from", line.how)
        if mask and shown != "(empty)" and "***" in shown
        else line.how
    )
    where = f"{line.place.path}:{line.place.line}"
    what = f"{line.vr} {shown if len(shown) <= WIDTHS[1] - 3 else shown[: WIDTHS[1] - 5] + '…' + shown[-1]}"
    return f"  {path:<{WIDTHS[0]}} {what:<{WIDTHS[1]}} <- {how:<{WIDTHS[2]}} {where}".rstrip()


def _written(value: Any) -> str:
    if isinstance(value, list):
        return "\\".join(_written(one) for one in value)
    if isinstance(value, dict):
        return "/".join(str(part) for part in value.values())
    return str(value)


def masked(path: str, vr: str, text: str) -> str:
    """Hide *text* by its class: names ``D***``, numbers ``***456``, dates by year, free text wholly, technical values not."""
    keyword = path.rpartition(".")[2]
    if keyword in IDS or keyword.endswith("EntityID"):
        return f"***{text[-3:]}" if len(text) > 3 else "***"
    if vr == "PN":
        return f"{text[:1]}***"
    if vr in ("DA", "DT"):
        return text[:4]
    if vr == "TM" or keyword.startswith("Scheduled") or (vr in TECHNICAL and keyword not in PERSONAL):
        return text
    if vr in FREE_TEXTS or keyword in PERSONAL:
        return "***"
    return text if keyword.startswith(("RequestedProcedure", "Code", "Coding")) else "***"


def _words(text: str, mask: bool) -> str:
    return re.sub(r"'[^']*'", "'***'", text) if mask else text
