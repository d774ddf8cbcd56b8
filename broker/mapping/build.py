"""From a linked file to a mapping that runs: its head is checked, its rules compiled, its gaps reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from broker.domain.events import PUBLIC
from broker.errors import BrokerError
from broker.hl7.charset import find_codec
from broker.hl7.dictionary import DEFAULT_VERSION, VERSIONS
from broker.hl7.message import Message
from broker.mapping import facts
from broker.mapping.compile import compile_rule, compile_value, inherit
from broker.mapping.conditions import Test, compile_condition
from broker.mapping.context import Context
from broker.mapping.engine import Translation, Translator
from broker.mapping.finish import Target
from broker.mapping.groups import ORDER
from broker.mapping.items import Attributes, compile_attributes
from broker.mapping.link import Linked
from broker.mapping.moments import UTC
from broker.mapping.nodes import AllOf, Condition
from broker.mapping.outbound import Renderer, Rendering, compile_segments
from broker.mapping.outbound_json import JsonRenderer, compile_members
from broker.mapping.places import Places
from broker.mapping.problems import Place, Report, suggestion
from broker.mapping.profiles import MODALITY_WORKLIST, Profile
from broker.mapping.shared import Shared
from broker.mapping.spec import ACTIONS
from broker.mapping.syntax import MappingFile, Rule
from broker.mapping.terms import Scope

WORKLIST, JSON = "dicom/mwl", "mqtt/event"

_SOURCE = re.compile(
    r"hl7/(?:(?P<version>2\.[0-9.]+)/)?(?P<message>[A-Z][A-Z0-9]{2}(?:\^[A-Z][A-Z0-9]{2})?)|broker/(?P<event>[a-z_.]+\*?|\*)"
)


def is_of_type(first: str, second: str) -> bool:
    """Say whether two message types may be one: ``SIU`` is of any event."""
    kind, _, event = first.partition("^")
    other, _, other_event = second.partition("^")
    return kind == other and (event == other_event or not event or not other_event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One usable mapping. *lineage* names itself, its parent, and so on; *digest* is that of all files it rests on.

    *test* is its ``when``, which looks at *places*.
    """

    name: str
    path: str
    title: str
    source: str
    target: str
    charset: str
    digest: str
    lineage: tuple[str, ...]
    message_type: str
    is_template: bool
    conditions: tuple[Condition, ...]
    places: Places
    test: Test | None
    translator: Translator | None
    renderer: Renderer | JsonRenderer | None

    @property
    def assumed_charset(self) -> str:
        """The character set of messages that name none, or empty (``charset: assume 8859/1``)."""
        return self.charset.removeprefix("assume ").strip() if self.charset.startswith("assume ") else ""

    def claims(self, message: Message, message_type: str = "") -> bool:
        """Say whether *message* is of the mapping's type and fulfils its ``when``. An event that is missing fits any.

        *message_type* is that of *message*, for who asks several mappings.
        """
        if self.is_template or not self.message_type:
            return False
        if not is_of_type(message_type or message.type, self.message_type):
            return False
        if self.test is None:
            return True
        return self.test(Context(places=self.places, segments=message.by_name, theirs=UTC, ours=UTC, facts={}))

    def translate(self, message: Message, zone: ZoneInfo, received_at: datetime, trace: bool = False) -> Translation:
        """Translate *message* (see engine.Translator); raise BrokerError M070 when this mapping writes messages."""
        if self.translator is None:
            raise BrokerError(f"mapping {self.name} does not read messages", code="M070", hint="use one from hl7/...")
        return self.translator.translate(message, zone, received_at, trace)

    def render(self, known: facts.Facts) -> Rendering:
        """Write what is sent of an event's facts, HL7 or JSON; raise BrokerError M070 when this mapping reads messages."""
        if self.renderer is None:
            raise BrokerError(
                f"mapping {self.name} does not tell of events", code="M070", hint="use one from broker/..."
            )
        return self.renderer.render(known)


def build(linked: Linked, digest: str, report: Report, parent: Shared | None) -> tuple[Mapping, Shared]:
    """Compile *linked*, but for what is as in its *parent*; what is wrong with it goes to *report*.

    Also give what its children share with it.
    """
    file = linked.file
    found = _SOURCE.fullmatch(file.source)
    if found is None:
        hint = "as in hl7/ORM^O01, hl7/SIU, hl7/2.3.1/ORM^O01, broker/study.available or broker/procedure.*"
        report.error("M014", _place(file, "from"), f"'{file.source}' is no source of a mapping", hint)
    elif found["event"] and not any(fnmatchcase(event, found["event"]) for event in PUBLIC):
        hint = suggestion(found["event"], PUBLIC)
        report.error("M014", _place(file, "from"), f"no event '{found['event']}' leaves the broker", hint)
    version = _version(file, found["version"] if found else None, report)
    is_inbound = not (found and found["event"])
    _check_direction(file, is_inbound, report)
    scope = Scope(
        report=report,
        places=Places(),
        leads={},
        let=file.let,
        tables=linked.tables,
        declared=file.declare,
        facts=facts.INBOUND if is_inbound else facts.OUTBOUND,
        version=version,
        is_inbound=is_inbound,
        profile=MODALITY_WORKLIST,
    )
    shared = Shared(file, linked.tables, version, parent)
    when = AllOf(conditions=file.when)
    mapping = Mapping(
        name=file.name,
        path=file.path,
        title=file.title,
        source=file.source,
        target=file.target,
        charset=_charset(file, report),
        digest=digest,
        lineage=tuple(one.name for one in linked.chain),
        message_type=found["message"] or "" if found else "",
        is_template=file.template,
        conditions=file.when,
        places=scope.places,
        test=compile_condition(when, scope, inherit) if file.when else None,
        translator=_translator(file, scope, shared) if is_inbound else None,
        renderer=None if is_inbound else _renderer(file, scope),
    )
    return mapping, shared


