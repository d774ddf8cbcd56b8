"""Writing events as JSON: facts in, an object out (mapping language, ``json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.mapping.compile import compile_value, inherit
from broker.mapping.conditions import Test, compile_condition
from broker.mapping.context import NOWHERE, NULL, Context, Fetch, Refusal
from broker.mapping.engine import Rejection
from broker.mapping.facts import Facts
from broker.mapping.finish import Target
from broker.mapping.moments import UTC
from broker.mapping.outbound import Rendering, list_of, turns
from broker.mapping.places import Places
from broker.mapping.problems import Place
from broker.mapping.syntax import Rule
from broker.mapping.terms import Scope

NOT_HERE = frozenset({"on_invalid", "item", "each", "uid_from"})
"""Settings of rules that mean nothing where JSON is written, but for those of a list."""
OF_A_LIST = frozenset({"each", "item", "when", "required", "on_missing", "note"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One compiled member; *path* is its name, an object for each dot. *is_number*: its text is written as a number."""

    path: tuple[str, ...]
    fetch: Fetch
    is_required: bool
    is_number: bool
    rule: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMember:
    """A member that is a list: an object of *members* for each item of the list at *each* that *test* lets through."""

    path: tuple[str, ...]
    each: tuple[str, ...]
    test: Test | None
    members: tuple[Member, ...]
    is_required: bool
    rule: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRenderer:
    """A compiled mapping from events to JSON."""

    members: tuple[Member | ListMember, ...]

    def render(self, facts: Facts) -> Rendering:
        """Write the object that *facts* (mapping/facts.py) say; a member without value is left out."""
        context = Context(places=Places(), segments={}, theirs=UTC, ours=UTC, facts=facts)
        rejections: list[Rejection] = []
        written = _object(self.members, context, facts, rejections)
        text = "" if rejections else json.dumps(written, ensure_ascii=False)
        return Rendering(text=text, charset="UNICODE UTF-8", rejections=tuple(rejections))


def compile_members(rules: Mapping[str, Rule], scope: Scope) -> tuple[Member | ListMember, ...]:
    """Compile the members of a mapping; mistakes go to the scope's report."""
    return tuple(
        _compile_list(name, rule, scope) if rule.each or rule.item is not None else _compile_member(name, rule, scope)
        for name, rule in rules.items()
    )


def _compile_list(name: str, rule: Rule, scope: Scope) -> ListMember:
    if not rule.each or not rule.item:
        hint = "as in {each: study.series, item: {uid: series.uid}}; an object is made by a dot: patient.id"
        scope.report.error("M012", rule.place, "a list has each and item", hint)
    for setting in sorted(rule.given - OF_A_LIST):
        scope.report.error(
            "M012", rule.place, f"'{setting}' has no place in a list", "give it to a member of its items"
        )
    items = (rule.item or {}).items()
    return ListMember(
        path=tuple(name.split(".")),
        each=list_of(rule.each, scope),
        test=compile_condition(rule.when, scope, inherit) if rule.when is not None else None,
        members=tuple(_compile_member(inner, one, scope, f"{name}.{inner}") for inner, one in items),
        is_required=_is_required(rule),
        rule=rule.key,
    )


def _compile_member(name: str, rule: Rule, scope: Scope, target_name: str = "") -> Member:
    for setting in sorted(rule.given & NOT_HERE):
        scope.report.error("M012", rule.place, f"'{setting}' has no place in json", "values are written as they are")
    conversion = rule.conversion
    if conversion is not None and conversion.name not in ("number", "text"):
        scope.report.error("M012", conversion.place, f"'as: {conversion.name}' has no place in json", "use number")
    target = Target(name=target_name or name, vr="", is_required=bool(rule.required))
    return Member(
        path=tuple(name.split(".")),
        fetch=compile_value(rule, target, scope.but(target=target.name, inherited=rule.inherited)),
        is_required=_is_required(rule),
        is_number=conversion is not None and conversion.name == "number",
        rule=rule.key,
    )


def _is_required(rule: Rule) -> bool:
    return bool(rule.required) or rule.on_missing == "reject"


def _object(
    members: Sequence[Member | ListMember], context: Context, facts: Facts, rejections: list[Rejection]
) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for member in members:
        context.origin = NOWHERE
        try:
            value = _value(member, context, facts, rejections)
        except Refusal as refusal:
            rejections.append(_rejection(member, refusal.text, refusal.hint))
            continue
        if value is not None and value != NULL:
            _put(written, member.path, value)
        elif member.is_required:
            rejections.append(_rejection(member, "no value", "the event cannot be written without"))
    return written


def _value(member: Member | ListMember, context: Context, facts: Facts, rejections: list[Rejection]) -> Any:
    if isinstance(member, Member):
        value = member.fetch(context)
        return _number(value) if member.is_number else value
    items = [
        _object(member.members, context, facts, rejections)
        for _ in turns(member.each, context, facts)
        if member.test is None or member.test(context)
    ]
    return [item for item in items if item] or None


def _put(written: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *objects, name = path
    for one in objects:
        written = written.setdefault(one, {})
    written[name] = value


def _number(value: Any) -> Any:
    """Give a text of digits as a number; any other as it is."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else value


def _rejection(member: Member | ListMember, text: str, hint: str) -> Rejection:
    return Rejection(
        group=1,
        accession="",
        target=".".join(member.path),
        text=text,
        hint=hint,
        location="",
        hl7_code="101",
        rule=f"mappings/{member.rule}",
    )
