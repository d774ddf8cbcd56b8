"""Several plain places asked in one go: what most rules do, and where most of the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from broker.mapping.context import NULL, Context, Fetch, Origin


class Plain(NamedTuple):
    """A plain place (places.py) by its number; *first* is that of the first component of the same field.

    *is_text*: what stands there is one text. A tuple is quickly made.
    """

    place: int
    first: int
    origin: Origin
    is_text: bool


Leads = dict[Fetch, Plain]
"""The plain places where functions look first: what is there they would give, so that they need not be called."""


def first_of(fetches: Sequence[Fetch | Plain], null_stops: bool, leads: Leads) -> Fetch:
    """Make the function that gives the first value found; NULL is one, unless it must not stop the search."""
    joined = _joined(fetches, null_stops, leads)
    if len(joined) == 1:
        return joined[0]

    def fetch(context: Context) -> Any:
        for one in joined:
            value = one(context)
            if value is not None:
                return value
        return None

    if joined[0] in leads:
        leads[fetch] = leads[joined[0]]
    return fetch


def _joined(fetches: Sequence[Fetch | Plain], null_stops: bool, leads: Leads) -> list[Fetch]:
    """Put neighbouring plain places into one function each."""
    if len(fetches) == 1 and isinstance(plain := fetches[0], Plain):
        return [_walk((plain,), (plain.place,), null_stops, leads)]
    joined: list[Fetch] = []
    run: list[Plain] = []
    for one in (*fetches, None):
        if isinstance(one, Plain):
            run.append(one)
            continue
        if run:
            joined.append(_walk(run, [plain.place for plain in run], null_stops, leads))
            run = []
        if one is not None:
            joined.append(one if null_stops else _without_null(one))
    return joined


def part_of_first(parts: Sequence[Plain], null_stops: bool, leads: Leads) -> Fetch:
    """Make the function that takes a component from the first field whose first component is there.

    Number and issuer stay together: where the number comes from ORC-3, so does its issuer, even when that is missing.
    """
    return _walk(parts, [part.first for part in parts], null_stops, leads)


def _without_null(fetch: Fetch) -> Fetch:
    def fetch_value(context: Context) -> Any:
        value = fetch(context)
        return None if value == NULL else value

    return fetch_value


def _walk(places: Sequence[Plain], guards: Sequence[int], null_stops: bool, leads: Leads) -> Fetch:
    steps = [(guard, plain.place, plain.origin) for guard, plain in zip(guards, places, strict=True)]

    def fetch(context: Context) -> Any:
        values = context.values
        for guard, place, origin in steps:
            if values[guard]:
                value = values[place] or None
                if null_stops or value != NULL:
                    context.origin = origin
                    return value
        return None

    if null_stops and guards[0] == places[0].place:
        leads[fetch] = places[0]
    return fetch
