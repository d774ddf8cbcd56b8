"""Queries compiled once for each number of values, however many values they are asked with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Delete, Dialect, Select

from broker.store.connection import Row, compiled

Asked = Mapping[str, Sequence[Any]]
"""The values of a query's conditions by the conditions' names."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """Stands for one value while a query is compiled."""

    name: str
    index: int


@dataclass(frozen=True, slots=True)
class _Made:
    """A query's text, and for each of its parameters where the value is: condition and index; ``""`` is the constants."""

    text: str
    places: tuple[tuple[str, int], ...]
    constants: Sequence[Any]


class Prepared:
    """Queries of one form. *build* makes the query from what it is given for each condition that is asked."""

    def __init__(self, dialect: Dialect, build: Callable[[Asked], Select[Any] | Delete]) -> None:
        self._dialect = dialect
        self._build = build
        self._made: dict[tuple[tuple[str, int], ...], _Made] = {}

    def query(self, asked: Asked) -> tuple[str, Row]:
        """Give the text and the parameters of the query for *asked*."""
        padded = {name: _padded(values) for name, values in asked.items()}
        shape = tuple((name, len(values)) for name, values in padded.items())
        made = self._made.get(shape) or self._make(shape)
        padded[""] = made.constants
        return made.text, tuple([padded[name][index] for name, index in made.places])

    def _make(self, shape: tuple[tuple[str, int], ...]) -> _Made:
        slots = {name: [_Slot(name, index) for index in range(count)] for name, count in shape}
        statement = compiled(self._dialect, self._build(slots))
        constants = [value for value in statement.parameters if not isinstance(value, _Slot)]
        fixed = iter(range(len(constants)))
        places = tuple(
            (value.name, value.index) if isinstance(value, _Slot) else ("", next(fixed))
            for value in statement.parameters
        )
        made = self._made[shape] = _Made(statement.text, places, constants)
        return made


def _padded(values: Sequence[Any]) -> Sequence[Any]:
    """Fill up to a power of two with the last value, so that few queries are compiled."""
    count = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (count - len(values))]
