"""What a rule looks at, known before any message: for refusals that say where to send a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broker.mapping.context import Origin
from broker.mapping.nodes import Name, Path, Term
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
