"""Why an order is not on a scanner's list, in words."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from broker.domain.order import Item
from broker.domain.query import START_DATE, START_TIME, STATION, STATUS, STEPS, Query, station_query
from broker.domain.worklist import Caller, WorklistEntry, why_hidden


def why(entry: WorklistEntry, query: Query | None, caller: Caller, now: datetime) -> list[str]:
    """List the reasons why *caller* does not see *entry* at the aware time *now*; empty when it does.

    Without a *query* the usual one is meant: all that is scheduled for the caller's own AE title.
    """
    query = query or station_query(caller.ae)
    hidden = why_hidden(entry, caller, now)
    reasons = [hidden] if hidden else []
    for keyword in query.misses(entry, caller):
        if keyword == STATION:
            reasons += _why_not_for(entry, query, caller)
        elif keyword == START_DATE:
            reasons.append(_why_not_then(entry, query))
        elif keyword == STATUS:
            reasons.append(_differs(keyword, entry.wire_status, _asked(query, keyword)))
        else:
            reasons.append(_differs(keyword, _known(entry, keyword), _asked(query, keyword)))
    return reasons


def _why_not_for(entry: WorklistEntry, query: Query, caller: Caller) -> list[str]:
    if entry.stations:
        asked = _text(_asked(query, STATION))
        return [f"it is assigned to {', '.join(entry.stations)}; asked for was {asked}" + _case(asked, entry.stations)]
    ae = query.station(caller)
    if not entry.modality:
        return []
    fitting = ", ".join(sorted(caller.modalities.get(ae, ())))
    return [f"its modality is {entry.modality}, that of {ae} is {fitting}; no station is assigned"]


def _why_not_then(entry: WorklistEntry, query: Query) -> str:
    asked = " ".join(filter(None, (_text(_asked(query, keyword)) for keyword in (START_DATE, START_TIME))))
    start = f"{entry.start[:8]} {entry.start[8:]}" if entry.start else "not known"
    return f"its start is {start}; asked for was {asked}"


def _differs(keyword: str, known: Any, asked: Any) -> str:
    """Say that a key differs; names of keys are DICOM keywords put apart (``PatientID`` as Patient ID)."""
    label = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", keyword)
    if isinstance(asked, list) and asked and not isinstance(asked[0], str):
        return f"no item of {label} is what was asked for"
    have = _text(known)
    return f"{label} is {have or 'empty'}; asked for was {_text(asked)}" + _case(_text(asked), (have,))


def _case(asked: str, known: tuple[str, ...]) -> str:
    """Point out what only a person sees at once: it differs in upper and lower case alone."""
    is_case = asked not in known and asked.casefold() in (text.casefold() for text in known)
    return " (only upper and lower case differ)" if is_case else ""


def _known(entry: WorklistEntry, keyword: str) -> Any:
    return entry.item[keyword] if keyword in entry.item else entry.step.get(keyword, "")


def _asked(query: Query, keyword: str) -> Any:
    steps = query.identifier.get(STEPS) or [{}]
    step: Item = steps[0]
    return query.identifier[keyword] if keyword in query.identifier else step.get(keyword, "")


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ", ".join(value)
