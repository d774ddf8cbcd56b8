"""The plain places that rules look at, numbered as rules are compiled: an order is taken apart once for all of them.

A plain place is at the first segment of its name and at the first repetition of its field, or at those of an ``each``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import compress
from typing import Any

from broker.hl7.message import NULL, Segment
from broker.hl7.separators import STANDARD

Segments = Mapping[str, Sequence[Segment]]
"""The segments of one order by name; a name that is there has at least one."""

Values = list[Any]
"""What an order has at each place, by number: a text, NULL, what was made of a composite; None or ``''`` for nothing."""

Make = Callable[[Segment, int, list[str]], Any]
"""Makes the value of a place of a segment, a repetition, and the texts of its components."""

WIDTH = 8
"""So many components of each field have places side by side; further ones have places of their own."""

NOTHING, DELETED = [None] * WIDTH, [NULL] * WIDTH

NONE = -1
"""The place where nothing ever stands."""

ALL_FLAGS = b""
"""Flags that say: anything may be there."""

KEPT, KEPT_LENGTH = 1024, 200
"""So many fields that recur are kept taken apart, none of them longer: nobody fills the memory with them."""


class FieldPlaces:
    """The places in one field: from *first* on those of its components as text, each its first subcomponent.

    *deep* are texts of other components and subcomponents, *made* what is made of the whole; both end in their place,
    and *others* are all these places. *flag* is the number of the flag that says that the field is there.
    *kept*: what was written for a field that recurs, a department's codes and physicians; None for fields that do not.
    Never changed but for what is kept: a mapping and its parent have the same.
    """

    __slots__ = ("deep", "first", "flag", "kept", "made", "number", "others")

    def __init__(
        self,
        number: int,
        first: int,
        flag: int,
        deep: tuple[tuple[int, int, int], ...] = (),
        made: tuple[tuple[Make, int], ...] = (),
        recurs: bool = False,
    ) -> None:
        self.number = number
        self.first = first
        self.flag = flag
        self.deep = deep
        self.made = made
        self.others = (*(place for *_, place in deep), *(place for _, place in made))
        self.kept: dict[str, list[tuple[int, Any]]] | None = {} if recurs else None

    def plus(
        self, deep: tuple[tuple[int, int, int], ...] = (), made: tuple[tuple[Make, int], ...] = (), recurs: bool = False
    ) -> FieldPlaces:
        """Give these places and more."""
        recurs = recurs or self.kept is not None
        return FieldPlaces(self.number, self.first, self.flag, self.deep + deep, self.made + made, recurs)

    def fill(self, segment: Segment, repetition: int, raw: str, values: Values) -> None:
        """Write what one *repetition*, *raw* as written, has into *values*, where nothing stands yet."""
        first, marks = self.first, segment.separators
        is_nested = marks.subcomponent in raw or marks.escape in raw or not marks.component
        parts = segment.parts(self.number, repetition) if is_nested else raw.split(marks.component)
        if len(parts) <= WIDTH:
            values[first : first + len(parts)] = parts
        else:
            values[first : first + WIDTH] = parts[:WIDTH]
        if raw == NULL:  # as are all its components
            values[first : first + WIDTH] = DELETED
            for *_, place in self.deep:
                values[place] = NULL
        else:
            for component, subcomponent, place in self.deep:
                if is_nested or component > WIDTH:
                    values[place] = segment.value(self.number, repetition, component, subcomponent)
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
                places = (*range(self.first, self.first + WIDTH), *self.others)
                self.kept[raw] = [(place, values[place]) for place in places if values[place]]
            return
        for place, value in known:
            values[place] = value

    def clear(self, values: Values) -> None:
        """Take out what *values* have at all places."""
        values[self.first : self.first + WIDTH] = NOTHING
        for place in self.others:
            values[place] = None


class Places:
    """Numbers places while rules are compiled; reads them all in one go from the segments of an order."""

    def __init__(self) -> None:
        self._fields: dict[str, list[FieldPlaces | None]] = {}
        self._known: dict[Hashable, int] = {}
        self._homes: list[tuple[str, int]] = []
        self._flags: dict[tuple[str, int], int] = {}

    def copy(self) -> Places:
        """Give places with the same numbers, to which others can be added."""
        twin = Places()
        twin._fields = {name: fields.copy() for name, fields in self._fields.items()}
        twin._known, twin._homes, twin._flags = self._known.copy(), self._homes.copy(), self._flags.copy()
        return twin

    def flag(self, segment: str, number: int) -> int:
        """Give the number of the flag that says that a segment (field 0) or one of its fields is there."""
        if number:
            return self._field(segment, number).flag
        self._fields.setdefault(segment, [])
        return self._flags.setdefault((segment, 0), len(self._flags))

    def text(self, segment: str, number: int, component: int = 1, subcomponent: int = 1) -> int:
        """Give the place of a text in field *number*."""
        places = self._field(segment, number)
        if component <= WIDTH and subcomponent == 1:
            return places.first + component - 1
        key = (segment, number, component, subcomponent)
        if key not in self._known:
            self._known[key] = self._add(segment, number, 1)
            self._fields[segment][number] = places.plus(deep=((component, subcomponent, self._known[key]),))
        return self._known[key]

    def made(self, segment: str, number: int, what: Hashable, make: Make, *, recurs: bool) -> int:
        """Give the place of a value that is made by *make*; *what* tells those of one field apart."""
        places, key = self._field(segment, number), (segment, number, what)
        if key not in self._known:
            self._known[key] = self._add(segment, number, 1)
            self._fields[segment][number] = places.plus(made=((make, self._known[key]),), recurs=recurs)
        elif recurs and places.kept is None:
            self._fields[segment][number] = places.plus(recurs=True)
        return self._known[key]

    def home(self, place: int) -> tuple[str, int]:
        """Give the segment and the field of a place."""
        return self._homes[place]

    def _field(self, segment: str, number: int) -> FieldPlaces:
        fields = self._fields.get(segment)
        if fields is None:
            fields = self._fields[segment] = []
        found = fields[number] if number < len(fields) else None
        if found is None:
            fields += [None] * (number + 1 - len(fields))
            flag = self._flags.setdefault((segment, number), len(self._flags))
            found = fields[number] = FieldPlaces(number, self._add(segment, number, WIDTH), flag)
        return found

    def _add(self, segment: str, number: int, count: int) -> int:
        self._homes += [(segment, number)] * count
        return len(self._homes) - count

    def read(self, segments: Segments) -> tuple[Values, bytes]:
        """Read what stands at all places; also give the flags."""
        values: Values = [None] * (len(self._homes) + 1)
        flags = bytearray(len(self._flags))
        for name, fields in self._fields.items():
            if name in segments:
                if (name, 0) in self._flags:
                    flags[self._flags[name, 0]] = 1
                if fields:
                    _read(segments[name][0], fields, values, flags)
        return values, bytes(flags)

    def with_segment(self, flags: bytes, segment: str) -> bytes:
        """Give *flags* with all of *segment*'s: any of its fields may be there in one of its turns."""
        mine = [flag for (name, _), flag in self._flags.items() if name == segment]
        return bytes(1 if flag in mine else is_there for flag, is_there in enumerate(flags))

    def turn_to_segment(self, values: Values, segment: Segment) -> None:
        """Write what *segment* has into *values*, in place of what the first segment of its name has."""
        fields = self._fields.get(segment.name, [])
        for places in fields:
            if places is not None:
                places.clear(values)
        _read(segment, fields, values, bytearray(len(self._flags)))

    def turn_to_repetition(self, values: Values, segment: Segment, number: int, repetition: int, raw: str) -> None:
        """Write what one *repetition* of field *number*, *raw* as written, has into *values*, instead of the first's."""
        places = self._field(segment.name, number)
        places.clear(values)
        if raw:
            places.fill(segment, repetition, raw, values)


def _read(segment: Segment, fields: Sequence[FieldPlaces | None], values: Values, flags: bytearray) -> None:
    repetition = segment.separators.repetition
    is_standard = segment.separators is STANDARD
    for raw, places in compress(zip(segment.fields, fields, strict=False), fields):
        if not raw or places is None:
            continue
        flags[places.flag] = 1
        if places.kept is not None and is_standard:
            places.fill_again(segment, raw, values)
        elif raw.isalnum() and not places.made:  # the usual: no mark is a letter or a digit
            values[places.first] = raw
        elif repetition and repetition in raw:
            places.fill(segment, 1, raw.partition(repetition)[0], values)
        else:
            places.fill(segment, 1, raw, values)
