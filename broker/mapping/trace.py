"""The trace of a translation as a person reads it; values masked by what they are (mapping language section 8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from broker.errors import without_values
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

PATH, VALUE, LONGEST_HOW = 38, 22, 60
"""Widths in characters: what is longer is cut, the word of how a value was found is not."""


def render_trace(translation: Translation, mask: bool = True) -> list[str]:
    """Write the trace of *translation* (made with ``trace=True``) line by line."""
    lines: list[str] = []
    for output in translation.outputs:
        lines.append(
            f"order {output.group} of {_count(translation)} -> {output.action or 'nothing'} ({output.control})"
        )
        lines += _lines(output.trace, mask)
        lines += [f"  warning {remark.target}: {_words(remark.text, mask)}" for remark in output.warnings]
    for rejection in translation.rejections:
        lines.append(f"REJECTED  {rejection.target}: {_words(rejection.text, mask)}")
        lines.append(f"          rule at {rejection.rule}")
    if translation.unused:
        lines.append(f"not used: {' '.join(translation.unused)}")
    return lines


def as_trace(translation: Translation, *, shows_values: bool) -> dict[str, Any]:
    """Write the trace of *translation* for programs; without *shows_values* values are masked or left out."""
    return {
        "outputs": [
            {
                "order": output.group,
                "action": output.action or None,
                "control": output.control or None,
                **({"item": output.item} if shows_values else {}),
            }
            for output in translation.outputs
        ],
        "rejections": [
            {
                "order": rejection.group,
                "target": rejection.target,
                "location": rejection.location,
                "code": rejection.hl7_code,
                "rule": rejection.rule,
                **({"text": rejection.text, "hint": rejection.hint} if shows_values else {}),
            }
            for rejection in translation.rejections
        ],
        "trace": render_trace(translation, mask=not shows_values),
        "unused": list(translation.unused),
    }


def _count(translation: Translation) -> int:
    groups = [output.group for output in translation.outputs] + [one.group for one in translation.rejections]
    return max(groups, default=0)


def _lines(trace: Sequence[TraceLine], mask: bool) -> list[str]:
    """Write path and value, how it was found, and the place of the rule, each in a column of its own."""
    columns = [(*_found(line, mask), f"{line.place.path}:{line.place.line}") for line in trace]
    width = max((len(how) for _, how, _ in columns if len(how) <= LONGEST_HOW), default=0)
    return [f"  {what} <- {how:<{width}} {place}" for what, how, place in columns]


def _found(line: TraceLine, mask: bool) -> tuple[str, str]:
    path, value = line.path, line.value
    for long, short in SHORT:
        path = path.replace(long, short)
    path = path if len(path) <= PATH else f"{path[:15]}…{path[16 - PATH :]}"
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
    what = f"{line.vr} {shown if len(shown) <= VALUE - 3 else shown[: VALUE - 5] + '…' + shown[-1]}"
    return f"{path:<{PATH}} {what:<{VALUE}}", how


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
    return without_values(text) if mask else text
