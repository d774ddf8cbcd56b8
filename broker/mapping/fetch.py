"""From paths to functions that find their value in a message; everything that can be decided is decided beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from broker.hl7.message import Segment
from broker.mapping.chains import Plain
from broker.mapping.context import NULL, Context, Fetch, Origin
from broker.mapping.convert import code_item
from broker.mapping.names import name_of
from broker.mapping.nodes import Path
from broker.mapping.places import Make, Places

Wanted = Literal["text", "name", "code"]

Read = Callable[[Segment], Any]
"""Reads a field: a text or an item, a list of them, NULL, or None when missing."""

ReadOne = Callable[[Segment, int], Any]
"""Reads one repetition of a field: a text or an item, NULL, or None when missing."""

Build = Callable[[list[str]], Any]
"""Makes a name or an item of the parts of a composite."""

ID_FIRST = frozenset({"XCN", "CNN", "PPN"})
"""Names whose first component is a number (HL7 2.5.1 2.A.88)."""

DELETED = [NULL]
"""The components of a field that is NULL as a whole: so are all others."""

IDEOGRAPHIC, PHONETIC = "I", "P"


def fetch_path(
    path: Path, wanted: Wanted, datatype: str, *, in_each: bool, origin: Origin, places: Places
) -> Fetch | Plain:
    """Make the function that finds *path*. *in_each*: the field's repetition is that of the enclosing ``each``."""
    if path.every_segment:
        return _every_segment(path, _reader(path, wanted, datatype), origin)
    if path.segment_pick is not None:
        return _picked_segment(path, _reader(path, wanted, datatype), origin)
    first = places.text(path.segment, path.field)
    if wanted == "text" and path.component < 2 and path.subcomponent < 2 and path.pick is None and not path.every:
        return Plain(first, first, origin, True)
    place = _plain_place(path, wanted, datatype, in_each, places)
    return Plain(place, first, origin, wanted != "code" and not path.every)


def _plain_place(path: Path, wanted: Wanted, datatype: str, in_each: bool, places: Places) -> int:
    """Give the number of a place at the first segment of its name."""
    is_one = path.pick is None and not path.every
    if wanted == "text" and is_one:
        return places.text(path.segment, path.field, path.component or 1, path.subcomponent or 1)
    make: Make
    one = reader_of(path, wanted, datatype)
    if not is_one:
        read = _reader(path, wanted, datatype)
        make = lambda segment, repetition, parts: read(segment)  # noqa: E731
    elif path.component:
        make = lambda segment, repetition, parts: one(segment, repetition)  # noqa: E731
    else:
        make = _whole(path.field, wanted, datatype, one, has_groups=not in_each)
    what = (wanted, datatype, path.pick, path.every, path.component, path.subcomponent, in_each)
    return places.made(path.segment, path.field, what, make, recurs=wanted == "code" or datatype in ID_FIRST)


def _whole(field: int, wanted: Wanted, datatype: str, read: ReadOne, *, has_groups: bool) -> Make:
    """Make the function that makes a code or a name of a field, a name also of its repetitions."""
    build = _builder(wanted, datatype)

    def make(segment: Segment, repetition: int, parts: list[str]) -> Any:
        value = build(parts)
        if has_groups and len(segment.repetitions(field)) > 1:
            return _with_groups(segment, field, value, read)
        return value

    return make if wanted == "name" else lambda segment, repetition, parts: build(parts)


def _picked_segment(path: Path, read: Read, origin: Origin) -> Fetch:
    find, field = _segment_finder(path), path.field

    def fetch(context: Context) -> Any:
        segment = find(context)
        value = None if segment is None else read(segment)
        if segment is None or value is None:
            return None
        context.origin = origin
        if context.is_tracing:
            context.used.add((segment.index, field))
        return value

    return fetch


def _every_segment(path: Path, read: Read, origin: Origin) -> Fetch:
    name, field = path.segment, path.field

    def fetch(context: Context) -> Any:
        values: list[Any] = []
        for segment in context.segments.get(name, ()):
            value = read(segment)
            if value is None:
                continue
            if type(value) is list:
                values += value
            else:
                values.append(value)
            if context.is_tracing:
                context.used.add((segment.index, field))
        if values:
            context.origin = origin
        return _known(values)

    return fetch


