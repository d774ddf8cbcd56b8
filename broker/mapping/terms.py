"""From sources to functions: names resolved, types checked against the target (mapping language sections 3 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.mapping import facts, types
from broker.mapping.chains import Leads, Plain, first_of, part_of_first
from broker.mapping.context import NOWHERE, NULL, Context, Fetch, Origin
from broker.mapping.fetch import Wanted, fetch_path
from broker.mapping.nodes import Constant, Fact, Name, Path, Source, Term
from broker.mapping.places import Places
from broker.mapping.problems import Place, Report, suggestion
from broker.mapping.profiles import Profile
from broker.mapping.shared import Shared
from broker.mapping.syntax import Each, Rule
from broker.mapping.types import Typed

LET_DEPTH = 8
INHERITED_DEPTH = 8
WORK_LIMIT = 100_000
"""Sources and rules that a mapping comes to when its names are written out: names of names grow without end."""

DECLARE_HINT = "Z fields have no type: say as: ..., or declare: {ZXX-1: TS}"


@dataclass(slots=True)
class Work:
    """How many sources and rules were compiled so far."""

    done: int = 0

    def is_too_much(self, more: int, place: Place, report: Report) -> bool:
        """Count *more*; say whether that is more than a mapping may come to, and report it once (M044)."""
        was_too_much, self.done = self.done > WORK_LIMIT, self.done + more
        is_too_much = self.done > WORK_LIMIT
        if is_too_much and not was_too_much:
            message = f"with its names written out, the mapping has more than {WORK_LIMIT} sources"
            report.error("M044", place, message, "let fewer names stand for other names")
        return is_too_much


@dataclass(
    frozen=True, kw_only=True
)  # without slots, so that `but` is quick: each part of a rule has a scope of its own
class Scope:
    """What a rule may refer to while it is compiled. *vr* is the target's, empty where any text will do.

    *kept*: only the attributes at these paths are wanted, and none is due (cancel, status); None: all of them.
    *shared*: what is compiled for the parent too; None where nothing is.
    """

    report: Report
    places: Places
    leads: Leads
    let: Mapping[str, Source]
    tables: Mapping[str, Any]
    declared: Mapping[str, str]
    facts: Mapping[str, facts.FactKind]
    version: str
    is_inbound: bool
    target: str = ""
    vr: str = ""
    wanted: Wanted = "text"
    is_converted: bool = False
    null_stops: bool = True
    profile: Profile
    kept: frozenset[str] | None = None
    each: Each | None = None
    inherited: Rule | None = None
    depth: int = 0
    inherited_depth: int = 0
    work: Work = field(default_factory=Work)
    shared: Shared | None = None

    def but(self, **changes: Any) -> Scope:
        """Give this scope with *changes*: what `replace` does, in a tenth of its time."""
        made = object.__new__(Scope)
        own = made.__dict__
        own.update(self.__dict__)
        own.update(changes)
        assert len(own) == len(self.__dict__), changes
        return made


Inherit = Callable[[Scope, Name], Fetch]
"""Compiles the parent's rule for ``$inherited``."""


def nothing(context: Context) -> Any:
    """Find nothing; stands where a mistake was reported."""
    return None


def fetch_source(source: Source, scope: Scope, inherit: Inherit) -> Fetch:
    """Make the function that finds the first of the terms that has a value."""
    fetches = [_term(term, scope, inherit) for term in source]
    for place, term in enumerate(source[:-1]):
        if isinstance(term, Constant):
            following = source[place + 1]
            scope.report.warning(
                "M061", following.place, f"{following.text} is never reached: {term.text} always applies"
            )
    return first_of(fetches, scope.null_stops, scope.leads)


def fetch_term(term: Term, scope: Scope, inherit: Inherit) -> Fetch:
    """Make the function that finds one term."""
    return first_of([_term(term, scope, inherit)], scope.null_stops, scope.leads)


