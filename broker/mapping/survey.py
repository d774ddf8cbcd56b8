"""What a pile of real messages holds: how often each field is filled, what values it takes, what they look like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from broker.hl7 import dictionary
from broker.hl7.message import NULL, Message, Segment
from broker.mapping.types import kind_of

VALUES_KEPT = 500
"""Different values of one field that are kept; what comes later is counted as one of them or not at all."""

CODED = frozenset({"ID", "IS", "CE", "CWE", "CNE", "HD", "SI", "PL", "MSG", "PT", "TQ", "VID"})
"""Types whose values are codes of a site, which may be shown."""

_DATE = r"(0[1-9]|[12]\d|3[01])"
_MONTH = r"(0[1-9]|1[0-2])"
FORMATS: Sequence[tuple[str, str]] = (
    ("", rf"(19|20)\d\d{_MONTH}{_DATE}([01]\d|2[0-3])?([0-5]\d)?([0-5]\d)?(\.\d+)?([+-]\d{{4}})?"),
    ("YYYY-MM-DD", rf"(19|20)\d\d-{_MONTH}-{_DATE}"),
    ("YYYY-MM-DD HH:mm", rf"(19|20)\d\d-{_MONTH}-{_DATE} \d\d:\d\d"),
    ("DD.MM.YYYY", rf"{_DATE}\.{_MONTH}\.(19|20)\d\d"),
    ("DD.MM.YYYY HH:mm", rf"{_DATE}\.{_MONTH}\.(19|20)\d\d \d\d:\d\d"),
    ("DD/MM/YYYY", rf"{_DATE}/{_MONTH}/(19|20)\d\d"),
    ("MM/DD/YYYY", rf"{_MONTH}/{_DATE}/(19|20)\d\d"),
)
"""Ways in which senders write dates, and how ``as:`` names them; the first is HL7's own."""


@dataclass(slots=True, kw_only=True)
class Seen:
    """One place in messages, such as ``OBR-4.1``: in how many messages it is filled, and with what."""

    path: str
    segment: str
    number: int
    filled: int = 0
    values: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The field's name in the standard, empty for a Z segment."""
        found = dictionary.field(self.segment, self.number)
        return found.name.replace("_", " ").lower() if found else ""

    @property
    def is_coded(self) -> bool:
        """Say whether the values are codes: by the field's type, and because they are few and short."""
        found = dictionary.field(self.segment, self.number)
        is_code = found is not None and found.datatype in CODED
        is_few = len(self.values) <= max(3, self.filled // 3) and all(len(value) <= 16 for value in self.values)
        return is_few and (is_code or (found is None and len(self.values) <= 8 and self.filled > len(self.values)))

    def share(self, fits: str) -> float:
        """Give the share of the values (0 to 1) that match the regular expression *fits* as a whole."""
        total = sum(self.values.values())
        return sum(n for value, n in self.values.items() if re.fullmatch(fits, value)) / total if total else 0.0

    def date_format(self) -> str | None:
        """Give the format that every value has, ``""`` for HL7's own; None when there is none."""
        return next((name for name, pattern in FORMATS if self.values and self.share(pattern) == 1.0), None)

    def shown(self, limit: int = 6) -> str:
        """Say what the values are: the codes themselves, else only what they look like."""
        found = self.values if self.is_coded else Counter[str]()
        if not found:
            for value, count in self.values.items():
                found[shape(value)] += count
        told = [f"{value} ({count})" if count > 1 else value for value, count in found.most_common(limit)]
        more = f", {len(found) - limit} more" if len(found) > limit else ""
        return ", ".join(told) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found in *total* messages, by path, in the order in which it first appeared."""

    total: int
    places: Mapping[str, Seen]

    def find(self, path: str) -> Seen | None:
        """Find what stands at *path*; ``PID-5`` is also ``PID-5.1`` where nobody writes components."""
        return self.places.get(path) or self.places.get(f"{path}.1")


def survey(messages: Iterable[Message]) -> Survey:
    """Look at every field of *messages*, of repetitions and repeated segments at all."""
    places: dict[str, Seen] = {}
    total = 0
    for message in messages:
        total += 1
        found: dict[str, tuple[Segment, int, list[str]]] = {}
        for segment in message.segments:
            for path, number, value in _values(segment):
                found.setdefault(path, (segment, number, []))[2].append(value)
        for path, (segment, number, values) in found.items():
            seen = places.setdefault(path, Seen(path=path, segment=segment.name, number=number))
            seen.filled += 1
            for value in values:
                if value in seen.values or len(seen.values) < VALUES_KEPT:
                    seen.values[value] += 1
    return Survey(total=total, places=dict(sorted(places.items(), key=lambda pair: _order(pair[1]))))


def _order(seen: Seen) -> tuple[str, int, str]:
    return seen.segment, seen.number, seen.path


def _values(segment: Segment) -> Iterable[tuple[str, int, str]]:
    for number in range(1, segment.last_field + 1):
        is_composite = _is_composite(segment.name, number)
        for repetition in range(1, len(segment.repetitions(number)) + 1):
            parts = segment.components(number, repetition)
            for component in range(1, len(parts) + 1):
                value = segment.value(number, repetition, component)
                if value and value != NULL:
                    suffix = f".{component}" if is_composite or len(parts) > 1 else ""
                    yield f"{segment.name}-{number}{suffix}", number, value


@cache
def _is_composite(segment: str, number: int) -> bool:
    """Say whether a rule must name a component even where a sender writes but one."""
    found = dictionary.field(segment, number)
    return found is not None and kind_of(found.datatype) in ("composite", "code")


def shape(value: str) -> str:
    """Show what *value* looks like without what it says: ``A`` letters, ``9`` digits, runs with their length."""
    runs = re.findall(r"[^\W\d_]+|\d+|[\W_]+", value)[:8]
    return "".join(_run(run) for run in runs)


def _run(run: str) -> str:
    kind = "9" if run[0].isdigit() else "A" if run[0].isalpha() else ""
    if not kind:
        return run[:3]
    return kind if len(run) == 1 else f"{kind}{{{len(run)}}}"
