"""A C-FIND identifier of the Modality Worklist as a value: which entries match it, and what SQL may leave out before.

Case and accents count in everything but persons' names (PS3.4 C.2.2.2.1), only that codes (CS) have no lower case.
A key with nothing but ``*`` asks for everything, as an empty one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.domain.moments import Dates, Moments, Times, combine, read_dates, read_times
from broker.domain.order import Item
from broker.domain.patient_key import PatientKey
from broker.domain.patterns import (
    Names,
    OneOf,
    Pattern,
    Wild,
    has_wildcard,
    holds,
    read_names,
    read_numbers,
    read_texts,
)
from broker.domain.worklist import Caller, WorklistEntry
from broker.domain.worklist_keys import NESTED_KEYS, REQUEST_KEYS, STEP_KEYS, Kind
from broker.errors import BrokerError

STEPS = "ScheduledProcedureStepSequence"
STATION = "ScheduledStationAETitle"
STATUS = "ScheduledProcedureStepStatus"
START_DATE = "ScheduledProcedureStepStartDate"
START_TIME = "ScheduledProcedureStepStartTime"

_NO_KEYS = frozenset({"SpecificCharacterSet", "TimezoneOffsetFromUTC"})
"""Attributes that say how the identifier is to be read."""

_MAX_DEPTH = 8

Check = Callable[[WorklistEntry], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a store can leave out beforehand: entries outside are no match, entries inside may be.

    Tuples name exact values, any of them; an empty tuple or text asks for nothing. *patient_ids* are of today or of
    old; *stations* match unassigned steps too; *start_from* and *start_to* are included, YYYYMMDDHHMMSS;
    *name_prefix* begins ``text.name_key`` of the patient's name.
    """

    patient_ids: tuple[str, ...] = ()
    accessions: tuple[str, ...] = ()
    step_ids: tuple[str, ...] = ()
    procedure_ids: tuple[str, ...] = ()
    study_uids: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    start_from: str = ""
    start_to: str = ""
    name_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An identifier, read: what its keys ask for, by keyword. Make one with `read_query`.

    *request* holds the keys beside the Scheduled Procedure Step Sequence, *step* those in it; the patient's ID, the
    stations, the status and the start are looked at by rules of their own. *ignored* are the keys that ask for
    something and are not compared.
    """

    identifier: Item
    patient: PatientKey | None = None
    request: Mapping[str, Pattern]
    stations: OneOf | Wild | None = None
    status: Pattern | None = None
    start: tuple[Dates | Times | Moments, ...] = ()
    step: Mapping[str, Pattern]
    ignored: tuple[str, ...] = ()

    def matching(self, entries: Sequence[WorklistEntry], caller: Caller) -> Sequence[WorklistEntry]:
        """Give those of *entries* that are answers when *caller* asks; whether they are listed, `worklist.visible` says."""
        for _, check in self._checks(caller):
            entries = list(filter(check, entries))
        return entries

    def matches(self, entry: WorklistEntry, caller: Caller) -> bool:
        """Say whether *entry* is an answer when *caller* asks."""
        return not self.misses(entry, caller)

    def misses(self, entry: WorklistEntry, caller: Caller) -> list[str]:
        """Name, by keyword, each key that keeps *entry* from being an answer."""
        return [keyword for keyword, check in self._checks(caller) if not check(entry)]

    def station(self, caller: Caller) -> str:
        """Give the AE title that an unassigned step is answered with: the queried one, else the caller's."""
        if self.stations is None or self.stations.accepts(caller.ae):
            return caller.ae
        exact = self.stations.values if isinstance(self.stations, OneOf) else ()
        return min(exact, default=caller.ae)

    def criteria(self) -> Criteria:
        """Tell what a store can select by: all that matches is among what that gives."""
        start_from, start_to = _bounds(self.start)
        return Criteria(
            patient_ids=_exact(self.patient and self.patient.ids),
            accessions=_exact(self.request.get("AccessionNumber")),
            step_ids=_exact(self.step.get("ScheduledProcedureStepID")),
            procedure_ids=_exact(self.request.get("RequestedProcedureID")),
            study_uids=_exact(self.request.get("StudyInstanceUID")),
            modalities=_exact(self.step.get("Modality")),
            stations=_exact(self.stations),
            start_from=start_from,
            start_to=start_to,
            name_prefix=_prefix(self.request.get("PatientName")),
        )

    def _checks(self, caller: Caller) -> Iterator[tuple[str, Check]]:
        """List what an entry must pass, by keyword; made once a query, for a list may be long."""
        patient, status = self.patient, self.status
        if patient:
            yield "PatientID", lambda entry: patient.accepts(entry.item)
        yield STATION, self._for_whom(caller)
        if self.start:
            yield START_DATE, _starts(self.start)
        if status:
            yield STATUS, lambda entry: status.accepts(entry.wire_status)
        for keyword, wanted in self.request.items():
            yield keyword, _in_item(keyword, wanted)
        for keyword, wanted in self.step.items():
            yield keyword, _in_step(keyword, wanted)

    def _for_whom(self, caller: Caller) -> Check:
        """An assigned step: as asked. An unassigned one: for any scanner of its modality (policy: mapping 4)."""
        stations, ae = self.stations, self.station(caller)

        def is_for(entry: WorklistEntry) -> bool:
            if entry.stations:
                return stations is None or holds(stations, entry.stations)
            return entry.modality != "" and caller.fits(ae, entry.modality)

        return is_for