def _term(term: Term, scope: Scope, inherit: Inherit) -> Fetch | Plain:
    if scope.work.is_too_much(1, term.place, scope.report):
        return nothing
    match term:
        case Path():
            return _path(term, scope, Origin(term.text, term.segment, term.field, term.component))
        case Constant():
            return _constant(term, scope)
        case Fact():
            return _fact(term, scope)
        case Name():
            return _name(term, scope, inherit)


def _constant(term: Constant, scope: Scope) -> Fetch:
    value, origin = term.value, Origin("constant")
    if scope.wanted == "code":
        scope.report.error(
            "M043", term.place, f"{term.text} is a text, {scope.target} needs a code", "write item: {...}"
        )

    def fetch(context: Context) -> Any:
        context.origin = origin
        return value

    return fetch


def _fact(term: Fact, scope: Scope) -> Fetch:
    if term.text not in scope.facts:
        scope.report.error("M045", term.place, f"no fact '{term.text}'", suggestion(term.text, scope.facts))
        return nothing
    path, origin = tuple(term.text.split(".")), Origin(term.text)

    def fetch(context: Context) -> Any:
        value = facts.look_up(context.facts, path)
        if value is not None:
            context.origin = origin
        return value

    return fetch


def _name(term: Name, scope: Scope, inherit: Inherit) -> Fetch:
    if term.name == "inherited":
        return inherit(scope, term)
    if term.name == "n":
        return lambda context: str(context.n) if context.n else None
    if term.name == "count" and not scope.is_inbound:
        return lambda context: str(context.count)
    source = scope.let.get(term.name)
    if source is None:
        scope.report.error("M044", term.place, f"no 'let' called {term.name}", suggestion(term.name, scope.let))
        return nothing
    if scope.depth >= LET_DEPTH:
        scope.report.error("M044", term.place, f"'{term.name}' goes round in a circle")
        return nothing
    if scope.work.is_too_much(len(source), term.place, scope.report):
        return nothing
    below = scope.but(depth=scope.depth + 1)
    if term.component and all(isinstance(one, Path) for one in source):
        return _part_of_first([one for one in source if isinstance(one, Path)], term, below)
    return first_of([_let_whole(one, term, below, inherit) for one in source], scope.null_stops, scope.leads)


def _let_whole(one: Term, name: Name, scope: Scope, inherit: Inherit) -> Fetch | Plain:
    """Compile one alternative of a let for the place where it is used."""
    if not isinstance(one, Path):
        return _term(one, scope, inherit)
    origin = Origin(f"{name.text} ({one.text})", one.segment, one.field, one.component)
    return _path(one._replace(place=name.place), scope, origin)


def _part_of_first(paths: Sequence[Path], name: Name, scope: Scope) -> Fetch:
    """Compile ``$name.1``: the component of the first alternative that is there."""
    pairs = [(_presence(one, scope), _let_part(one, name, scope)) for one in paths]
    simple = [part for presence, part in pairs if presence is None and isinstance(part, Plain)]
    if len(simple) == len(pairs):
        return part_of_first(simple, scope.null_stops, scope.leads)
    tests = [
        (presence or first_of([part], True, scope.leads), first_of([part], True, scope.leads))
        for presence, part in pairs
    ]

    def fetch(context: Context) -> Any:
        for is_there, part in tests:
            found = is_there(context)
            if found == NULL and scope.null_stops:
                return NULL
            if found is not None and found != NULL:
                return part(context)
        return None

    return fetch


def _let_part(one: Path, name: Name, scope: Scope) -> Fetch | Plain:
    if one.component:
        part = one._replace(subcomponent=name.component, place=name.place)
    else:
        part = one._replace(component=name.component, subcomponent=name.subcomponent, place=name.place)
    origin = Origin(f"{name.text} ({one.text})", part.segment, part.field, part.component)
    return _path(part, scope, origin)


