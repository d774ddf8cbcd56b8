"""From rules to functions: find, clean, look up, default. Fitting the value to its attribute is in finish.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from broker.mapping.chains import first_of
from broker.mapping.conditions import compile_condition, find_table, never
from broker.mapping.context import NULL, Context, Fetch, Origin, Refusal
from broker.mapping.convert import cleaner, shown, stable_uid
from broker.mapping.fetch import Wanted
from broker.mapping.finish import Fit, Target, check_constants, fitter, is_fitted_alone
from broker.mapping.items import compile_item
from broker.mapping.needs import looked_at
from broker.mapping.nodes import Name, Path, Source
from broker.mapping.syntax import Rule
from broker.mapping.terms import INHERITED_DEPTH, Scope, fetch_source, nothing
from broker.mapping.yamlfile import Text

ANY_OTHER = "*"
"""The key of a table that catches what no other does."""

_WANTED: Mapping[str, Wanted] = {"PN": "name", "SQ": "code"}
_WANTED_BY_CONVERSION: Mapping[str, Wanted] = {"name": "name", "code": "code"}

VALUE_SETTINGS = ("from", "value", "first_of", "join", "uid_from", "item")


def compile_rule(rule: Rule, target: Target, scope: Scope) -> tuple[Fetch, Fit]:
    """Make the functions that find the attribute's value and make it fit its VR; they raise Refusal."""
    own = scope.but(
        target=target.name,
        vr=target.vr,
        wanted=_WANTED.get(target.vr, "text"),
        inherited=rule.inherited,
        null_stops=not target.is_required,
    )
    check_constants(rule, target, scope.report)
    return compile_value(rule, target, own), fitter(rule, target, scope.report)


def compile_value(rule: Rule, target: Target, scope: Scope) -> Fetch:
    """Make the function that gives the value before it is fitted."""
    if scope.work.is_too_much(1, rule.place, scope.report):
        return nothing
    own = _scope_of(rule, scope)
    fetch = _base(rule, target, own)
    if rule.clean:
        fetch = _cleaned(fetch, cleaner(rule.clean))
        _warn_of_collisions(rule, target, scope)
    if rule.lookup is not None or rule.map is not None:
        fetch = _looked_up(fetch, rule, target, own)
    if rule.when is not None and rule.each is None:
        fetch = _conditional(fetch, rule, own)
    if rule.default is not None:
        _warn_of_idle_default(rule, rule.default, scope)
        fetch = _with_default(fetch, rule.default.value)
    if rule.warn:
        fetch = _with_warning(fetch, rule, target)
    return fetch


def _scope_of(rule: Rule, scope: Scope) -> Scope:
    """Say what the rule's own paths are read as: text when a conversion or a table stands between."""
    if rule.lookup is not None or rule.map is not None:
        return scope.but(wanted="text", vr="LO")
    if rule.conversion is not None:
        wanted = "text" if rule.conversion.format else _WANTED_BY_CONVERSION.get(rule.conversion.name, "text")
        return scope.but(wanted=wanted, is_converted=True)
    return scope


def _base(rule: Rule, target: Target, scope: Scope) -> Fetch:
    ways = [name for name in VALUE_SETTINGS if name in rule.given]
    if len(ways) > 1:
        message = f"{' and '.join(ways)} exclude each other"
        scope.report.error("M014", rule.place, message, "use first_of with several blocks")
    _check_number_of_values(rule, target, scope)
    if rule.source:
        return fetch_source(rule.source, scope, inherit)
    if rule.value is not None:
        return _constant(rule.value.value)
    if rule.first_of:
        return _alternatives(rule.first_of, target, scope)
    if rule.join:
        return _joined(rule, scope)
    if rule.uid_from:
        return _stable(rule.uid_from, scope)
    if rule.item is not None:
        return _item(rule, target, scope)
    if not rule.given or (not ways and rule.default is None):
        scope.report.error("M014", rule.place, f"nothing says where {target.name} comes from", "write from: PID-3.1")
    return nothing


