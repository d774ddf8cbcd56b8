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
    """Split *message* into its orders; also give the OBR segments that belong to none.

    A group starts at each *one_per*; where that is ORC, also at each further OBR, which shares the ORC before it, and at
    every OBR of a message without ORC. A message without any start is one group. Where *one_per* is IPC, an order with
    several of them is as many groups, which share the rest of it.
    """
    if one_per == STEP:
        orders, orphans = split(message, ORDER)
        return _by_step(orders), orphans
    if one_per == ORDER and _is_simple(message):
        return [Group(number=1, segments=message.by_name)], []
    head, bodies = _bodies(message, one_per)
    named_head = _by_name(segment for segment in head if segment.name not in GROUP_ONLY)
    scarce = _scarce(message, len(bodies))
    groups = []
    for number, body in enumerate(bodies, 1):
        own = _by_name(body)
        segments = {**named_head, **own}
        if len(bodies) > 1:
            _borrow(segments, scarce, body[-1].index)
        groups.append(Group(number=number, segments=segments))
    return groups, _orphans(named_head.get(DETAIL, []), groups)


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
