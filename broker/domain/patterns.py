"""Does a value match a key of a query: single value, wildcard, list, name, number, range (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from broker.domain.text import name_groups
from broker.errors import BrokerError


class Pattern(Protocol):
    """What one key asks of one value."""

    def accepts(self, value: Any) -> bool:
        """Say whether *value* (not empty) is what the key asks for."""


def holds(pattern: Pattern, value: Any) -> bool:
    """Say whether *value*, or any of several values, matches; an unknown value never does (PS3.4 K.2.2.1.1.1)."""
    if value.__class__ is str:
        return value != "" and pattern.accepts(value)
    if not isinstance(value, (list, tuple)):
        return bool(value) and pattern.accepts(value)
    for one in value:  # noqa: SIM110 (a generator costs more than what it compares)
        if holds(pattern, one):
            return True
    return False


@dataclass(frozen=True, slots=True)
class OneOf:
    """Single value matching, or a list of unique identifiers: any of them."""

    values: frozenset[str]

    def accepts(self, value: str) -> bool:
        return value in self.values


@dataclass(frozen=True, slots=True)
class Wild:
    """Wildcard matching: ``*`` any characters or none, ``?`` one character; any of several *patterns*."""

    patterns: tuple[str, ...]

    def accepts(self, value: str) -> bool:
        return any(wildcard(pattern, value) for pattern in self.patterns)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A decimal or integer, equal as a number: 70 is 70.0."""

    values: frozenset[float]

    def accepts(self, value: str) -> bool:
        return _number(value) in self.values


@dataclass(frozen=True, slots=True)
class Names:
    """A person's name without case and accents; each of *names* is a tuple of folded component groups."""

    names: tuple[tuple[str, ...], ...]

    def accepts(self, value: str) -> bool:
        groups = name_groups(value)
        return any(_is_named(name, groups) for name in self.names)


def read_texts(values: Sequence[str]) -> OneOf | Wild:
    """Make the pattern for a key of plain text."""
    return Wild(tuple(values)) if any(map(has_wildcard, values)) else OneOf(frozenset(values))


def read_names(values: Sequence[str]) -> Names:
    """Make the pattern for a key of persons' names."""
    return Names(tuple(name_groups(value) for value in values))


def read_numbers(values: Sequence[str]) -> Numbers:
    """Make the pattern for a key of numbers; raise BrokerError Q002 when one is none."""
    numbers = [_number(value) for value in values]
    if None in numbers:
        raise BrokerError(f"{values[numbers.index(None)][:40]!r} is not a number", code="Q002")
    return Numbers(frozenset(number for number in numbers if number is not None))


def has_wildcard(text: str) -> bool:
    """Say whether *text* holds ``*`` or ``?``."""
    return "*" in text or "?" in text


def wildcard(pattern: str, text: str) -> bool:
    """Say whether all of *text* fits *pattern*; takes time in proportion to their lengths multiplied, at most."""
    first, *rest = pattern.split("*")
    if not rest:
        return len(first) == len(text) and _fits(first, text, 0)
    *middle, last = rest
    if not _fits(first, text, 0):
        return False
    at = len(first)
    for part in middle:
        at = _find(part, text, at)
        if at < 0:
            return False
        at += len(part)
    return len(text) - len(last) >= at and _fits(last, text, len(text) - len(last))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _fits(part: str, text: str, at: int) -> bool:
    if "?" not in part:
        return text.startswith(part, at)
    piece = text[at : at + len(part)]
    return len(piece) == len(part) and all(p in ("?", c) for p, c in zip(part, piece, strict=True))


def _find(part: str, text: str, at: int) -> int:
    if "?" not in part:
        return text.find(part, at)
    return next((i for i in range(at, len(text) - len(part) + 1) if _fits(part, text, i)), -1)


def _is_named(name: tuple[str, ...], groups: tuple[str, ...]) -> bool:
    """Several groups are compared each with its own; a single one that is not plain Latin with every group."""
    if len(name) > 1:
        padded = groups + ("",) * len(name)
        return all(not asked or _is_group(asked, group) for asked, group in zip(name, padded, strict=False))
    if name[0].isascii():
        return _is_group(name[0], groups[0])
    return any(_is_group(name[0], group) for group in groups)


def _is_group(asked: str, group: str) -> bool:
    """With a wildcard: the whole group fits, or each component that is asked for does (``doe*^j*`` finds doe^john^m)."""
    if not has_wildcard(asked):
        return asked == group
    if wildcard(asked, group):
        return True
    components = group.split("^")
    wanted = asked.split("^")
    components += [""] * (len(wanted) - len(components))
    return all(not want or wildcard(want, have) for want, have in zip(wanted, components, strict=False))
