"""What rules see while they run: the segments of one order, zones, facts, and where the last value came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from broker.hl7.message import NULL, Segment
from broker.mapping.places import ALL_FLAGS, Places, Values
from broker.mapping.problems import Place

__all__ = [
    "NOWHERE",
    "NULL",
    "Context",
    "Converted",
    "Fetch",
    "Origin",
    "Refusal",
    "Refused",
    "Remark",
    "RemarkKind",
    "TraceLine",
]

RemarkKind = Literal["invalid", "unknown", "note", "structure"]


class Origin(NamedTuple):
    """Where a value came from: words for the trace, and the HL7 place when there is one."""

    text: str
    segment: str = ""
    field: int = 0
    component: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A warning: something was mended, sent empty or assumed. *text* may hold the value; *rule* is file:line:column."""

    target: str
    kind: RemarkKind
    text: str
    rule: str

    def __str__(self) -> str:
        return f"{self.target}: {self.text}"


class Refusal(Exception):
    """A rule refuses the order; *hl7_code* is of HL7 table 0357."""

    def __init__(self, text: str, *, hint: str, hl7_code: str, origin: Origin) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.hl7_code = hl7_code
        self.origin = origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal with the rule that gave it."""

    target: str
    place: Place
    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLine:
    """What one rule said: the value (None: nothing found), and how it was found."""

    path: str
    vr: str
    value: Any
    how: str
    place: Place


class Converted(str):
    """A text that already is what its attribute holds."""

    __slots__ = ()


class Context:
    """The state of one run over one group. Rules set *origin* with every value that they find.

    *values* are those at the plain *places*, *flags* say which fields are there; *indexes* find segments by what a
    component says; *used* is filled when tracing; *turns* counts those of all ``each``.
    """

    __slots__ = (
        "count", "facts", "flags", "indexes", "is_tracing", "lines", "n", "origin", "ours", "places", "refused", "remarks",
        "segments", "theirs", "turns", "used", "values",
    )  # fmt: skip

    def __init__(
        self,
        *,
        places: Places,
        segments: dict[str, list[Segment]],
        theirs: ZoneInfo,
        ours: ZoneInfo,
        facts: Mapping[str, Any],
        is_tracing: bool = False,
    ) -> None:
        self.theirs = theirs
        self.ours = ours
        self.facts = facts
        self.is_tracing = is_tracing
        self.used: set[tuple[int, int]] = set()
        self.lines: list[TraceLine] = []
        self.remarks: list[Remark] = []
        self.refused: list[Refused] = []
        self.origin = NOWHERE
        self.n = 0
        self.count = 0
        self.turns = 0
        self.segments = segments
        self.indexes: dict[tuple[str, int, int], dict[str, Segment]] = {}
        self.look_at(places)

    def look_at(self, places: Places) -> None:
        """Read what the order has at *places*."""
        self.places = places
        values, flags = places.read(self.segments)
        self.flags = ALL_FLAGS if self.is_tracing else flags
        self.values = Watched(values, self) if self.is_tracing else values

    def remark(self, target: str, kind: RemarkKind, text: str, place: Place) -> None:
        """Note a warning."""
        self.remarks.append(Remark(target=target, kind=kind, text=text, rule=str(place)))


class Watched(list[Any]):
    """The values of an order that is traced: the fields of what is asked for and there are noted as used."""

    __slots__ = ("context",)

    def __init__(self, values: Values, context: Context) -> None:
        super().__init__(values)
        self.context = context

    def __getitem__(self, place: Any) -> Any:
        value = super().__getitem__(place)
        if value:
            name, number = self.context.places.home(place)
            self.context.used.add((self.context.segments[name][0].index, number))
        return value


NOWHERE = Origin("nothing")

Fetch = Callable[[Context], Any]
"""Finds a value: None when missing, NULL when deleted, else a text, a list of texts, an item or a list of items."""
