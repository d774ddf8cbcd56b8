"""Several plain places asked in one go: what most rules do, and where most of the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.hl7.message import Segment
from broker.mapping.context import NULL, Context, Fetch, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainText:
    """A text at the first segment of a name, the first repetition of a field."""

    name: str
    field: int
    component: int
    subcomponent: int
    origin: Origin


def first_of(fetches: Sequence[Fetch | PlainText], null_stops: bool) -> Fetch:
    """Make the function that gives the first value found; NULL is one, unless it must not stop the search."""
    joined = _joined(fetches, null_stops)
    if len(joined) == 1:
        return joined[0]

    def fetch(context: Context) -> Any:
        for one in joined:
            value = one(context)
            if value is not None:
                return value
        return None

    return fetch


def _joined(fetches: Sequence[Fetch | PlainText], null_stops: bool) -> list[Fetch]:
    """Put neighbouring plain places into one function each."""
    joined: list[Fetch] = []
    run: list[PlainText] = []
    for one in fetches:
        if isinstance(one, PlainText):
            run.append(one)
            continue
        if run:
            joined.append(_chain(run, null_stops))
            run = []
        joined.append(one if null_stops else _without_null(one))
    if run:
        joined.append(_chain(run, null_stops))
    return joined


def _without_null(fetch: Fetch) -> Fetch:
    def fetch_value(context: Context) -> Any:
        value = fetch(context)
        return None if value == NULL else value

    return fetch_value


def _chain(texts: Sequence[PlainText], null_stops: bool) -> Fetch:
    places = _places(texts)

    def fetch(context: Context) -> Any:
        segments = context.segments
        for name, field, component, subcomponent, is_first, origin in places:
            found = segments.get(name)
            if found is None:
                continue
            segment = found[0]
            value = segment.raw(field)
            if not value:
                continue
            if value.isalnum():  # no separator, no escape: the field is its own first component
                if not is_first:
                    continue
            elif value != NULL:
                value = text_in(segment, value, field, component, subcomponent)
            if not value or (value == NULL and not null_stops):
                continue
            context.origin = origin
            if context.is_tracing:
                context.used.add((segment.index, field))
            return value
        return None

    return fetch


def part_of_first(texts: Sequence[PlainText], null_stops: bool) -> Fetch:
    """Make the function that takes a component from the first field whose first component is there.

    Number and issuer stay together: where the number comes from ORC-3, so does its issuer, even when that is missing.
    """
    places = _places(texts)

    def fetch(context: Context) -> Any:
        segments = context.segments
        for name, field, component, subcomponent, is_first, origin in places:
            found = segments.get(name)
            raw = found[0].raw(field) if found else ""
            if not raw or found is None:
                continue
            if raw.isalnum():
                value = raw if is_first else ""
            elif raw == NULL:
                value = NULL
            else:
                marks = found[0].separators
                if raw[0] == marks.component or raw[0] == marks.repetition:
                    continue
                value = text_in(found[0], raw, field, component, subcomponent)
            if value == NULL and not null_stops:
                continue
            context.origin = origin
            if context.is_tracing:
                context.used.add((found[0].index, field))
            return value or None
        return None

    return fetch


def text_in(segment: Segment, raw: str, field: int, component: int, subcomponent: int) -> str:
    """Give one component of the first repetition; *raw* is the field as written. The short way where nothing is special."""
    marks = segment.separators
    mark = marks.component
    if not mark or marks.escape in raw or marks.repetition in raw or marks.subcomponent in raw:
        return segment.value(field, 1, component, subcomponent)
    if subcomponent > 1:
        return ""
    if mark not in raw:
        return raw if component == 1 else ""
    parts = raw.split(mark, component)
    return parts[component - 1] if component <= len(parts) else ""


def _places(texts: Sequence[PlainText]) -> tuple[tuple[str, int, int, int, bool, Origin], ...]:
    return tuple(
        (one.name, one.field, one.component, one.subcomponent, one.component == 1 and one.subcomponent < 2, one.origin)
        for one in texts
    )
