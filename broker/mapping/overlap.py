"""May two mappings claim one message? What their ``when`` demands of single places, and who cannot meet whom by it.

A place holds one text, empty when nothing is there, as conditions.py reads it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from broker.mapping.build import Mapping as Compiled
from broker.mapping.nodes import AllOf, AnyOf, Compare, Condition, Is, Matches, Not, Path

KIND, EVENT = "(kind)", "(event)"
"""Stand for places: of ``ORM^O01`` the two parts; a type without event is of any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What must hold of one place: it is one of *allowed* (None: anything), none of *refused*, and fits *globs*.

    A glob comes with whether it must match or must not.
    """

    allowed: frozenset[str] | None = None
    refused: frozenset[str] = frozenset()
    globs: tuple[tuple[str, bool], ...] = ()

    def __and__(self, other: Demand) -> Demand:
        """Demand both."""
        allowed = other.allowed if self.allowed is None else self.allowed
        if self.allowed is not None and other.allowed is not None:
            allowed = self.allowed & other.allowed
        return Demand(allowed=allowed, refused=self.refused | other.refused, globs=self.globs + other.globs)

    @property
    def values(self) -> frozenset[str] | None:
        """The values that meet it; None where they cannot be listed."""
        if self.allowed is None:
            return None
        kept = self.allowed - self.refused
        return frozenset(one for one in kept if all(fnmatchcase(one, glob) is wanted for glob, wanted in self.globs))


Demands = Mapping[str, Demand]


def demands(mapping: Compiled) -> Demands:
    """Give what *mapping* demands of a message, by place."""
    kind, _, event = mapping.message_type.partition("^")
    of_type = {KIND: Demand(allowed=frozenset({kind}))}
    if event:
        of_type[EVENT] = Demand(allowed=frozenset({event}))
    return _both([of_type, _all_of(mapping.conditions)])


def exclude(first: Demands, second: Demands) -> bool:
    """Say whether no message can meet both."""
    return any((first[place] & second[place]).values == frozenset() for place in first.keys() & second.keys())


@dataclass(slots=True)
class Index:
    """Mappings by the values that they demand; numbers are those of bits, so that many are asked in one go."""

    _count: int = 0
    _listing: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _demanding: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, wanted: Demands) -> None:
        """Add the next mapping."""
        bit = 1 << self._count
        self._count += 1
        for place, demand in wanted.items():
            if (values := demand.values) is not None:
                self._listing[place] |= bit
                for value in values:
                    self._demanding[place, value] |= bit

    def candidates(self, wanted: Demands) -> Iterator[int]:
        """Give the numbers of those whose listed values leave a message for both, in order."""
        left = (1 << self._count) - 1
        for place, demand in wanted.items():
            if (values := demand.values) is not None:
                open_to = left & ~self._listing.get(place, 0)
                for value in values:
                    open_to |= left & self._demanding.get((place, value), 0)
                left = open_to
        while left:
            lowest = left & -left
            yield lowest.bit_length() - 1
            left ^= lowest


def _all_of(conditions: Sequence[Condition]) -> Demands:
    return _both(_demands(condition) for condition in conditions)


def _both(found: Iterable[Demands]) -> Demands:
    merged: dict[str, Demand] = {}
    for one in found:
        for place, demand in one.items():
            merged[place] = merged[place] & demand if place in merged else demand
    return merged


def _either(found: Sequence[Demands]) -> Demands:
    """Give what all alternatives list the values of."""
    merged: dict[str, Demand] = {}
    for place in set.intersection(*(set(one) for one in found)):
        values = [one[place].values for one in found]
        listed = [one for one in values if one is not None]
        if len(listed) == len(values):
            merged[place] = Demand(allowed=frozenset().union(*listed))
    return merged


def _demands(condition: Condition, negated: bool = False) -> Demands:
    match condition:
        case Not(condition=inner):
            return _demands(inner, not negated)
        case AllOf(conditions=parts) | AnyOf(conditions=parts):
            found = [_demands(part, negated) for part in parts]
            return _both(found) if isinstance(condition, AllOf) is not negated else _either(found)
        case Compare(term=Path(text=place), values=values):
            if condition.negated is negated:
                return {place: Demand(allowed=frozenset(values))}
            return {place: Demand(refused=frozenset(values))}
        case Matches(term=Path(text=place), glob=glob):
            return {place: Demand(globs=((glob, not negated),))}
        case Is(term=Path(text=place), state=state):
            return _state_demands(place, state == "present", negated)
    return {}


def _state_demands(place: str, is_present: bool, negated: bool) -> Demands:
    """Missing and null read as the empty text; what is *not missing* may still be null."""
    if is_present and not negated:
        return {place: Demand(refused=frozenset({""}))}
    return {place: Demand(allowed=frozenset({""}))} if is_present or not negated else {}
