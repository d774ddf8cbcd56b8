"""What may be logged: an allow-list of keys, free text with its values masked, exceptions without their values."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

from broker.errors import BrokerError, without_values

TEXTS = frozenset({"announced", "error", "faults", "found", "hint", "reason", "text"})
"""Keys of free text: what stands in quotes, has a caret or looks like a number of a patient is masked."""

KEYS = frozenset(
    """
    event level at accession ae address associations attempts bytes called calling charset code commit
    connections control_id count database delivery destination digest event_id event_type exception facility file
    folder frames gap host instances instead_of items jobs kind library limit line listener listeners lost mapping mappings
    message_id message_type milliseconds modality node number objects order_id outcome part path peer pid port ports
    problem_key problems removed restarts role rule samples seconds series site size sop_class sop_uid spool stage state status
    step_id study_uid task transfer_syntax type uid unfinished url user version waiting warnings where worker zone
    """.split()
)
"""Keys whose values are logged as they are: technical, or identifiers without a person."""

_VALUE = re.compile(r"\S*\^\S*|\d{6,}")
_PASSWORD = re.compile(r"(?<=://)[^\s/@]*(?=@)")
_LONGEST = 300
_PACKAGE = Path(__file__).parents[1]


def redact(logger: object, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep what may be logged (a structlog processor); a key that is not listed stays with ``***`` for its value."""
    fault = entry.pop("exc_info", None)
    for key, value in entry.items():
        if key in TEXTS:
            entry[key] = [mask(str(one)) for one in value] if isinstance(value, list | tuple) else mask(str(value))
        elif key not in KEYS:
            entry[key] = "***"
        elif isinstance(value, str) and "://" in value:
            entry[key] = _PASSWORD.sub("***", value)
    if fault:
        entry["exception"] = _told(fault)
    return entry


def mask(text: str) -> str:
    """Mask what may be a person's in free text, and cut it."""
    return _VALUE.sub("***", without_values(_PASSWORD.sub("***", text[:_LONGEST])))


def _told(fault: Any) -> str:
    """Tell an exception by its type, its way through the code, and its text only where that is the broker's or the system's."""
    if not isinstance(fault, BaseException):
        fault = fault[1] if isinstance(fault, tuple) else sys.exc_info()[1]
    if fault is None:
        return ""
    text = f": {mask(str(fault))}" if isinstance(fault, BrokerError | OSError) else ""
    way = " < ".join(reversed([_place(frame, line) for frame, line in walk_tb(fault.__traceback__)][-6:]))
    cause = f"; from {_told(fault.__cause__)}" if fault.__cause__ else ""
    return f"{type(fault).__name__}{text} at {way}{cause}" if way else f"{type(fault).__name__}{text}{cause}"


def _place(frame: FrameType, line: int) -> str:
    path = Path(frame.f_code.co_filename)
    shown = path.relative_to(_PACKAGE) if path.is_relative_to(_PACKAGE) else path.name
    return f"{shown}:{line} {frame.f_code.co_name}"