def _renderer(file: MappingFile, scope: Scope) -> Renderer | JsonRenderer:
    if file.target == JSON:
        return JsonRenderer(members=compile_members(file.json, scope))
    return Renderer(segments=compile_segments(file.segments, scope), charset=file.charset)


def _version(file: MappingFile, version: str | None, report: Report) -> str:
    if version is not None and version not in VERSIONS:
        report.error("M014", _place(file, "from"), f"no HL7 version {version}", suggestion(version, VERSIONS))
    return version or DEFAULT_VERSION


def _check_direction(file: MappingFile, is_inbound: bool, report: Report) -> None:
    if is_inbound != (file.target == WORKLIST):
        report.error("M014", _place(file, "to"), f"{file.source or 'nothing'} cannot become {file.target or 'nothing'}")
    wanted = "set" if is_inbound else "json" if file.target == JSON else "segments"
    for unwanted in {"set", "segments", "json"} - {wanted}:
        if unwanted in file.places:
            report.error("M012", file.places[unwanted], f"'{unwanted}' has no place here", f"use {wanted}")


def _translator(file: MappingFile, scope: Scope, shared: Shared) -> Translator:
    profile = scope.profile
    own = scope.but(
        places=shared.places,
        leads={},
        let=shared.let,
        tables=shared.tables,
        declared=shared.declared,
        shared=shared,
    )
    _check_profile(file, profile, scope.report)
    action = file.action
    target = Target(name="action", vr="")
    control = action._replace(map=None, lookup=None, default=None, key=_place(file, "action")) if action else None
    default = action.default.value if action and action.default else "" if action else "create"

    @cache
    def reduced(has_detail: bool) -> tuple[Places, Attributes]:
        kept = profile.kept if has_detail else profile.kept - profile.detail
        few = scope.but(kept=kept, places=Places(), leads={}, report=Report())
        return few.places, compile_attributes(file.attributes, few, compile_rule)

    return Translator(
        one_per=file.one_per or ORDER,
        places=own.places,
        zone=_zone(file, scope.report),
        refuses_whole_message=file.partial == "reject_message",
        replaces_steps=file.update == "replace",
        control=compile_value(control, target, own) if control else _no_control,
        actions=_actions(file, action, scope.report),
        default_action=default,
        action_place=_place(file, "action"),
        attributes=compile_attributes(file.attributes, own, compile_rule),
        reduced=reduced,
        detail_segments=profile.detail_segments,
    )


def _no_control(context: Context) -> Any:
    return None


def _actions(file: MappingFile, action: Rule | None, report: Report) -> dict[str, str]:
    if action is None:
        return {}
    chosen = dict(action.map or {})
    default = {action.default.value} if action.default else set()
    for name in {*chosen.values(), *default} - set(ACTIONS):
        report.error(
            "M014", _place(file, "action"), f"'{name}' is not one of {', '.join(ACTIONS)}", suggestion(name, ACTIONS)
        )
    return {code.upper(): name for code, name in chosen.items()}


def _zone(file: MappingFile, report: Report) -> ZoneInfo | None:
    if not file.timezone:
        return None
    try:
        return ZoneInfo(file.timezone)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        report.error("M014", _place(file, "timezone"), f"no time zone '{file.timezone}'", "as in Europe/Madrid")
        return None


def _charset(file: MappingFile, report: Report) -> str:
    charset = file.charset
    if charset and charset != "from MSH-18" and find_codec(charset.removeprefix("assume ").strip()) is None:
        report.error("M014", _place(file, "charset"), f"unknown character set '{charset}'", "as in assume 8859/1")
    return charset


def _check_profile(file: MappingFile, profile: Profile, report: Report) -> None:
    paths = set(_paths(file.attributes, ""))
    for path, kind in profile.types.items():
        if kind != "1" or path in paths:
            continue
        parent = path.rpartition(".")[0]
        if parent and parent not in paths:
            continue
        tell = (
            report.error
            if path in profile.identifiers and path != f"{parent}.ScheduledStationAETitle"
            else report.warning
        )
        tell("M050", _place(file, "set"), f"{path} is required by {profile.title} and nothing sets it")


def _paths(rules: Any, prefix: str) -> Iterator[str]:
    for keyword, rule in rules.items():
        yield prefix + keyword
        if rule.item:
            yield from _paths(rule.item, f"{prefix}{keyword}.")
        for alternative in rule.first_of:
            if alternative.item:
                yield from _paths(alternative.item, f"{prefix}{keyword}.")


def _place(file: MappingFile, key: str) -> Place:
    return file.places.get(key, file.place)
