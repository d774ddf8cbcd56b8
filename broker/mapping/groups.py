"""The orders of a message: which segments belong to which (mapping language section 3, policies 2.6)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from broker.hl7.message import Message, Segment

ORDER, DETAIL, STEP = "ORC", "OBR", "IPC"

GROUP_ONLY = frozenset({"NTE", "OBX"})
"""Looked up in their own group alone."""

NEVER_BORROWED = GROUP_ONLY | {"ORC", "OBR", "TQ1", "TQ2", "IPC"}
"""Never taken from another group: they would make one order out of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One order's segments by name: its own, those before the first group, and those that all groups share."""

    number: int
    segments: dict[str, list[Segment]]


def split(message: Message, one_per: str) -> tuple[list[Group], list[Segment]]:
    """Split *message* into its orders; also give the OBR and IPC segments that stand before them and belong to none.

    A group starts at each *one_per*; where that is ORC, also at each further OBR, which shares the ORC before it, and at
    every OBR of a message without ORC. A message without any start is one group. Where *one_per* is IPC, an order with
    several of them is as many groups, which share the rest of it. An IPC before several orders is that one's whose
    numbers it names.
    """
    if one_per == STEP:
        orders, orphans = split(message, ORDER)
        return _by_step(orders), orphans
    if one_per == ORDER and _is_simple(message):
        return [Group(number=1, segments=message.by_name)], []
    head, bodies = _bodies(message, one_per)
    named_head = _by_name(segment for segment in head if segment.name not in GROUP_ONLY)
    lost: list[Segment] = []
    if len(bodies) > 1 and one_per == ORDER and STEP in named_head:
        bodies, lost = _with_steps(named_head.pop(STEP), bodies)
    scarce = _scarce(message, len(bodies))
    groups = []
    for number, body in enumerate(bodies, 1):
        segments = {**named_head, **_by_name(body)}
        if len(bodies) > 1:
            _borrow(segments, scarce, body[-1].index)
        groups.append(Group(number=number, segments=segments))
    return groups, [*_orphans(named_head.get(DETAIL, []), groups), *lost]


def _by_step(orders: Sequence[Group]) -> list[Group]:
    parts = [
        {**order.segments, STEP: [step]} if step is not None else order.segments
        for order in orders
        for step in order.segments.get(STEP, (None,))
    ]
    return [Group(number=number, segments=segments) for number, segments in enumerate(parts, 1)]


def _is_simple(message: Message) -> bool:
    """Say whether everything belongs to the one order there is: the usual message, the short way."""
    named = message.by_name
    orders = named.get(ORDER, ())
    if len(orders) != 1 or len(named.get(DETAIL, ())) > 1:
        return False
    if GROUP_ONLY.isdisjoint(named):
        return True
    start = orders[0].index
    return not any(
        found[0].index < start and (name in GROUP_ONLY or found[-1].index > start) for name, found in named.items()
    )


def _bodies(message: Message, one_per: str) -> tuple[list[Segment], list[list[Segment]]]:
    start = one_per
    if one_per == ORDER and not message.first(ORDER):
        start = DETAIL
    head: list[Segment] = []
    bodies: list[list[Segment]] = []
    shared: list[Segment] = []
    has_detail = False
    for segment in message.segments:
        if segment.name == start:
            bodies.append([segment])
            shared, has_detail = [segment], False
        elif start == ORDER and bodies and segment.name == DETAIL and has_detail:
            bodies.append([*shared, segment])
        elif bodies:
            bodies[-1].append(segment)
            has_detail = has_detail or segment.name == DETAIL
            if not has_detail:
                shared.append(segment)
        else:
            head.append(segment)
    return (head, bodies) if bodies else ([], [head])


def _with_steps(
    before: Sequence[Segment], bodies: Sequence[list[Segment]]
) -> tuple[list[list[Segment]], list[Segment]]:
    """Give the IPC *before* several orders to them; also give those that name none, or more than one.

    HL7 has an IPC behind the OBR of its order (2.5.1, OMI^O23). A single one without any number of its own tells of a
    room or a scanner: it is everybody's.
    """
    if len(before) == 1 and not any(before[0].raw(number) for number in (1, 2, 3, 4)):
        return [[*before, *body] for body in bodies], []
    orders = [_by_name(body) for body in bodies]
    placed: list[list[Segment]] = [[] for _ in bodies]
    lost: list[Segment] = []
    for step in before:
        fitting = [mine for mine, order in zip(placed, orders, strict=True) if _is_of(step, order)]
        (fitting[0] if len(fitting) == 1 else lost).append(step)
    return [[*mine, *body] for mine, body in zip(placed, bodies, strict=True)], lost


def _is_of(step: Segment, order: dict[str, list[Segment]]) -> bool:
    """Say whether *step* names the accession number or the requested procedure of *order*, and contradicts neither."""

    def said(name: str, number: int) -> str:
        found = order.get(name)
        return found[0].value(number, component=1) if found else ""

    accession, procedure = step.value(1, component=1), step.value(2, component=1)
    its_accession, its_procedure = said(DETAIL, 18), said(DETAIL, 19)
    if (accession and its_accession not in ("", accession)) or (procedure and its_procedure not in ("", procedure)):
        return False
    numbers = {its_accession, *(said(name, number) for name in (ORDER, DETAIL) for number in (2, 3))}
    return bool((accession and accession in numbers) or (procedure and procedure == its_procedure))


def _by_name(segments: Iterable[Segment]) -> dict[str, list[Segment]]:
    named: dict[str, list[Segment]] = {}
    for segment in segments:
        named.setdefault(segment.name, []).append(segment)
    return named


def _scarce(message: Message, groups: int) -> dict[str, list[Segment]]:
    """Give the segments that are fewer than the groups, by name: several groups share them."""
    names = dict.fromkeys(segment.name for segment in message.segments)
    return {name: found for name in names if name not in NEVER_BORROWED and len(found := message.named(name)) < groups}


def _borrow(segments: dict[str, list[Segment]], scarce: dict[str, list[Segment]], end: int) -> None:
    """Add segments of other groups: the next one after *end*, where this group does, else the last before."""
    for name, found in scarce.items():
        if name not in segments:
            place = bisect_right(found, end, key=lambda segment: segment.index)
            segments[name] = [found[min(place, len(found) - 1)]]


def _orphans(before: Sequence[Segment], groups: Sequence[Group]) -> list[Segment]:
    used = {id(group.segments[DETAIL][0]) for group in groups if DETAIL in group.segments}
    return [segment for segment in before if id(segment) not in used]