def _check_number_of_values(rule: Rule, target: Target, scope: Scope) -> None:
    if target.is_many or target.vr == "SQ":
        return
    for term in rule.source:
        if isinstance(term, Path) and (term.every or term.every_segment):
            hint = "join them: {join: ['NTE[*]-3'], with: ' '}"
            scope.report.error("M043", term.place, f"{target.name} has one value, {term.text} may have several", hint)


def inherit(scope: Scope, term: Name) -> Fetch:
    """Compile ``$inherited``: the parent's rule for the same attribute."""
    if scope.inherited is None:
        scope.report.error("M044", term.place, "there is no rule to inherit: no parent sets this attribute")
        return nothing
    if scope.inherited_depth >= INHERITED_DEPTH:
        message = f"more than {INHERITED_DEPTH} rules inherit one from another"
        scope.report.error("M044", term.place, message, "write the rule out here")
        return nothing
    parent = scope.inherited
    target = Target(name=scope.target, vr=scope.vr)
    own = scope.but(inherited=parent.inherited, inherited_depth=scope.inherited_depth + 1)
    return compile_value(parent, target, own)


def _constant(text: str) -> Fetch:
    origin = Origin("constant")

    def fetch(context: Context) -> Any:
        context.origin = origin
        return text

    return fetch


def _alternatives(rules: Sequence[Rule], target: Target, scope: Scope) -> Fetch:
    fetches = []
    for place, rule in enumerate(rules):
        fetch = compile_value(rule, target, scope)
        if fetch is not nothing and is_fitted_alone(rule, target):
            fetch = _fitted(fetch, fitter(rule, target, scope.report, is_inner=True))
        if fetch is not nothing:
            fetches.append(fetch)
        if place + 1 < len(rules) and rule.given & {"value", "default"} and rule.when is None:
            following = rules[place + 1]
            scope.report.warning("M061", following.place, "this rule can never apply: the one before always does")
    return first_of(fetches or [nothing], scope.null_stops, scope.leads)


def _fitted(fetch: Fetch, fit: Fit) -> Fetch:
    def fetch_and_fit(context: Context) -> Any:
        value = fetch(context)
        return None if value is None else fit(value, context)

    return fetch_and_fit


def _joined(rule: Rule, scope: Scope) -> Fetch:
    own = scope.but(wanted="text", vr="LO")
    fetches = [fetch_source(source, own, inherit) for source in rule.join]
    between = rule.with_text.value if rule.with_text is not None else " "
    text = "join " + ", ".join(_written(source) for source in rule.join)
    first = next(looked_at(rule, scope), None)
    origin = first._replace(text=text) if first else Origin(text)

    def fetch(context: Context) -> Any:
        texts: list[str] = []
        is_null = False
        for one in fetches:
            value = one(context)
            if value is None:
                continue
            if type(value) is list:
                texts += value
            elif value == NULL:
                is_null = True
            else:
                texts.append(value)
        if not texts:
            return NULL if is_null else None
        context.origin = origin
        return between.join(texts)

    return fetch


def _stable(sources: Sequence[Source], scope: Scope) -> Fetch:
    own = scope.but(wanted="text", vr="", null_stops=False)
    fetches = [fetch_source(source, own, inherit) for source in sources]
    origin = Origin("uid_from " + ", ".join(_written(source) for source in sources))

    def fetch(context: Context) -> Any:
        parts: list[str] = []
        for one in fetches:
            value = one(context)
            if value is None:
                return None
            parts.append(value)
        context.origin = origin
        return stable_uid(parts)

    return fetch


def _written(source: Source) -> str:
    return " or ".join(term.text for term in source)


def _item(rule: Rule, target: Target, scope: Scope) -> Fetch:
    if target.vr != "SQ":
        scope.report.error("M043", rule.place, f"{target.name} is {target.vr}, only sequences have items")
        return nothing
    test = compile_condition(rule.when, scope, inherit) if rule.when is not None and rule.each is not None else None
    return compile_item(rule, target, scope, test, compile_rule)


