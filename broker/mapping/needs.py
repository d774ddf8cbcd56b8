"""What a rule looks at, known before any message: for refusals that say where to send a value, and to skip idle rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broker.mapping.context import Origin
from broker.mapping.nodes import Name, Path, Term
from broker.mapping.syntax import Rule
from broker.mapping.terms import LET_DEPTH, Scope

USUAL = frozenset({"MSH", "PID", "ORC", "OBR"})
"""Segments that are nearly always there: asking whether they are is not worth the time."""


def looked_at(rule: Rule, scope: Scope) -> Iterator[Origin]:
    """Give the places in the message where a rule looks."""
    for source in (rule.source, *rule.join, *rule.uid_from):
        yield from _places(source, scope, 0)
    for alternative in rule.first_of:
        yield from looked_at(alternative, scope)


def _places(source: Iterable[Term], scope: Scope, depth: int) -> Iterator[Origin]:
    for term in source:
        if isinstance(term, Path):
            yield Origin(term.text, term.segment, term.field, term.component)
        elif isinstance(term, Name) and term.name in scope.let and depth < LET_DEPTH:
            yield from _places(scope.let[term.name], scope, depth + 1)


def needed_segments(rule: Rule, scope: Scope) -> frozenset[str] | None:
    """Give the segments of which one must be there for the rule to find anything; None: it may find something anyhow."""
    names = _segments_of(rule, scope)
    return None if names is None or names & USUAL else frozenset(names)


def _segments_of(rule: Rule, scope: Scope) -> set[str] | None:
    if rule.default is not None or rule.value is not None:
        return None
    if rule.each is not None:
        name = rule.each.segment or (rule.each.path.segment if rule.each.path else "")
        return {name} if name else None
    below = [*rule.first_of, *(rule.item or {}).values()]
    found = [_segments_of(one, scope) for one in below]
    found += [_segments_in(source, scope, 0) for source in (rule.source, *rule.join, *rule.uid_from)]
    known = [names for names in found if names is not None]
    return set().union(*known) if len(known) == len(found) else None


def _segments_in(source: Iterable[Term], scope: Scope, depth: int) -> set[str] | None:
    names: set[str] = set()
    for term in source:
        if isinstance(term, Path):
            names.add(term.segment)
            continue
        let = scope.let.get(term.name) if isinstance(term, Name) and depth < LET_DEPTH else None
        more = _segments_in(let, scope, depth + 1) if let else None
        if more is None:
            return None
        names |= more
    return names
