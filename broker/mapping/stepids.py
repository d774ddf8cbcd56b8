"""Step IDs that were derived from the order's numbers get -1, -2 where several steps would share one (policies 2.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.mapping.profiles import STEP

Item = dict[str, Any]

STEP_ID = "ScheduledProcedureStepID"
LENGTH = 16
"""Characters of an SH."""

NUMBERS = (
    "RequestedProcedureID",
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)


def number_steps(items: Sequence[Item]) -> list[Item]:
    """Tell apart the steps of one procedure that have one derived step ID; it keeps its end when it becomes too long."""
    sharing: dict[tuple[Any, ...], list[int]] = {}
    for place, item in enumerate(items):
        if _is_derived(item):
            key = (item.get("AccessionNumber"), item.get("RequestedProcedureID"), _step_id(item))
            sharing.setdefault(key, []).append(place)
    numbered = list(items)
    for places in sharing.values():
        if len(places) > 1:
            for number, place in enumerate(places, 1):
                numbered[place] = _numbered(items[place], number)
    return numbered


def _numbered(item: Item, number: int) -> Item:
    suffix = f"-{number}"
    first, *others = item[STEP]
    step = {**first, STEP_ID: first[STEP_ID][-(LENGTH - len(suffix)) :] + suffix}
    return {**item, STEP: [step, *others]}


def _step_id(item: Mapping[str, Any]) -> str:
    steps = item.get(STEP)
    if not isinstance(steps, list) or not steps:
        return ""
    return str(steps[0].get(STEP_ID) or "")


def _is_derived(item: Mapping[str, Any]) -> bool:
    step_id = _step_id(item)
    return bool(step_id) and any(str(item.get(keyword) or "").endswith(step_id) for keyword in NUMBERS)
