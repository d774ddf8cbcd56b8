"""Writing messages: facts of an event in, HL7 out (mapping language, ``segments``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broker.hl7.write import Place as FieldPlace
from broker.hl7.write import write
from broker.mapping import types
from broker.mapping.compile import compile_value, inherit
from broker.mapping.conditions import Test, compile_condition
from broker.mapping.context import NOWHERE, NULL, Context, Fetch, Origin, Refusal
from broker.mapping.engine import Rejection
from broker.mapping.facts import Facts
from broker.mapping.fetch import ID_FIRST
from broker.mapping.finish import Target
from broker.mapping.moments import UTC
from broker.mapping.names import name_parts
from broker.mapping.nodes import Fact
from broker.mapping.places import Places
from broker.mapping.problems import Place, suggestion
from broker.mapping.syntax import Each, Rule, SegmentRule
from broker.mapping.terms import Scope

NOT_HERE = frozenset({"as", "on_invalid", "item", "each", "uid_from"})
"""Settings of rules that mean nothing where HL7 is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One compiled field; *name_first* says where a person name begins in the target's components, None: it is text."""

    name: str
    place: FieldPlace
    fetch: Fetch
    is_required: bool
    name_first: int | None
    rule: Place
    looked_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One compiled segment; *each* is the path of a list among the facts."""

    name: str
    each: tuple[str, ...]
    test: Test | None
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """A message as ER7 text, to be sent in the mapping's *charset*; or why it cannot be written."""

    text: str = ""
    charset: str = ""
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderer:
    """A compiled mapping from events to messages."""

    segments: tuple[Segment, ...]
    charset: str

    def render(self, facts: Facts) -> Rendering:
        """Write the message that *facts* (mapping/facts.py) say."""
        context = Context(places=Places(), segments={}, theirs=UTC, ours=UTC, facts=facts)
        rejections: list[Rejection] = []
        written = []
        counts: dict[str, int] = {}
        for segment in self.segments:
            for _ in turns(segment.each, context, facts):
                if segment.test is not None and not segment.test(context):
                    continue
                context.count = counts.get(segment.name, 0) + 1
                values = _values(segment, context, rejections)
                if values or not segment.fields:
                    counts[segment.name] = context.count
                    written.append((segment.name, values))
        if rejections:
            return Rendering(rejections=tuple(rejections), charset=self.charset)
        return Rendering(text=write(written), charset=self.charset)


def compile_segments(rules: tuple[SegmentRule, ...], scope: Scope) -> tuple[Segment, ...]:
    """Compile the segments of a mapping; mistakes go to the scope's report."""
    return tuple(_compile_segment(rule, scope) for rule in rules)


def _compile_segment(rule: SegmentRule, scope: Scope) -> Segment:
    if not types.is_segment(rule.name):
        scope.report.error("M041", rule.place, f"no segment {rule.name}", "Z segments begin with Z")
    test = compile_condition(rule.when, scope, inherit) if rule.when is not None else None
    fields = tuple(_compile_field(rule.name, place, field, scope) for place, field in rule.fields.items())
    return Segment(name=rule.name, each=list_of(rule.each, scope), test=test, fields=fields)


def list_of(each: Each | None, scope: Scope) -> tuple[str, ...]:
    """Give the path of the list that something is written for each of; none without *each*."""
    if each is None:
        return ()
    fact: Fact | None = each.fact
    if fact is None or scope.facts.get(fact.text) != "list":
        lists = [name for name, kind in scope.facts.items() if kind == "list"]
        text = fact.text if fact else each.segment or "this"
        scope.report.error("M045", each.place, f"'{text}' is not a list", suggestion(text, lists) or f"use {lists[0]}")
        return ()
    return tuple(fact.text.split("."))


def _compile_field(segment: str, place: FieldPlace, rule: Rule, scope: Scope) -> Field:
    name = f"{segment}-" + ".".join(str(number) for number in place if number)
    typed = types.find_typed(segment, *place, scope.declared, scope.version)
    if typed is None and types.is_segment(segment):
        scope.report.error("M042", rule.key, f"{segment} has no field {name.partition('-')[2]}")
    for setting in sorted(rule.given & NOT_HERE):
        scope.report.error("M012", rule.place, f"'{setting}' has no place in segments", "texts are written as they are")
    target = Target(name=name, vr="", is_required=bool(rule.required))
    own = scope.but(target=name, inherited=rule.inherited)
    is_name = typed is not None and typed.kind == "name" and len(_person_names(rule, scope)) > 0
    return Field(
        name=name,
        place=place,
        fetch=compile_value(rule, target, own),
        is_required=bool(rule.required) or rule.on_missing == "reject",
        name_first=(1 if typed.datatype in ID_FIRST else 0) if is_name and typed else None,
        rule=rule.key,
        looked_at=" or ".join(term.text for term in rule.source),
    )


def _person_names(rule: Rule, scope: Scope) -> list[str]:
    return [term.text for term in rule.source if isinstance(term, Fact) and scope.facts.get(term.text) == "name"]


def turns(each: tuple[str, ...], context: Context, facts: Facts) -> Iterator[None]:
    """Take a turn for each item of the list at *each*, once without: *context* knows the item and its number."""
    if not each:
        yield
        return
    found: Any = facts
    for name in each:
        found = found.get(name) if isinstance(found, Mapping) else None
    for context.n, item in enumerate(found if isinstance(found, list | tuple) else (), 1):
        context.facts = {**facts, each[-1]: item}
        yield
    context.facts, context.n = facts, 0


def _values(segment: Segment, context: Context, rejections: list[Rejection]) -> dict[FieldPlace, str]:
    values: dict[FieldPlace, str] = {}
    for field in segment.fields:
        context.origin = NOWHERE
        try:
            value = field.fetch(context)
        except Refusal as refusal:
            rejections.append(_rejection(field, refusal))
            continue
        if value is None or value == NULL:
            if field.is_required:
                rejections.append(_rejection(field, _missing(field)))
        elif field.name_first is None:
            values[field.place] = str(value)
        else:
            values |= _name_values(field.place, name_parts(str(value), field.name_first))
    return values


def _name_values(place: FieldPlace, parts: list[str]) -> dict[FieldPlace, str]:
    """Spread a name over components, or over the subcomponents of one component."""
    number, component, _ = place
    places = [(number, component, n) if component else (number, n, 0) for n in range(1, len(parts) + 1)]
    return {where: part for where, part in zip(places, parts, strict=True) if part}


def _missing(field: Field) -> Refusal:
    where = f" ({field.looked_at} is not known)" if field.looked_at else ""
    return Refusal(f"no value{where}", hint="the message cannot be written without", hl7_code="101", origin=Origin(""))


def _rejection(field: Field, refusal: Refusal) -> Rejection:
    return Rejection(
        group=1,
        accession="",
        target=field.name,
        text=refusal.text,
        hint=refusal.hint,
        location="",
        hl7_code=refusal.hl7_code,
        rule=f"mappings/{field.rule}",
    )
