"""What a worklist query is answered with: the keys that were asked for (PS3.4 K.2.2.1.2; policy: worklist 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.domain.order import Item
from broker.domain.query import STATION, STATUS, STEPS, Query
from broker.domain.worklist import WorklistEntry

STUDY_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""SOP Class UID (retired) by which a Referenced Study Sequence names a requested procedure's study."""

_OTHER_IDS = ("OtherPatientIDsSequence", "OtherPatientIDs")


def answer_item(entry: WorklistEntry, query: Query, station: str) -> Item:
    """Make the answer of *entry* to *query*: each requested key, empty when nothing is known of it (a private one: absent).

    A zero-length sequence or an empty item asks for whole items. An unassigned step is answered with *station*, which
    is `Query.station`. A patient found by an ID of old comes with Other Patient IDs. The Specific Character Set is left
    to whoever encodes it.
    """
    answer = _chosen(query.identifier, whole_item(entry, station))
    if query.patient and not query.patient.is_current(entry.item):
        answer |= {keyword: entry.item[keyword] for keyword in _OTHER_IDS if keyword in entry.item}
    return answer


def whole_item(entry: WorklistEntry, station: str) -> Item:
    """Give all that is known of *entry*; an unassigned step is for *station*."""
    stations = list(entry.stations) if len(entry.stations) > 1 else "".join(entry.stations) or station
    step = {**entry.step, STATION: stations, STATUS: entry.wire_status}
    return {**entry.item, STEPS: [step], "ReferencedStudySequence": _referenced_study(entry.item)}


def _referenced_study(item: Item) -> list[Item]:
    """Name the study that Study Instance UID names: both must agree."""
    study_uid = item.get("StudyInstanceUID")
    if not study_uid:
        return []
    return [{"ReferencedSOPClassUID": STUDY_MANAGEMENT, "ReferencedSOPInstanceUID": study_uid}]


def _chosen(asked: Item, known: Item) -> dict[str, Any]:
    return {
        keyword: _value(wanted, known.get(keyword, ""))
        for keyword, wanted in asked.items()
        if keyword != "SpecificCharacterSet" and (keyword in known or keyword[0] != "(")
    }


def _value(wanted: Any, value: Any) -> Any:
    is_sequence = isinstance(value, list) and value and isinstance(value[0], Mapping)
    inner = wanted[0] if wanted and isinstance(wanted, list) else None
    if not is_sequence or not inner or not isinstance(inner, Mapping):
        return value
    return [_chosen(inner, one) for one in value]
