"""From paths to functions that find their value in a message; everything that can be decided is decided beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from broker.hl7.message import Segment
from broker.hl7.separators import unescape
from broker.mapping.chains import PlainText, first_of, parts_of
from broker.mapping.context import NULL, Context, Fetch, Origin
from broker.mapping.convert import code_item
from broker.mapping.names import name_of
from broker.mapping.nodes import Path, Pick

Wanted = Literal["text", "name", "code"]

Read = Callable[[Segment, int], Any]
"""Reads one repetition of a field: a text or an item, NULL, or None when missing."""

Build = Callable[[list[str]], Any]
"""Makes a name or an item of the parts of a composite."""

ID_FIRST = frozenset({"XCN", "CNN", "PPN"})
"""Names whose first component is a number (HL7 2.5.1 2.A.88)."""

IDEOGRAPHIC, PHONETIC = "I", "P"


def fetch_path(path: Path, wanted: Wanted, datatype: str, *, in_each: bool, origin: Origin) -> Fetch | PlainText:
    """Make the function that finds *path*. *in_each*: the field's repetition is that of the enclosing ``each``."""
    read = reader_of(path, wanted, datatype)
    if path.every or path.every_segment:
        every = _every(path, read, origin)
        if path.every_segment or path.segment_pick is not None:
            return every
        one = fetch_path(replace(path, every=False), wanted, datatype, in_each=False, origin=origin)
        return _unless_repeated(path, one, every)
    is_plain = path.segment_pick is None and path.pick is None and not in_each
    if is_plain and wanted == "text":
        return PlainText(
            name=path.segment,
            field=path.field,
            component=path.component or 1,
            subcomponent=path.subcomponent,
            origin=origin,
        )
    if is_plain:
        return _plain_composite(path, read, _builder(wanted, datatype), wanted == "name", origin)
    find_segment, find_repetition = _segment_finder(path), _repetition_finder(path, in_each)
    field = path.field

    def fetch(context: Context) -> Any:
        segment = find_segment(context)
        repetition = find_repetition(segment, context) if segment else 0
        if segment is None or not repetition:
            return None
        value = read(segment, repetition)
        if value is None:
            return None
        context.origin = origin
        if context.is_tracing:
            context.used.add((segment.index, field))
        return value

    return fetch


def _plain_composite(path: Path, read: Read, build: Build, has_groups: bool, origin: Origin) -> Fetch:
    """Make the function for the first repetition at the first segment."""
    name, field, component = path.segment, path.field, path.component
    key = f"{name}-{field}"

    def fetch(context: Context) -> Any:
        parts = context.parts.get(key)
        if parts is None:
            parts = context.parts[key] = parts_of(context, name, field)
        if not parts:
            return None
        segment = context.segments[name][0]
        if component:
            value = read(segment, 1)
        else:
            value = build(parts)
            if has_groups and segment.separators.repetition in segment.raw(field):
                value = _with_groups(segment, field, value, read)
        if value is None:
            return None
        context.origin = origin
        if context.is_tracing:
            context.used.add((segment.index, field))
        return value

    return fetch


def _unless_repeated(path: Path, one: Fetch | PlainText, every: Fetch) -> Fetch:
    """Take the short way for a field that could repeat but does not."""
    name, field = path.segment, path.field
    single = first_of([one], True)

    def fetch(context: Context) -> Any:
        found = context.segments.get(name)
        if found is None:
            return None
        mark = found[0].separators.repetition
        return every(context) if not mark or mark in found[0].raw(field) else single(context)

    return fetch


def _every(path: Path, read: Read, origin: Origin) -> Fetch:
    name, field = path.segment, path.field
    find_segment, find_repetition = _segment_finder(path), _repetition_finder(path, False)

    def fetch(context: Context) -> Any:
        segments = context.segments.get(name)
        if segments is None:
            return None
        if not path.every_segment:
            segments = [segment for segment in (find_segment(context),) if segment]
        values = []
        for segment in segments:
            count = len(segment.repetitions(field)) if path.every else 0
            places = range(1, count + 1) if path.every else (find_repetition(segment, context),)
            found = [value for place in places if place and (value := read(segment, place)) is not None]
            values += found
            if found and context.is_tracing:
                context.used.add((segment.index, field))
        if not values:
            return None
        context.origin = origin
        known = [value for value in values if value != NULL]
        return known or NULL

    return fetch


