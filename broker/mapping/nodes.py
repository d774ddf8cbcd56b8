"""Sources and conditions as trees (mapping language section 3). Every node knows its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from broker.mapping.problems import Place
from broker.mapping.yamlfile import Text

State = Literal["present", "missing", "null"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Which repetition or segment: number *index*, or the first whose *first*.*second* is *text*."""

    index: int = 0
    first: int = 0
    second: int = 0
    text: str = ""


class Path(NamedTuple):
    """A place in a message; component and subcomponent 0 are the whole. *every*: all repetitions; likewise segments.

    A tuple is quickly made, and changed: where a let is used, its paths have the place of its name.
    """

    text: str
    place: Place
    segment: str
    field: int
    component: int = 0
    subcomponent: int = 0
    pick: Pick | None = None
    every: bool = False
    segment_pick: Pick | None = None
    every_segment: bool = False


class Name(NamedTuple):
    """``$name``, ``$name.1``: a let, ``$n``, ``$count`` or ``$inherited``."""

    text: str
    place: Place
    name: str
    component: int = 0
    subcomponent: int = 0


class Fact(NamedTuple):
    """``order.accession``: something the broker knows."""

    text: str
    place: Place


class Constant(NamedTuple):
    """``"text"``."""

    value: str
    text: str
    place: Place


Term = Path | Name | Fact | Constant
Source = tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """``OBR-24 = "CT" or "MR"``; with *negated* ``!=``."""

    term: Term
    values: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Is:
    """``PV1-2 is present``."""

    term: Term
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """``OBR-4.1 matches "CT*"``."""

    term: Term
    glob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InTable:
    """``OBR-24 in table modalities``."""

    term: Term
    table: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """``not ...``."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """``... and ...``."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """``... or ...``."""

    conditions: tuple[Condition, ...]


Condition = Compare | Is | Matches | InTable | Not | AllOf | AnyOf
