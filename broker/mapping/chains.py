"""Several plain places asked in one go: what most rules do, and where most of the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        known = context.parts
        for key, name, field, component, subcomponent, origin in places:
            parts = known.get(key)
            if parts is None:
                parts = known[key] = parts_of(context, name, field)
            if not parts:
                continue
            value = parts[component - 1] if component <= len(parts) else ""
            if subcomponent > 1:
                value = context.segments[name][0].value(field, 1, component, subcomponent)
            if not value and parts == DELETED:
                value = NULL
            if not value or (not null_stops and value == NULL):
                continue
            context.origin = origin
            if context.is_tracing:
                context.used.add((context.segments[name][0].index, field))
            return value
        return None

    return fetch


def part_of_first(texts: Sequence[PlainText], null_stops: bool) -> Fetch:
    """Make the function that takes a component from the first field whose first component is there.

    Number and issuer stay together: where the number comes from ORC-3, so does its issuer, even when that is missing.
    """
    places = _places(texts)

    def fetch(context: Context) -> Any:
        known = context.parts
        for key, name, field, component, subcomponent, origin in places:
            parts = known.get(key)
            if parts is None:
                parts = known[key] = parts_of(context, name, field)
            if not parts or not parts[0]:
                continue
            value = parts[component - 1] if component <= len(parts) else ""
            if subcomponent > 1:
                value = context.segments[name][0].value(field, 1, component, subcomponent)
            if not value and parts == DELETED:
                value = NULL
            if not null_stops and value == NULL:
                continue
            context.origin = origin
            if context.is_tracing:
                context.used.add((context.segments[name][0].index, field))
            return value or None
        return None

    return fetch


def parts_of(context: Context, name: str, field: int) -> list[str]:
    """Give the components of a field's first repetition as text, of each the first subcomponent; a missing field has none."""
    found = context.segments.get(name)
    return MISSING if found is None else found[0].first_parts(field)


MISSING: list[str] = []
DELETED = [NULL]
"""A field that is NULL as a whole: so are all its components."""


def _places(texts: Sequence[PlainText]) -> tuple[tuple[str, str, int, int, int, Origin], ...]:
    return tuple(
        (f"{one.name}-{one.field}", one.name, one.field, one.component, one.subcomponent, one.origin) for one in texts
    )
