"""Running a mapping over a message: one output per order, or why the order is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from broker.hl7 import dictionary
from broker.hl7.message import NULL, Message, Segment
from broker.mapping.conditions import Test
from broker.mapping.context import Context, Fetch, Origin, Refusal, Refused, Remark, TraceLine
from broker.mapping.groups import DETAIL, Group, split
from broker.mapping.groups import STEP as STEP_SEGMENT
from broker.mapping.items import Attributes, fill
from broker.mapping.places import Places
from broker.mapping.problems import Place
from broker.mapping.profiles import STEP
from broker.mapping.stepids import number_steps

IGNORE = "ignore"
"""The action of codes that a site receives and has no use for."""

FULL_ACTIONS = frozenset({"create", "update"})
"""Actions for which every attribute counts; others are read for identifiers and status alone."""

UNSCHEDULED = "unscheduled time"
"""The warning of a start time that the order did not say."""

UNUSED_HIDDEN = frozenset({"MSH", "EVN", "FHS", "BHS", "FTS", "BTS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One order. *action* is empty when the mapping does not know the order control *control*.

    *replaces_steps*: the message names all steps of the procedures that it names (``update: replace``).

    *item* holds attributes by keyword (domain.order.Item): None where nothing was found but something is due, ``""``
    where the value is to be emptied.
    """

    group: int
    action: str
    control: str
    item: dict[str, Any]
    warnings: tuple[Remark, ...] = ()
    trace: tuple[TraceLine, ...] = ()
    replaces_steps: bool = False

    @property
    def accession(self) -> str:
        """The accession number, or empty."""
        return str(self.item.get("AccessionNumber") or "")

    @property
    def is_start_known(self) -> bool:
        """Say whether the order said when it is to be done."""
        return all(remark.text != UNSCHEDULED for remark in self.warnings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an order is refused: by which *rule* (file:line:column), for what at *location* (``OBR^1^18^1``).

    *hl7_code* is of HL7 table 0357: 100 sequence, 101 missing, 102 bad value, 103 not in the table, 104 too long.
    """

    group: int
    accession: str
    target: str
    text: str
    hint: str
    location: str
    hl7_code: str
    rule: str

    def __str__(self) -> str:
        return f"{self.target}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a message became. *unused* names fields that no rule looked at; filled with a trace only."""

    outputs: tuple[Output, ...]
    rejections: tuple[Rejection, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[Remark, ...]:
        """All warnings, of all orders."""
        return tuple(remark for output in self.outputs for remark in output.warnings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translator:
    """A compiled mapping from messages to worklist entries.

    *places* are those at which its rules look. *attributes* are for new and changed orders; *reduced* gives those for the
    rest, with places of their own, by whether the order has details: compiled when the first such order comes.
    """

    one_per: str
    places: Places
    zone: ZoneInfo | None
    refuses_whole_message: bool
    replaces_steps: bool
    control: Fetch
    actions: Mapping[str, str]
    default_action: str
    action_place: Place
    attributes: Attributes
    reduced: Callable[[bool], tuple[Places, Attributes]]
    detail_segments: frozenset[str] = field(default_factory=frozenset)
    test: Test | None = None

    def translate(self, message: Message, zone: ZoneInfo, received_at: datetime, trace: bool = False) -> Translation:
        """Translate *message*; times become local times of *zone*, *received_at* (aware) stands in for a missing start."""
        groups, orphans = split(message, self.one_per)
        known = {"message": {"received_at": received_at}}
        outputs: list[Output] = []
        rejections = [_orphan(segment, message, self.action_place) for segment in orphans]
        is_whole = self.refuses_whole_message or any(segment.name == STEP_SEGMENT for segment in orphans)
        used: set[tuple[int, int]] = set()
        for group in groups:
            context = Context(
                places=self.places,
                segments=group.segments,
                theirs=self.zone or zone,
                ours=zone,
                facts=known,
                is_tracing=trace,
            )
            output = self._output(group, context)
            outputs.append(output)
            rejections += [_rejection(output, refused, message, group) for refused in context.refused]
            used |= context.used
        kept, taken_along = _kept(outputs, rejections, is_whole)
        return Translation(
            outputs=_with_step_numbers(kept),
            rejections=(*rejections, *taken_along),
            unused=_unused(message, used) if trace else (),
        )

    def _output(self, group: Group, context: Context) -> Output:
        found = self.control(context)
        control = "" if found is None or found == NULL else str(found).strip().upper()
        if not control and not self.default_action:
            context.refused.append(_no_control(self.action_place))
        action = self.actions.get(control, self.actions.get("*", "")) if control else self.default_action
        item = self._item(action, group, context) if action not in ("", IGNORE) else {}
        return Output(
            group=group.number,
            action=action,
            control=control,
            item=item,
            warnings=tuple(context.remarks),
            trace=tuple(context.lines),
            replaces_steps=self.replaces_steps,
        )

    def _item(self, action: str, group: Group, context: Context) -> dict[str, Any]:
        if action in FULL_ACTIONS:
            return fill(self.attributes, context)
        places, attributes = self.reduced(any(name in group.segments for name in self.detail_segments))
        context.look_at(places)
        return fill(attributes, context)


def _kept(
    outputs: Sequence[Output], rejections: Sequence[Rejection], is_whole: bool
) -> tuple[list[Output], list[Rejection]]:
    """Leave out refused orders with those of the same accession number, or with *is_whole* all (policies 2.8)."""
    if not rejections:
        return list(outputs), []
    groups = {rejection.group: rejection for rejection in rejections}
    accessions = {rejection.accession: rejection for rejection in rejections if rejection.accession}
    kept: list[Output] = []
    taken_along: list[Rejection] = []
    for output in outputs:
        cause = accessions.get(output.accession)
        if is_whole:
            cause = rejections[0]
        if output.group in groups:
            continue
        if cause is None:
            kept.append(output)
        else:
            taken_along.append(_taken_along(output, cause))
    return kept, taken_along


def _with_step_numbers(outputs: list[Output]) -> tuple[Output, ...]:
    if len(outputs) == 1 and len(outputs[0].item.get(STEP) or ()) < 2:
        return tuple(outputs)
    items = number_steps([output.item for output in outputs])
    return tuple(replace(output, item=item) for output, item in zip(outputs, items, strict=True))


def _orphan(segment: Segment, message: Message, place: Place) -> Rejection:
    name = segment.name
    number = 1 + sum(1 for other in message.named(name) if other.index < segment.index)
    text, hint = "belongs to no order", "send each OBR behind its ORC"
    if name == STEP_SEGMENT:
        text = "may belong to any of several orders: neither IPC-1 nor IPC-2 names just one of them"
        hint = "send each IPC behind the OBR of its order"
    return Rejection(
        group=0,
        accession=segment.value(18 if name == DETAIL else 1, component=1),
        target=name,
        text=f"{name} number {number} stands before the first ORC and {text}",
        hint=hint,
        location=f"{name}^{number}",
        hl7_code="100",
        rule=f"mappings/{place}",
    )


def _no_control(place: Place) -> Refused:
    refusal = Refusal(
        "no order control code: is it a new order, a change or a cancel?",
        hint="send ORC-1, e.g. NW, XO or CA",
        hl7_code="101",
        origin=Origin("ORC-1", "ORC", 1, 1),
    )
    return Refused(target="action", place=place, refusal=refusal)


def _rejection(output: Output, refused: Refused, message: Message, group: Group) -> Rejection:
    refusal = refused.refusal
    return Rejection(
        group=group.number,
        accession=output.accession,
        target=refused.target,
        text=refusal.text,
        hint=refusal.hint,
        location=_location(refused, message, group),
        hl7_code=refusal.hl7_code,
        rule=f"mappings/{refused.place}",
    )


def _location(refused: Refused, message: Message, group: Group) -> str:
    origin = refused.refusal.origin
    if not origin.segment:
        return ""
    mine = group.segments.get(origin.segment)
    number = 1 + sum(1 for other in message.named(origin.segment) if mine and other.index < mine[0].index)
    return f"{origin.segment}^{number}^{origin.field}^{origin.component or 1}"


def _taken_along(output: Output, cause: Rejection) -> Rejection:
    same = f"accession number {output.accession}" if output.accession == cause.accession != "" else "message"
    return replace(
        cause,
        group=output.group,
        accession=output.accession,
        text=f"another order of the same {same} is refused ({cause.target}: {cause.text})",
    )


def _unused(message: Message, used: set[tuple[int, int]]) -> tuple[str, ...]:
    """Name the fields with a value that nothing looked at; set ids and the header's plumbing are not worth a word."""
    names: dict[str, None] = {}
    for segment in message.segments:
        if segment.name in UNUSED_HIDDEN:
            continue
        for number in range(1, segment.last_field + 1):
            raw = segment.raw(number)
            if not raw or raw == NULL or (segment.index, number) in used:
                continue
            known = dictionary.field(segment.name, number)
            if known is None or known.datatype != "SI":
                names[f"{segment.name}-{number}"] = None
    return tuple(names)