def _presence(one: Path, scope: Scope) -> Fetch | None:
    """Say how to see that an alternative is there; None: by the first component of a plain field."""
    typed = types.find_typed(one.segment, one.field, one.component, 0, scope.declared, scope.version)
    if typed is not None and (typed.kind == "name" or typed.datatype == "HD"):
        return first_of([_fetch(one, "name", "", scope, NOWHERE)], True, scope.leads)
    first = _fetch(one if one.component else one._replace(component=1), "text", "", scope, NOWHERE)
    return None if isinstance(first, Plain) and not one.component else first_of([first], True, scope.leads)


def _fetch(path: Path, wanted: Wanted, datatype: str, scope: Scope, origin: Origin) -> Fetch | Plain:
    each = scope.each.path if scope.each else None
    in_each = each is not None and (each.segment, each.field) == (path.segment, path.field)
    return fetch_path(path, wanted, datatype, in_each=in_each, origin=origin, places=scope.places)


def _path(path: Path, scope: Scope, origin: Origin) -> Fetch | Plain:
    if not scope.is_inbound:
        scope.report.error("M040", path.place, f"{path.text}: this mapping reads events, not messages", "use a fact")
        return nothing
    typed = check_path(path, scope)
    if typed is None:
        return nothing
    if not scope.is_converted and scope.vr and not types.fits(typed.kind, scope.vr):
        message = f"{path.text} is {typed.name} ({typed.datatype or 'no type'}), {scope.target} needs {scope.vr}"
        scope.report.error("M043", path.place, message, _advice(path, typed, scope))
        return nothing
    wanted = scope.wanted
    if wanted == "name" and typed.kind == "text":
        wanted = "text"
    return _fetch(path, wanted, typed.datatype, scope, origin)


def check_path(path: Path, scope: Scope) -> Typed | None:
    """Give what stands at *path*; report M041 and M042 when nothing can."""
    typed = types.find_typed(path.segment, path.field, path.component, path.subcomponent, scope.declared, scope.version)
    if typed is not None and path.pick is None and path.segment_pick is None:
        return typed
    if not types.is_segment(path.segment):
        scope.report.error("M041", path.place, f"no segment {path.segment}", "Z segments begin with Z")
        return None
    top = types.find_typed(path.segment, path.field, 0, 0, scope.declared, scope.version)
    if top is None:
        scope.report.error("M042", path.place, f"{path.segment} has no field {path.field}")
        return None
    if path.pick is not None or path.segment_pick is not None:
        _check_picks(path, scope)
    if typed is None:
        number = f"{path.component}.{path.subcomponent}" if path.subcomponent else f"{path.component}"
        message = f"{path.segment}-{path.field} is {top.name} ({top.datatype}), it has no component {number}"
        scope.report.error("M042", path.place, message)
    return typed


def _check_picks(path: Path, scope: Scope) -> None:
    """Report what is picked by a place that no message has: it can never match."""
    picks = ((path.segment_pick, path.segment, ()), (path.pick, f"{path.segment}-{path.field}", (path.field,)))
    for pick, where, above in picks:
        if pick is None or not pick.first:
            continue
        field, component, subcomponent = (*above, pick.first, pick.second, 0)[:3]
        if types.find_typed(path.segment, field, component, subcomponent, scope.declared, scope.version) is None:
            number = f"{pick.first}.{pick.second}" if pick.second else f"{pick.first}"
            scope.report.error("M042", path.place, f"{path.text} can never match: {where} has no {number}")


def _advice(path: Path, typed: Typed, scope: Scope) -> str:
    if typed.kind == "untyped":
        return DECLARE_HINT
    if scope.vr in types.TEXT_VRS and typed.kind != "text":
        return f"write {path.text}.1"
    found = types.fitting_fields(path.segment, scope.vr, scope.version)
    if found:
        return f"write {' or '.join(found)}"
    return "say as: ..., or take another field"
