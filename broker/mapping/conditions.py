"""From conditions to functions that say yes or no. A missing value equals nothing and differs from everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from broker.mapping.context import NULL, Context, Fetch
from broker.mapping.nodes import AllOf, AnyOf, Compare, Condition, Fact, InTable, Is, Matches, Not, Path, Term
from broker.mapping.problems import suggestion
from broker.mapping.syntax import Table
from broker.mapping.terms import Inherit, Scope, fetch_term
from broker.mapping.yamlfile import Text

Test = Callable[[Context], bool]


def compile_condition(condition: Condition, scope: Scope, inherit: Inherit) -> Test:
    """Make the function that asks *condition*."""
    match condition:
        case AllOf(conditions=parts):
            _warn_of_contradiction(parts, scope)
            tests = [compile_condition(part, scope, inherit) for part in parts]
            if len(tests) == 2:
                first, second = tests
                return lambda context: first(context) and second(context)
            return lambda context: all(test(context) for test in tests)
        case AnyOf(conditions=parts):
            tests = [compile_condition(part, scope, inherit) for part in parts]
            return lambda context: any(test(context) for test in tests)
        case Not(condition=negated):
            test = compile_condition(negated, scope, inherit)
            return lambda context: not test(context)
        case Compare():
            return _compare(condition, scope, inherit)
        case Is():
            return _is(condition, scope, inherit)
        case Matches(glob=glob):
            matched = _fetch(condition.term, scope, inherit)
            return lambda context: fnmatchcase(_text(matched(context)), glob)
        case InTable():
            keys = find_table(condition.table, scope)
            looked_up = _fetch(condition.term, scope, inherit)
            if not keys:
                return never
            return lambda context: _text(looked_up(context)) in keys


def _warn_of_contradiction(parts: Sequence[Condition], scope: Scope) -> None:
    """Warn where one thing would have to be equal to different values at once."""
    wanted: dict[str, frozenset[str]] = {}
    for part in _flat(parts):
        if isinstance(part, Compare) and not part.negated and isinstance(part.term, Path | Fact):
            values = wanted.get(part.term.text, frozenset(part.values)) & frozenset(part.values)
            wanted[part.term.text] = values
            if not values:
                message = f"this can never hold: {part.term.text} would have to have two values at once"
                scope.report.warning("M061", part.term.place, message, "write or between the values")


def _flat(parts: Sequence[Condition]) -> Iterator[Condition]:
    for part in parts:
        if isinstance(part, AllOf):
            yield from _flat(part.conditions)
        else:
            yield part


def never(context: Context) -> bool:
    """Say no: what a condition about an empty table comes to."""
    return False


def _compare(condition: Compare, scope: Scope, inherit: Inherit) -> Test:
    fetch = _fetch(condition.term, scope, inherit)
    values = frozenset(condition.values)
    if condition.negated:
        return lambda context: _text(fetch(context)) not in values
    return lambda context: _text(fetch(context)) in values


def _is(condition: Is, scope: Scope, inherit: Inherit) -> Test:
    fetch = _fetch(condition.term, scope, inherit)
    match condition.state:
        case "present":
            return lambda context: fetch(context) not in (None, NULL)
        case "missing":
            return lambda context: fetch(context) is None
        case "null":
            return lambda context: fetch(context) == NULL


def _fetch(term: Term, scope: Scope, inherit: Inherit) -> Fetch:
    free = scope.but(vr="", wanted="text", null_stops=True)
    if isinstance(term, Path) and (term.every or term.every_segment):
        scope.report.error("M046", term.place, f"{term.text}: a condition looks at one value", "leave out [*]")
    return fetch_term(term, free, inherit)


def _text(value: Any) -> str:
    return "" if value is None or value == NULL else str(value)


def find_table(name: Text, scope: Scope) -> Mapping[str, str]:
    """Find the column of a table: ``name`` or ``name.column``; report M031 and M052."""
    table_name, _, column = name.value.partition(".")
    table: Table | None = scope.tables.get(table_name)
    if table is None:
        scope.report.error("M031", name.place, f"no table '{table_name}'", suggestion(table_name, scope.tables))
        return {}
    if table.columns and column not in table.columns:
        columns = ", ".join(known for known in table.columns if known)
        message = f"table '{table_name}' has no column '{column}'" if column else f"'{table_name}' has several columns"
        scope.report.error("M052", name.place, message, f"write {table_name}. and one of {columns}" if columns else "")
    return table.columns.get(column, {})
