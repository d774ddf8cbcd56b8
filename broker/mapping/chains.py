"""Several plain places asked in one go: what most rules do, and where most of the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.mapping.context import NULL, Context, Fetch, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A plain place (places.py) by its number; *first* is that of the first component of the same field."""

    place: int
    first: int
    origin: Origin


def first_of(fetches: Sequence[Fetch | Plain], null_stops: bool) -> Fetch:
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


def _joined(fetches: Sequence[Fetch | Plain], null_stops: bool) -> list[Fetch]:
    """Put neighbouring plain places into one function each."""
    joined: list[Fetch] = []
    run: list[Plain] = []
    for one in fetches:
        if isinstance(one, Plain):
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


def _chain(plain: Sequence[Plain], null_stops: bool) -> Fetch:
    places = [(one.place, one.origin) for one in plain]

    def fetch(context: Context) -> Any:
        values = context.values
        for place, origin in places:
            value = values[place]
            if value is not None and (null_stops or value != NULL):
                context.origin = origin
                return value
        return None

    return fetch


def part_of_first(plain: Sequence[Plain], null_stops: bool) -> Fetch:
    """Make the function that takes a component from the first field whose first component is there.

    Number and issuer stay together: where the number comes from ORC-3, so does its issuer, even when that is missing.
    """
    places = [(one.first, one.place, one.origin) for one in plain]

    def fetch(context: Context) -> Any:
        values = context.values
        for first, place, origin in places:
            if values[first] is not None:
                value = values[place]
                if null_stops or value != NULL:
                    context.origin = origin
                    return value
        return None

    return fetch
