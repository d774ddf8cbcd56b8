"""A mapping file as it was written: rules, segments and tests with their places, before anything is linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from broker.mapping.nodes import Condition, Fact, Path, Source
from broker.mapping.problems import Place
from broker.mapping.yamlfile import Block, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """One cleaning step with its value."""

    name: str
    value: str
    place: Place

    @property
    def number(self) -> int:
        """The value of ``pad_left``, ``first`` and ``last``."""
        return int(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """``as``: a conversion with its format, if any."""

    name: str
    format: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """``each``: a segment, the repetitions of a field, or a list among the facts."""

    segment: str = ""
    path: Path | None = None
    fact: Fact | None = None
    place: Place


class Rule(NamedTuple):
    """One rule. *key* is the place of the attribute's name, *place* that of what follows; *given* names the settings.

    A tuple is quickly made, and changed: a child's rules take over what their parents' say.
    """

    key: Place
    place: Place
    given: frozenset[str] = frozenset()
    source: Source = ()
    value: Text | None = None
    first_of: tuple[Rule, ...] = ()
    join: tuple[Source, ...] = ()
    with_text: Text | None = None
    uid_from: tuple[Source, ...] = ()
    when: Condition | None = None
    lookup: Text | None = None
    map: Mapping[str, str] | None = None
    on_unknown: str = ""
    clean: tuple[Clean, ...] = ()
    conversion: Conversion | None = None
    default: Text | None = None
    required: bool | None = None
    on_missing: str = ""
    on_invalid: str = ""
    each: Each | None = None
    item: Mapping[str, Rule] | None = None
    warn: Text | None = None
    note: Text | None = None
    inherited: Rule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRule:
    """One segment to write; *fields* by (field, component, subcomponent)."""

    name: str
    place: Place
    each: Each | None = None
    when: Condition | None = None
    fields: Mapping[tuple[int, int, int], Rule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A code table: key -> value by column; ``*`` as key catches the rest. A simple one has the column ``""``."""

    place: Place
    columns: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One in-file test as written."""

    __test__ = False

    name: str
    place: Place
    message: Text | None = None
    change: tuple[tuple[Text, str], ...] = ()
    facts: Block | None = None
    received_at: str = ""
    expect: tuple[tuple[Text, str], ...] = ()
    absent: tuple[Text, ...] = ()
    warns: tuple[Text, ...] = ()
    action: Text | None = None
    outputs: Text | None = None
    output: int = 1
    expect_reject: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingFile:
    """One file; *places* tells where each of its keys stands."""

    path: str
    name: str
    places: Mapping[str, Place]
    place: Place
    title: str = ""
    source: str = ""
    target: str = ""
    extends: Text | None = None
    template: bool = False
    when: tuple[Condition, ...] = ()
    timezone: str = ""
    charset: str = ""
    one_per: str = ""
    partial: str = ""
    update: str = ""
    action: Rule | None = None
    tables: Mapping[str, Table | Text] = field(default_factory=dict)
    let: Mapping[str, Source] = field(default_factory=dict)
    attributes: Mapping[str, Rule] = field(default_factory=dict)
    segments: tuple[SegmentRule, ...] = ()
    json: Mapping[str, Rule] = field(default_factory=dict)
    drop: tuple[Text, ...] = ()
    declare: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[TestCase, ...] = ()