def _each_value(value: Any, function: Callable[[str], Any]) -> Any:
    """Apply *function* to a text or to each of several; None drops out."""
    if isinstance(value, list):
        kept = [made for one in value if (made := function(one) if isinstance(one, str) else one) is not None]
        return kept or None
    return function(value) if isinstance(value, str) else value


def _cleaned(fetch: Fetch, clean: Callable[[str], str]) -> Fetch:
    def cleaned(context: Context) -> Any:
        value = fetch(context)
        if value is None or value == NULL:
            return value
        if type(value) is str:
            return clean(value) or None
        return _each_value(value, lambda text: clean(text) or None)

    return cleaned


def _warn_of_idle_default(rule: Rule, default: Text, scope: Scope) -> None:
    if rule.value is not None and rule.when is None and not rule.map and rule.lookup is None:
        scope.report.warning("M061", default.place, "the default can never apply: the constant always does")
    elif rule.required or rule.on_missing:
        hint = "leave out the default, or required and on_missing"
        scope.report.warning("M061", default.place, "nothing can be missing here: the default stands in", hint)


def _warn_of_collisions(rule: Rule, target: Target, scope: Scope) -> None:
    for step in rule.clean:
        if step.name in ("first", "last") and target.is_identifier and rule.note is None:
            message = f"'{step.name}: {step.value}' may make two different values of {target.name} equal"
            scope.report.warning("M061", step.place, message, "take a shorter source, or say in a note why it is safe")


def _looked_up(fetch: Fetch, rule: Rule, target: Target, scope: Scope) -> Fetch:
    table = rule.map if rule.map is not None else find_table(rule.lookup, scope) if rule.lookup else {}
    name = rule.lookup.value if rule.lookup else "its map"
    policy = rule.on_unknown or ("reject" if target.is_identifier else "empty")
    rest = table.get(ANY_OTHER)

    def look_up(text: str, context: Context) -> Any:
        found = table.get(text, rest)
        if found is None:
            return unknown(text, context)
        if context.is_tracing:
            origin = context.origin
            words = f"{name}[{text}] from {origin.text}"
            context.origin = Origin(words, origin.segment, origin.field, origin.component)
        return found if found != "" else NULL

    def unknown(text: str, context: Context) -> Any:
        if policy == "keep":
            return text
        origin = context.origin
        if policy == "reject":
            hint = f"add {shown(text)} to {name}, or send one of the codes in it"
            message = f"{shown(text)} (from {origin.text}) is not in table {name}"
            raise Refusal(message, hint=hint, hl7_code="103", origin=origin)
        what = "sent empty" if policy == "empty" else "passed over"
        context.remark(target.name, "unknown", f"{shown(text)} is not in {name} (from {origin.text}), {what}", rule.key)
        return NULL if policy == "empty" else None

    def fetch_and_look_up(context: Context) -> Any:
        value = fetch(context)
        if value is None or value == NULL:
            return value
        if type(value) is str:
            return look_up(value, context)
        found = _each_value(value, lambda text: look_up(text, context))
        return [one for one in found if one != NULL] or NULL if isinstance(found, list) else found

    return fetch_and_look_up


def _conditional(fetch: Fetch, rule: Rule, scope: Scope) -> Fetch:
    assert rule.when is not None
    test = compile_condition(rule.when, scope, inherit)
    if test is never:
        return nothing
    return lambda context: fetch(context) if test(context) else None


def _with_default(fetch: Fetch, default: str) -> Fetch:
    origin = Origin("default")

    def fetch_or_default(context: Context) -> Any:
        value = fetch(context)
        if value is not None:
            return value
        context.origin = origin
        return default

    return fetch_or_default


def _with_warning(fetch: Fetch, rule: Rule, target: Target) -> Fetch:
    def fetch_and_warn(context: Context) -> Any:
        value = fetch(context)
        if value is not None:
            context.remark(target.name, "note", rule.warn.value if rule.warn else "", rule.key)
        return value

    return fetch_and_warn
