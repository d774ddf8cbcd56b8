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
    sharing: dict[tuple[Any, ...], list[tuple[int, int]]] = {}
    for place, item in enumerate(items):
        for turn, step in enumerate(item.get(STEP) or ()):
            step_id = str(step.get(STEP_ID) or "")
            if _is_derived(item, step_id):
                key = (item.get("AccessionNumber"), item.get("RequestedProcedureID"), step_id)
                sharing.setdefault(key, []).append((place, turn))
    numbered = list(items)
    for places in sharing.values():
        if len(places) > 1:
            for number, (place, turn) in enumerate(places, 1):
                numbered[place] = _numbered(numbered[place], turn, number)
    return numbered


def _numbered(item: Item, turn: int, number: int) -> Item:
    suffix = f"-{number}"
    steps = list(item[STEP])
    steps[turn] = {**steps[turn], STEP_ID: steps[turn][STEP_ID][-(LENGTH - len(suffix)) :] + suffix}
    return {**item, STEP: steps}


def _is_derived(item: Mapping[str, Any], step_id: str) -> bool:
    return bool(step_id) and any(str(item.get(keyword) or "").endswith(step_id) for keyword in NUMBERS)