def reader_of(path: Path, wanted: Wanted, datatype: str) -> Read:
    """Make the function that reads what *path* says of one repetition."""
    field, component, subcomponent = path.field, path.component, path.subcomponent
    if wanted == "text":
        return lambda segment, repetition: _text(segment, field, repetition, component or 1, subcomponent)
    build = _builder(wanted, datatype)
    return lambda segment, repetition: build(_parts(segment, field, repetition, component))


def _builder(wanted: Wanted, datatype: str) -> Build:
    if wanted == "name":
        first = 1 if datatype in ID_FIRST else 0
        return lambda parts: _name(parts, first)
    return _code


def _text(segment: Segment, field: int, repetition: int, component: int, subcomponent: int) -> str | None:
    value = segment.value(field, repetition, component, subcomponent)
    if value:
        return value
    return NULL if component > 1 and segment.raw(field) == NULL else None


def _parts(segment: Segment, field: int, repetition: int, component: int) -> list[str]:
    """Give the pieces of a composite, unescaped: components, or the subcomponents of one component."""
    pieces = segment.components(field, repetition)
    mark = segment.separators.subcomponent
    if component:
        pieces = pieces[component - 1 : component]
        pieces = pieces[0].split(mark) if pieces and mark else pieces
    return [_plain(piece, segment, mark) for piece in pieces]


def _plain(piece: str, segment: Segment, mark: str) -> str:
    first = piece.partition(mark)[0] if mark else piece
    return unescape(first, segment.separators, segment.codec) if segment.separators.escape in first else first


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


def _with_groups(segment: Segment, field: int, name: Any, read: Read) -> Any:
    """Add ideographic and phonetic repetitions (XPN.8 I and P) as the groups of a PN (PS3.5 6.2.1)."""
    count = len(segment.repetitions(field))
    if count < 2 or not name or name == NULL:
        return name
    by_code = {segment.value(field, n, 8): read(segment, n) for n in range(count, 0, -1)}
    ideographic, phonetic = by_code.get(IDEOGRAPHIC), by_code.get(PHONETIC)
    if not ideographic and not phonetic:
        return name
    alphabetic = by_code.get("A") or by_code.get("") or ""
    return "=".join((alphabetic, ideographic or "", phonetic or "")).rstrip("=")


def _segment_finder(path: Path) -> Callable[[Context], Segment | None]:
    name, pick = path.segment, path.segment_pick
    if pick is None:

        def first(context: Context) -> Segment | None:
            found = context.segments.get(name)
            return found[0] if found else None

        return first
    if pick.index:
        index = pick.index

        def numbered(context: Context) -> Segment | None:
            found = context.segments.get(name, [])
            return found[index - 1] if index <= len(found) else None

        return numbered
    wanted, field, component = pick.text.casefold(), pick.first, pick.second or 1

    def matching(context: Context) -> Segment | None:
        found = context.segments.get(name, [])
        return next((s for s in found if s.value(field, 1, component).strip().casefold() == wanted), None)

    return matching


def _repetition_finder(path: Path, in_each: bool) -> Callable[[Segment, Context], int]:
    pick: Pick | None = path.pick
    if pick is None:
        return (lambda segment, context: context.repetition) if in_each else (lambda segment, context: 1)
    if pick.index:
        index = pick.index
        return lambda segment, context: index
    field, component, subcomponent, wanted = path.field, pick.first, pick.second, pick.text.casefold()

    def matching(segment: Segment, context: Context) -> int:
        for n in range(1, len(segment.repetitions(field)) + 1):
            if segment.value(field, n, component, subcomponent).strip().casefold() == wanted:
                return n
        return 0

    return matching
