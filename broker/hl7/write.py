"""Writing messages: values by their places in, ER7 text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

from broker.errors import BrokerError
from broker.hl7.message import HEADERS
from broker.hl7.separators import STANDARD, Separators, escape

Place = tuple[int, int, int]
"""Field, component, subcomponent, counted from 1. Component or subcomponent 0 is the first: the place of a plain text."""

Values = Mapping[Place, str | Sequence[str]]
"""Text by place; a sequence holds one text per repetition of the field."""


def write(segments: Iterable[tuple[str, Values]], separators: Separators = STANDARD) -> str:
    """Write the segments in their order as ER7, each ended by CR, everything escaped, nothing trailing.

    MSH-1 and MSH-2 come from *separators*. Raise BrokerError H011 for a place that does not exist (field 0).
    """
    return "".join(f"{write_segment(name, values, separators)}\r" for name, values in segments)


def write_segment(name: str, values: Values, separators: Separators = STANDARD) -> str:
    """Write one segment, without its CR."""
    fields: dict[int, dict[tuple[int, int], list[str]]] = {}
    for (field, component, subcomponent), value in values.items():
        if min(field, component + 1, subcomponent + 1) < 1:
            raise BrokerError(
                f"{name}-{field}.{component}.{subcomponent} is no place", code="H011", hint="fields count from 1"
            )
        texts = [value] if isinstance(value, str) else list(value)
        fields.setdefault(field, {})[max(component, 1), max(subcomponent, 1)] = texts
    written = {field: _field(places, separators) for field, places in fields.items()}
    if name in HEADERS:
        written[1], written[2] = "", separators.encoding
        return name + _joined(written, separators.field)
    return name + separators.field + _joined(written, separators.field)


def _field(places: Mapping[tuple[int, int], Sequence[str]], separators: Separators) -> str:
    rows = zip_longest(*places.values(), fillvalue="")
    repetitions = [_repetition(dict(zip(places, row, strict=True)), separators) for row in rows]
    return _joined(dict(enumerate(repetitions, 1)), separators.repetition)


def _repetition(places: Mapping[tuple[int, int], str], separators: Separators) -> str:
    components: dict[int, dict[int, str]] = {}
    for (component, subcomponent), text in places.items():
        components.setdefault(component, {})[subcomponent] = escape(text, separators)
    joined = {n: _joined(parts, separators.subcomponent) for n, parts in components.items()}
    return _joined(joined, separators.component)


def _joined(parts: Mapping[int, str], mark: str) -> str:
    last = max((n for n, text in parts.items() if text), default=0)
    return mark.join(parts.get(n, "") for n in range(1, last + 1))
