"""Modalities (PS3.3 C.7.3.1.1.1): which objects may come of which order, and how long a study stays quiet."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

_ANY_ORDER = frozenset({"PR", "KO", "SR", "SEG", "SC", "OT", "DOC", "REG", "FID", "RWV", "PLAN"})
"""What is made beside the images, whatever was ordered."""

_TOGETHER = (frozenset({"CR", "DX"}), frozenset({"PT", "CT"}), frozenset({"PT", "MR"}), frozenset({"NM", "CT"}))

_QUIET = {"MR": timedelta(minutes=20), "US": timedelta(minutes=15)}
_QUIET_OF_OTHERS = timedelta(minutes=10)


def is_possible(found: str, ordered: Collection[str]) -> bool:
    """Say whether objects of the modality *found* may come of an order for *ordered*; an empty value may be any."""
    if not found or not ordered or "" in ordered or found in _ANY_ORDER:
        return True
    return any(found == one or {found, one} in _TOGETHER for one in ordered)


def quiet_period(modality: str, configured: timedelta | None = None) -> timedelta:
    """Say how long after the last object a study without better evidence is complete (policies 7.2)."""
    return configured if configured is not None else _QUIET.get(modality, _QUIET_OF_OTHERS)
