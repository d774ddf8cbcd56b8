"""Attributes side by side: of a worklist entry or of a sequence item. Runs their rules and keeps what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from operator import not_
from typing import Any

from broker.hl7.message import Segment
from broker.mapping import types
from broker.mapping.conditions import Test
from broker.mapping.context import NOWHERE, NULL, Context, Fetch, Origin, Refusal, Refused, TraceLine
from broker.mapping.convert import plain_limit
from broker.mapping.finish import Fit, Target
from broker.mapping.needs import looked_at, needed_fields, on_missing
from broker.mapping.places import ALL_FLAGS, NONE
from broker.mapping.problems import Place
from broker.mapping.syntax import Each, Rule
from broker.mapping.terms import Scope, check_path
from broker.mapping.yamlfile import Text

CODE_VALUES = ("CodeValue", "LongCodeValue")

TURNS_LIMIT = 10_000
"""Of all ``each`` of one order: inside one another they multiply."""

PLANS_KEPT = 256
"""Of each set of attributes; no shape of orders fills the memory."""

CompileRule = Callable[[Rule, Target, Scope], tuple[Fetch, Fit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A compiled attribute. *path* is ``Sequence.Attribute``, *looked_at*: where its rule looks, when it must find something.

    Its value stands at the place *first* (of *origin*), else *find* finds it; *fit* makes it fit, but for a text of letters
    and digits at *first*, up to *plain_limit* of them. *needs*: without one of these flags it has no value.
    """

    keyword: str
    path: str
    vr: str
    first: int
    origin: Origin
    find: Fetch
    fit: Fit
    plain_limit: int
    on_missing: str
    needs: tuple[int, ...] | None
    looked_at: tuple[Origin, ...]
    place: Place


Plan = tuple[tuple[Attribute, ...], dict[str, Any]]
"""The attributes that may have a value, and an item that has None for those of the others that are due."""


class Attributes:
    """Attributes that stand side by side, with *plans* by what is there: a sender's orders are mostly of a few shapes."""

    __slots__ = ("all", "plans")

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        self.all = tuple(attributes)
        self.plans: dict[bytes, Plan] = {ALL_FLAGS: (self.all, {})}

    def plan(self, flags: bytes) -> Plan:
        """Make the plan for orders whose fields are there as *flags* say (places.py)."""
        live = [one.needs is None or any(flags[flag] for flag in one.needs) for one in self.all]
        rest = compress(self.all, map(not_, live))
        plan = tuple(compress(self.all, live)), {one.keyword: None for one in rest if one.on_missing != "skip"}
        if len(self.plans) >= PLANS_KEPT:
            self.plans = {ALL_FLAGS: (self.all, {})}
        self.plans[flags] = plan
        return plan


def compile_attributes(
    rules: Mapping[str, Rule], scope: Scope, compile_rule: CompileRule, prefix: str = ""
) -> Attributes:
    """Compile the rules of attributes that stand side by side."""

    def make(keyword: str, rule: Rule) -> Attribute:
        return _compile_attribute(keyword, rule, scope, compile_rule, prefix + keyword)

    shared, wanted = scope.shared, scope.kept
    return Attributes(
        shared.get_or_make(prefix + keyword, rule, scope.each, partial(make, keyword, rule))
        if shared
        else make(keyword, rule)
        for keyword, rule in _with_creators(rules)
        if wanted is None or prefix + keyword in wanted
    )


def _with_creators(rules: Mapping[str, Rule]) -> Iterator[tuple[str, Rule]]:
    """Give *rules* with one more for the creator of each block of private attributes (PS3.5 7.8.1)."""
    creators: dict[str, Rule] = {}
    for keyword, rule in rules.items():
        yield keyword, rule
        known = types.find_attribute(keyword) if keyword.startswith("[") else None
        if known is not None:
            value = Text(value=known.creator, place=rule.place)
            given = frozenset({"value"})
            creators[known.creator_key] = Rule(key=rule.key, place=rule.place, given=given, value=value)
    for key, rule in creators.items():
        yield f"[{rule.value.value if rule.value else ''}]{key}", rule


def _compile_attribute(keyword: str, rule: Rule, scope: Scope, compile_rule: CompileRule, path: str) -> Attribute:
    known = types.find_attribute(keyword)
    assert known is not None, keyword
    missing = on_missing(rule, path, scope.profile) if scope.kept is None else "skip"
    target = Target(
        name=path,
        vr=known.vr,
        is_identifier=path in scope.profile.identifiers,
        is_required=missing == "reject",
        is_many=known.is_many,
    )
    find, fit = compile_rule(rule, target, scope)
    needs = needed_fields(rule, path, scope)
    lead = scope.leads.get(find)
    is_plain = lead is not None and lead.is_text and rule.conversion is None
    return Attribute(
        keyword=known.key,
        path=path,
        vr=known.vr,
        first=lead.place if lead else NONE,
        origin=lead.origin if lead else NOWHERE,
        find=find,
        fit=fit,
        plain_limit=plain_limit(known.vr) if is_plain else 0,
        on_missing=missing,
        needs=None if needs is None else tuple(scope.places.flag(*one) for one in needs),
        looked_at=tuple(looked_at(rule, scope)) if missing == "reject" else (),
        place=rule.key,
    )