def read_query(identifier: Item) -> Query:
    """Read an *identifier* by DICOM keyword; raise BrokerError Q002 (with *location*) for a key that cannot be read.

    Keys that the worklist does not know, and a second item in a sequence, ask for nothing.
    """
    request = _read_keys(identifier, REQUEST_KEYS)
    request.pop(STEPS, None)
    asked_step = _first(identifier.get(STEPS))
    step = _read_keys(asked_step, STEP_KEYS)
    patient_id = request.pop("PatientID", None)
    return Query(
        identifier=identifier,
        patient=PatientKey(patient_id, request.pop("IssuerOfPatientID", None)) if patient_id else None,
        stations=step.pop(STATION, None),  # type: ignore[arg-type]
        status=step.pop(STATUS, None),
        start=_start(step.pop(START_DATE, None), step.pop(START_TIME, None)),  # type: ignore[arg-type]
        request=request,
        step=step,
        ignored=(*_ignored(identifier, REQUEST_KEYS), *_ignored(asked_step, STEP_KEYS)),
    )


def station_query(ae: str) -> Query:
    """Make the query that a scanner usually asks: all that is scheduled for its own AE title."""
    return read_query({STEPS: [{STATION: ae}]})


@dataclass(frozen=True, slots=True)
class _Items:
    """Sequence matching: one item has what every key asks for (PS3.4 C.2.2.2.6)."""

    keys: Mapping[str, Pattern]

    def accepts(self, item: Item) -> bool:
        return all(holds(pattern, item.get(keyword)) for keyword, pattern in self.keys.items())


_READERS: Mapping[Kind, Callable[[Sequence[str]], Pattern]] = {
    "text": read_texts,
    "code": lambda values: read_texts([value.upper() for value in values]),
    "uid": lambda values: OneOf(frozenset(values)),
    "name": read_names,
    "number": read_numbers,
    "date": read_dates,
    "time": read_times,
}


def _read_keys(identifier: Item, kinds: Mapping[str, Kind], depth: int = 0) -> dict[str, Pattern]:
    patterns: dict[str, Pattern] = {}
    for keyword, asked in identifier.items():
        if not asked or (kind := kinds.get(keyword)) is None:
            continue
        if kind == "sequence":
            nested = _read_keys(_first(asked), NESTED_KEYS, depth + 1) if depth < _MAX_DEPTH else {}
            if nested:
                patterns[keyword] = _Items(nested)
        elif values := _asked(asked):
            patterns[keyword] = _read_key(keyword, kind, values)
    return patterns


def _read_key(keyword: str, kind: Kind, values: Sequence[str]) -> Pattern:
    try:
        return _READERS[kind](values)
    except BrokerError as error:
        error.location = keyword
        raise


def _ignored(identifier: Item, kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    return tuple(key for key, asked in identifier.items() if asked and key not in kinds and key not in _NO_KEYS)


def _first(sequence: Any) -> Item:
    return sequence[0] if sequence and not isinstance(sequence, str) else {}


def _asked(asked: Any) -> list[str]:
    """Give the values of a key that ask for something: none when one of them (``*``, ``^``) asks for everything."""
    values = [value for one in ([asked] if isinstance(asked, str) else asked) if (value := one.strip())]
    return values if all(value.strip("*^=") for value in values) else []


def _starts(patterns: Sequence[Dates | Times | Moments]) -> Check:
    def starts(entry: WorklistEntry) -> bool:
        for pattern in patterns:  # noqa: SIM110 (a generator costs more than what it compares)
            if entry.start == "" or not pattern.starts(entry.start):
                return False
        return True

    return starts


def _in_item(keyword: str, pattern: Pattern) -> Check:
    return lambda entry: holds(pattern, entry.item.get(keyword))


def _in_step(keyword: str, pattern: Pattern) -> Check:
    return lambda entry: holds(pattern, entry.step.get(keyword))


def _start(dates: Dates | None, times: Times | None) -> tuple[Dates | Times | Moments, ...]:
    both = combine(dates, times) if dates else None
    return (both,) if both else tuple(key for key in (dates, times) if key)


def _bounds(start: tuple[Dates | Times | Moments, ...]) -> tuple[str, str]:
    for pattern in start:
        if not isinstance(pattern, Times):
            return pattern.bounds()
    return "", ""


def _exact(pattern: Pattern | None) -> tuple[str, ...]:
    return tuple(sorted(pattern.values)) if isinstance(pattern, OneOf) else ()


def _prefix(pattern: Pattern | None) -> str:
    """Give what the folded name begins with, when a single Latin name is asked for (others may be any group)."""
    if not isinstance(pattern, Names) or len(pattern.names) != 1 or not pattern.names[0][0].isascii():
        return ""
    asked = pattern.names[0][0]
    literal = asked.split("*", 1)[0].split("?", 1)[0]
    return literal.rstrip("^") if has_wildcard(asked) else asked
