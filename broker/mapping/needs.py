"""What a rule looks at, known before any message: for refusals that say where to send a value, and to skip idle rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broker.mapping.context import Origin
from broker.mapping.nodes import Name, Path, Source, Term
from broker.mapping.profiles import Profile
from broker.mapping.syntax import Rule
from broker.mapping.terms import Scope


def looked_at(rule: Rule, scope: Scope) -> Iterator[Origin]:
    """Give the places in the message where a rule looks."""
    for source in (rule.source, *rule.join, *rule.uid_from):
        yield from _places(source, scope, set())
    for alternative in rule.first_of:
        yield from looked_at(alternative, scope)


def _places(source: Iterable[Term], scope: Scope, followed: set[str]) -> Iterator[Origin]:
    for term in source:
        if isinstance(term, Path):
            yield Origin(term.text, term.segment, term.field, term.component)
        elif isinstance(term, Name) and term.name in scope.let and term.name not in followed:
            followed.add(term.name)
            yield from _places(scope.let[term.name], scope, followed)


Fields = frozenset[tuple[str, int]]
"""Fields by segment and number; number 0 is the segment."""


def on_missing(rule: Rule, path: str, profile: Profile) -> str:
    """Say what becomes of an order for which the rule at *path* finds nothing: reject, empty or skip."""
    if rule.required or rule.on_missing:
        return "reject" if rule.required else rule.on_missing
    if rule.required is None and path in profile.indispensable:
        return "reject"
    return "empty" if path in profile.types else "skip"


def needed_fields(rule: Rule, path: str, scope: Scope) -> Fields | None:
    """Give the fields of which one must be there for the rule to find or refuse anything; None: it may do so anyhow."""
    if rule.default is not None or rule.value is not None or on_missing(rule, path, scope.profile) == "reject":
        return None
    if rule.each is not None:
        one = rule.each.path
        return None if rule.each.fact else frozenset({(one.segment, one.field) if one else (rule.each.segment, 0)})
    if not (rule.first_of or rule.item or rule.join or rule.uid_from):
        return _fields_of(rule.source, scope)
    found = [needed_fields(one, "", scope) for one in rule.first_of]
    found += [needed_fields(one, f"{path}.{keyword}", scope) for keyword, one in (rule.item or {}).items()]
    found += [_fields_of(source, scope) for source in (rule.source, *rule.join, *rule.uid_from)]
    known = [fields for fields in found if fields is not None]
    return frozenset().union(*known) if len(known) == len(found) else None


def _fields_of(source: Source, scope: Scope) -> Fields | None:
    fields: set[tuple[str, int]] = set()
    followed: set[str] = set()
    waiting = [source]
    while waiting:
        for term in waiting.pop():
            if isinstance(term, Path):
                is_plain = term.segment_pick is None and not term.every_segment
                fields.add((term.segment, term.field if is_plain else 0))
            elif not isinstance(term, Name) or term.name not in scope.let:
                return None
            elif term.name not in followed:
                followed.add(term.name)
                waiting.append(scope.let[term.name])
    return frozenset(fields)
