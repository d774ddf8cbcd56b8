"""Writing events as JSON: facts in, an object out (mapping language, ``json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.mapping.compile import compile_value
from broker.mapping.context import NOWHERE, NULL, Context, Fetch, Refusal
from broker.mapping.engine import Rejection
from broker.mapping.facts import Facts
from broker.mapping.finish import Target
from broker.mapping.moments import UTC
from broker.mapping.outbound import Rendering
from broker.mapping.places import Places
from broker.mapping.problems import Place
from broker.mapping.syntax import Rule
from broker.mapping.terms import Scope

NOT_HERE = frozenset({"on_invalid", "item", "each", "uid_from"})
"""Settings of rules that mean nothing where JSON is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One compiled member; *path* is its name, an object for each dot. *is_number*: its text is written as a number."""

    path: tuple[str, ...]
    fetch: Fetch
    is_required: bool
    is_number: bool
    rule: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRenderer:
    """A compiled mapping from events to JSON."""

    members: tuple[Member, ...]

    def render(self, facts: Facts) -> Rendering:
        """Write the object that *facts* (mapping/facts.py) say; a member without value is left out."""
        context = Context(places=Places(), segments={}, theirs=UTC, ours=UTC, facts=facts)
        written: dict[str, Any] = {}
        rejections: list[Rejection] = []
        for member in self.members:
            context.origin = NOWHERE
            try:
                value = member.fetch(context)
            except Refusal as refusal:
                rejections.append(_rejection(member, refusal.text, refusal.hint))
                continue
            if value is not None and value != NULL:
                _put(written, member.path, _number(value) if member.is_number else value)
            elif member.is_required:
                rejections.append(_rejection(member, "no value", "the event cannot be written without"))
        text = "" if rejections else json.dumps(written, ensure_ascii=False)
        return Rendering(text=text, charset="UNICODE UTF-8", rejections=tuple(rejections))


def compile_members(rules: Mapping[str, Rule], scope: Scope) -> tuple[Member, ...]:
    """Compile the members of a mapping; mistakes go to the scope's report."""
    return tuple(_compile_member(name, rule, scope) for name, rule in rules.items())


def _compile_member(name: str, rule: Rule, scope: Scope) -> Member:
    for setting in sorted(rule.given & NOT_HERE):
        scope.report.error("M012", rule.place, f"'{setting}' has no place in json", "values are written as they are")
    conversion = rule.conversion
    if conversion is not None and conversion.name not in ("number", "text"):
        scope.report.error("M012", conversion.place, f"'as: {conversion.name}' has no place in json", "use number")
    target = Target(name=name, vr="", is_required=bool(rule.required))
    return Member(
        path=tuple(name.split(".")),
        fetch=compile_value(rule, target, scope),
        is_required=bool(rule.required) or rule.on_missing == "reject",
        is_number=conversion is not None and conversion.name == "number",
        rule=rule.key,
    )


def _put(written: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *objects, name = path
    for one in objects:
        written = written.setdefault(one, {})
    written[name] = value


def _number(value: Any) -> Any:
    """Give a text of digits as a number; any other as it is."""
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else value


def _rejection(member: Member, text: str, hint: str) -> Rejection:
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