def _known(values: Sequence[Any]) -> Any:
    """Give the list of *values* that are there; NULL where all of them are deleted, None where none is there."""
    there = [value for value in values if value is not None]
    return [value for value in there if value != NULL] or (NULL if there else None)


def _reader(path: Path, wanted: Wanted, datatype: str) -> Read:
    """Make the function that reads what *path* says of one segment: one repetition or every one."""
    field, pick, one = path.field, path.pick, reader_of(path, wanted, datatype)
    if path.every:

        def every(segment: Segment) -> Any:
            count = len(segment.repetitions(field))
            return one(segment, 1) if count == 1 else _known([one(segment, n) for n in range(1, count + 1)])

        return every
    if pick is None:
        return lambda segment: one(segment, 1)
    if pick.index:
        return lambda segment: one(segment, pick.index)
    wanted_text = pick.text.casefold()

    def picked(segment: Segment) -> Any:
        for n in range(1, len(segment.repetitions(field)) + 1):
            if segment.value(field, n, pick.first, pick.second).strip().casefold() == wanted_text:
                return one(segment, n)
        return None

    return picked


def reader_of(path: Path, wanted: Wanted, datatype: str) -> ReadOne:
    """Make the function that reads what *path* says of one repetition."""
    field, component, subcomponent = path.field, path.component, path.subcomponent
    if wanted == "text":
        return _text_reader(field, component or 1, subcomponent)
    build = _builder(wanted, datatype)
    if component:
        return lambda segment, repetition: build(segment.subparts(field, repetition, component))
    return lambda segment, repetition: build(segment.parts(field, repetition))


def _builder(wanted: Wanted, datatype: str) -> Build:
    if wanted == "name":
        first = 1 if datatype in ID_FIRST else 0
        return lambda parts: _name(parts, first)
    return _code


def _text_reader(field: int, component: int, subcomponent: int) -> ReadOne:
    def read_deep(segment: Segment, repetition: int) -> str | None:
        text = segment.value(field, repetition, component, subcomponent)
        return text or (NULL if segment.raw(field) == NULL else None)

    def read(segment: Segment, repetition: int) -> str | None:
        parts = segment.parts(field, repetition)
        text = parts[component - 1] if component <= len(parts) else ""
        return text or (NULL if parts == DELETED else None)

    return read if subcomponent < 2 else read_deep


def _name(parts: Sequence[str], first: int) -> str | None:
    if not parts:
        return None
    if parts[0] == NULL and len(parts) == 1:
        return NULL
    if NULL in parts:
        parts = ["" if part == NULL else part for part in parts]
    return name_of(parts, first) or None


def _code(parts: Sequence[str]) -> Any:
    if not parts or not parts[0]:
        return None
    if parts[0] == NULL:
        return NULL
    value, meaning, scheme = [*parts, "", ""][:3]
    return code_item(value, meaning, scheme)


def _with_groups(segment: Segment, field: int, name: Any, read: ReadOne) -> Any:
    """Add ideographic and phonetic repetitions (XPN.8 I and P) as the groups of a PN (PS3.5 6.2.1)."""
    if not name or name == NULL:
        return name
    count = len(segment.repetitions(field))
    by_code = {segment.value(field, n, 8): read(segment, n) for n in range(count, 0, -1)}
    ideographic, phonetic = by_code.get(IDEOGRAPHIC), by_code.get(PHONETIC)
    if not ideographic and not phonetic:
        return name
    alphabetic = by_code.get("A") or by_code.get("") or ""
    return "=".join((alphabetic, ideographic or "", phonetic or "")).rstrip("=")


def _segment_finder(path: Path) -> Callable[[Context], Segment | None]:
    name, pick = path.segment, path.segment_pick
    assert pick is not None
    if pick.index:
        index = pick.index

        def numbered(context: Context) -> Segment | None:
            found = context.segments.get(name, [])
            return found[index - 1] if index <= len(found) else None

        return numbered
    wanted, key = pick.text.casefold(), (name, pick.first, pick.second)
    read = _text_reader(pick.first, pick.second or 1, 0)

    def matching(context: Context) -> Segment | None:
        index = context.indexes.get(key)
        if index is None:
            index = context.indexes[key] = {}
            for segment in context.segments.get(name, ()):
                index.setdefault((read(segment, 1) or "").strip().casefold(), segment)
        return index.get(wanted)

    return matching