def compile_item(rule: Rule, target: Target, scope: Scope, test: Test | None, compile_rule: CompileRule) -> Fetch:
    """Make the function that gives the items of a sequence: one, or one for each segment or repetition."""
    own = scope.but(each=rule.each or scope.each, null_stops=True, inherited=None, is_converted=False)
    attributes = compile_attributes(rule.item or {}, own, compile_rule, target.name + ".")
    needs_code = any(attribute.keyword in CODE_VALUES for attribute in attributes.all)

    def one(context: Context) -> Any:
        item = fill(attributes, context)
        if needs_code and not any(item.get(keyword) for keyword in CODE_VALUES):
            return None
        if any(item.values()):
            return item
        return NULL if "" in item.values() else None

    if rule.each is None:
        return one
    turns = _turns(rule.each, target, scope)

    def several(context: Context) -> Any:
        items = [made for _ in turns(context) if test is None or test(context) if (made := one(context))]
        return [made for made in items if made != NULL] or None

    return several


def _turns(each: Each, target: Target, scope: Scope) -> Callable[[Context], Iterator[None]]:
    """Give the generator that puts the context on each segment or repetition in turn, and back in the end."""
    if each.fact is not None:
        scope.report.error("M045", each.place, f"no list '{each.fact.text}' in a message", "write a segment or a field")
    path = each.path
    if path is not None:
        check_path(path, scope)
    elif not types.is_segment(each.segment):
        scope.report.error("M041", each.place, f"no segment {each.segment}", "Z segments begin with Z")
    name, field = (path.segment, path.field) if path else (each.segment, 0)
    if path is not None:
        scope.places.text(name, field)

    def turns(context: Context) -> Iterator[None]:
        segments, indexes, n = context.segments, context.indexes, context.n
        places, values, before = context.places, context.values, list(context.values)
        found = segments.get(name, [])
        flags, all_flags = context.flags, places.with_segment(context.flags, name) if not field else b""
        ones: Sequence[str | Segment] = found[0].repetitions(field) if field and found else found
        for turn, one in enumerate(ones, 1):
            context.n, context.turns = turn, context.turns + 1
            if context.turns > TURNS_LIMIT:
                if context.turns == TURNS_LIMIT + 1:
                    text = f"more than {TURNS_LIMIT} items in one order, the rest is left out"
                    context.remark(target.name, "structure", text, each.place)
                break
            if isinstance(one, str):
                places.turn_to_repetition(values, found[0], field, turn, one)
            else:
                context.segments, context.indexes = {**segments, name: [one]}, {}
                context.flags = all_flags
                places.turn_to_segment(values, one)
            yield
        context.segments, context.indexes, context.flags, context.n = segments, indexes, flags, n
        values[:] = before

    return turns


def fill(attributes: Attributes, context: Context) -> dict[str, Any]:
    """Run the rules; values by keyword: None where nothing was found but something is due, ``""`` where it is emptied."""
    values, is_tracing = context.values, context.is_tracing
    live, empties = attributes.plans.get(context.flags) or attributes.plan(context.flags)
    item = empties.copy()
    for attribute in live:
        value = values[attribute.first]
        if value:
            context.origin = attribute.origin
        if not value or len(value) > attribute.plain_limit or not value.isalnum():
            try:
                value = value or attribute.find(context)
                if value is not None:
                    value = attribute.fit(value, context)
            except Refusal as refusal:
                context.refused.append(Refused(target=attribute.path, place=attribute.place, refusal=refusal))
                continue
            if value is None or value == NULL:
                if value is None and attribute.on_missing == "skip":
                    continue
                if attribute.on_missing == "reject":
                    missing = _missing(attribute)
                    context.refused.append(Refused(target=attribute.path, place=attribute.place, refusal=missing))
                    continue
                value = value and ""
        item[attribute.keyword] = value
        if is_tracing and not _was_traced_inside(attribute, value, context):
            context.lines.append(_line(attribute, value, context.origin))
    return item


def _missing(attribute: Attribute) -> Refusal:
    places = list(dict.fromkeys(origin.text for origin in attribute.looked_at))
    where = f" (looked at {', '.join(places)})" if places else ""
    origin = attribute.looked_at[0] if attribute.looked_at else Origin("nothing")
    hint = f"send {' or '.join(places)}" if places else "change the rule"
    return Refusal(f"no value for {attribute.keyword}{where}", hint=hint, hl7_code="101", origin=origin)


def _was_traced_inside(attribute: Attribute, value: Any, context: Context) -> bool:
    return (
        attribute.vr == "SQ"
        and bool(value)
        and bool(context.lines)
        and context.lines[-1].path.startswith(attribute.path + ".")
    )


def _line(attribute: Attribute, value: Any, origin: Origin) -> TraceLine:
    how = origin.text
    if value is None:
        how = "no value, sent empty"
    elif value == "":
        how = f"emptied by {origin.text}"
    elif attribute.vr == "SQ":
        how = f"{origin.text} as code item"
    return TraceLine(path=attribute.path, vr=attribute.vr, value=value, how=how, place=attribute.place)
