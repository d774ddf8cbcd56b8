"""The plain places that rules look at, numbered as rules are compiled: an order is taken apart once for all of them.

A plain place is at the first segment of its name and at the first repetition of its field, or at those of an ``each``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from broker.hl7.message import NULL, Segment
from broker.hl7.separators import STANDARD

Segments = Mapping[str, Sequence[Segment]]
"""The segments of one order by name; a name that is there has at least one."""

Values = list[Any]
"""What an order has at each place, by number: a text, NULL, what was made of a composite, or None."""

Make = Callable[[Segment, int, list[str]], Any]
"""Makes the value of a place of a segment, a repetition, and the texts of its components."""

KEPT, KEPT_LENGTH = 1024, 200
"""So many fields that recur are kept taken apart, none of them longer: nobody fills the memory with them."""


class FieldPlaces:
    """The places in one field: *first* is its first component; the others are tuples that end in their numbers.

    *others*: index of a component; *nested*: component and subcomponent; *made*: what makes the value; *all*: numbers.
    *kept*: what was written for a field that recurs, a department's codes and physicians; None for fields that do not.
    """

    __slots__ = ("all", "first", "kept", "made", "nested", "number", "others")

    def __init__(self, number: int, first: int) -> None:
        self.number = number
        self.first = first
        self.all = [first]
        self.others: list[tuple[int, int]] = []
        self.nested: list[tuple[int, int, int]] = []
        self.made: list[tuple[Make, int]] = []
        self.kept: dict[str, list[tuple[int, Any]]] | None = None

    def fill(self, segment: Segment, repetition: int, raw: str, values: Values) -> None:
        """Write what one *repetition*, *raw* as written, has into *values*, where None stands yet."""
        marks = segment.separators
        is_nested = marks.subcomponent in raw or marks.escape in raw or not marks.component
        parts = segment.parts(self.number, repetition) if is_nested else raw.split(marks.component)
        values[self.first] = parts[0] or None
        if raw == NULL:  # as are all its components
            for *_, place in (*self.others, *self.nested):
                values[place] = NULL
        else:
            count = len(parts)
            for index, place in self.others:
                if index < count:
                    values[place] = parts[index] or None
            if is_nested:
                for component, subcomponent, place in self.nested:
                    values[place] = segment.value(self.number, repetition, component, subcomponent) or None
        for make, place in self.made:
            values[place] = make(segment, repetition, parts)

    def fill_again(self, segment: Segment, raw: str, values: Values) -> None:
        """Write what a field that recurs, *raw* as written with all its repetitions, has into *values*."""
        assert self.kept is not None
        known = self.kept.get(raw)
        if known is None:
            self.fill(segment, 1, raw.partition(STANDARD.repetition)[0], values)
            if len(raw) <= KEPT_LENGTH and STANDARD.escape not in raw:
                if len(self.kept) >= KEPT:
                    self.kept.clear()
                self.kept[raw] = [(place, values[place]) for place in self.all if values[place] is not None]
            return
        for place, value in known:
            values[place] = value


class Places:
    """Numbers places while rules are compiled; reads them all in one go from the segments of an order."""

    def __init__(self) -> None:
        self._fields: dict[str, list[FieldPlaces | None]] = {}
        self._numbers: dict[Hashable, int] = {}
        self._homes: list[tuple[str, int]] = []

    def text(self, segment: str, number: int, component: int = 1, subcomponent: int = 1) -> int:
        """Give the place of a text in field *number*."""
        places = self._field(segment, number)
        if component == subcomponent == 1:
            return places.first
        place, is_new = self._place(segment, number, (component, subcomponent))
        if is_new and subcomponent == 1:
            places.others.append((component - 1, place))
        elif is_new:
            places.nested.append((component, subcomponent, place))
        places.all += [place] if is_new else []
        return place

    def made(self, segment: str, number: int, what: Hashable, make: Make, *, recurs: bool) -> int:
        """Give the place of a value that is made by *make*; *what* tells those of one field apart."""
        places = self._field(segment, number)
        place, is_new = self._place(segment, number, what)
        if is_new:
            places.made.append((make, place))
            places.all.append(place)
        if recurs and places.kept is None:
            places.kept = {}
        return place

    def home(self, place: int) -> tuple[str, int]:
        """Give the segment and the field of a place."""
        return self._homes[place]

    def _field(self, segment: str, number: int) -> FieldPlaces:
        fields = self._fields.setdefault(segment, [])
        fields += [None] * (number + 1 - len(fields))
        found = fields[number]
        if found is None:
            found = fields[number] = FieldPlaces(number, self._place(segment, number, "first")[0])
        return found

    def _place(self, segment: str, number: int, what: Hashable) -> tuple[int, bool]:
        place = self._numbers.setdefault((segment, number, what), len(self._homes))
        is_new = place == len(self._homes)
        if is_new:
            self._homes.append((segment, number))
        return place, is_new

    def read(self, segments: Segments) -> Values:
        """Read what stands at all places."""
        values: Values = [None] * len(self._homes)
        for name, fields in self._fields.items():
            if name in segments:
                _read(segments[name][0], fields, values)
        return values

    def by_segment(self, values: Values, segments: Sequence[Segment]) -> Iterator[Values]:
        """Give *values* for each of several *segments* of one name: with its own in place of those of the first."""
        fields = self._fields.get(segments[0].name, [])
        rest = _without(values, fields)
        for segment in segments:
            turned = rest.copy()
            _read(segment, fields, turned)
            yield turned

    def by_repetition(self, values: Values, segment: Segment, number: int) -> Iterator[Values]:
        """Give *values* for each repetition of field *number*: with its own in place of those of the first."""
        places = self._field(segment.name, number)
        rest = _without(values, [places])
        for repetition, raw in enumerate(segment.repetitions(number), 1):
            turned = rest.copy()
            if raw:
                places.fill(segment, repetition, raw, turned)
            yield turned


def _without(values: Values, fields: Sequence[FieldPlaces | None]) -> Values:
    cleared = list(values)
    for places in fields:
        for place in places.all if places else ():
            cleared[place] = None
    return cleared


def _read(segment: Segment, fields: Sequence[FieldPlaces | None], values: Values) -> None:
    repetition = segment.separators.repetition
    is_standard = segment.separators is STANDARD
    for raw, places in zip(segment.fields, fields, strict=False):
        if not raw or places is None:
            continue
        if places.kept is not None and is_standard:
            places.fill_again(segment, raw, values)
        elif raw.isalnum() and not places.made:  # the usual: no mark is a letter or a digit
            values[places.first] = raw
        elif repetition and repetition in raw:
            places.fill(segment, 1, raw.partition(repetition)[0], values)
        else:
            places.fill(segment, 1, raw, values)


class Watched(list[Any]):
    """The values of an order that is traced: notes in *used* the fields of what is asked for and there."""

    __slots__ = ("places", "segments", "used")

    def __init__(self, values: Values, places: Places, segments: Segments, used: set[tuple[int, int]]) -> None:
        super().__init__(values)
        self.places, self.segments, self.used = places, segments, used

    def __getitem__(self, place: Any) -> Any:
        value = super().__getitem__(place)
        if value is not None:
            name, number = self.places.home(place)
            self.used.add((self.segments[name][0].index, number))
        return value
