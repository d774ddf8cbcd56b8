"""Two versions of a folder of mappings over the same messages: whose outcome flips, which attributes change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from broker.errors import BrokerError
from broker.hl7.charset import decode
from broker.hl7.message import Message
from broker.mapping.build import Mapping as Compiled
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import Output, Translation

FLIPS_KEPT = 1_000
"""Flips that are kept with their words; the rest is counted."""

REASON = "(reason of refusal)"
"""Stands for an attribute where a message is refused by both versions, for another reason."""

CHARSETS = ("UTF-8", "windows-1252")

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A message to run: *label* names it for a person, *charsets* are the sender's when MSH-18 is empty."""

    label: str
    raw: bytes
    received_at: datetime
    charsets: tuple[str, ...] = CHARSETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A message whose outcome is another one: accepted before and refused now, or the other way, or another effect.

    *is_loss*: an order of it is refused now, or no mapping takes it, and that was not so before.
    """

    label: str
    before: str
    after: str
    is_loss: bool = False


@dataclass(slots=True, kw_only=True)
class Change:
    """An attribute whose value differs in *count* messages; the rest is of the first of them. None: not set."""

    path: str
    kind: Literal["added", "removed", "changed"]
    count: int = 0
    label: str = ""
    before: Any = None
    after: Any = None


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What differs. *compared*: messages that either version translates with the mapping, *unread*: no HL7."""

    compared: int = 0
    unread: int = 0
    flipped: int = 0
    differing: int = 0
    flips: list[Flip] = field(default_factory=list)
    changes: dict[tuple[str, str], Change] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        """Say whether nothing differs."""
        return not self.flipped and not self.differing


def compare(
    before: Catalogue, after: Catalogue, samples: Iterable[Sample], zone: ZoneInfo, name: str = ""
) -> Comparison:
    """Run both versions over *samples*; with *name* only over those that this mapping or a child of it translates."""
    comparison = Comparison()
    for sample in samples:
        try:
            message = read_sample(sample, before, after)
        except BrokerError:
            comparison.unread += 1
            continue
        old, new = chosen(before, message), chosen(after, message)
        if not any(isinstance(one, Compiled) and (not name or name in one.lineage) for one in (old, new)):
            continue
        comparison.compared += 1
        if isinstance(old, Compiled) and isinstance(new, Compiled) and old.digest == new.digest:
            continue
        _note(comparison, sample, outcome(old, message, sample, zone), outcome(new, message, sample, zone))
    return comparison


def read_sample(sample: Sample, before: Catalogue, after: Catalogue) -> Message:
    """Read *sample* in its character set, else in the one that its mapping assumes; raise BrokerError when it is no HL7."""
    decoded = decode(sample.raw, list(sample.charsets))
    message = Message.parse(decoded.text, decoded.codec)
    if message.header.raw(18):
        return message
    for catalogue in (after, before):
        found = chosen(catalogue, message)
        if isinstance(found, Compiled) and found.assumed_charset:
            decoded = decode(sample.raw, [found.assumed_charset])
            return Message.parse(decoded.text, decoded.codec)
    return message


def chosen(catalogue: Catalogue, message: Message) -> Compiled | str:
    """Give the mapping of *message*, or why there is none."""
    try:
        return catalogue.find(message) or "no mapping"
    except BrokerError as fault:
        return fault.message


def outcome(mapping: Compiled | str, message: Message, sample: Sample, zone: ZoneInfo) -> Translation | str:
    """Give what *mapping* makes of *message*, or why it makes nothing."""
    if isinstance(mapping, str):
        return mapping
    try:
        return mapping.translate(message, zone, sample.received_at)
    except BrokerError as fault:
        return f"refused: {fault.message}"


def _note(comparison: Comparison, sample: Sample, before: Translation | str, after: Translation | str) -> None:
    if before == after:
        return
    if _effects(before) != _effects(after):
        comparison.flipped += 1
        if len(comparison.flips) < FLIPS_KEPT:
            is_loss = not _is_whole(after) and _is_whole(before)
            comparison.flips.append(
                Flip(label=sample.label, before=_words(before), after=_words(after), is_loss=is_loss)
            )
    if isinstance(before, str) or isinstance(after, str):
        return
    found = {change.path: change for change in _changes(before, after)}
    comparison.differing += bool(found)
    for change in found.values():
        known = comparison.changes.setdefault((change.path, change.kind), change)
        known.count += 1
        known.label = known.label or sample.label


def _is_whole(outcome: Translation | str) -> bool:
    return not isinstance(outcome, str) and not outcome.rejections


def _effects(outcome: Translation | str) -> object:
    """Give what became of each order, without values: an outcome flips when this differs."""
    if isinstance(outcome, str):
        return outcome.partition(":")[0]
    refused = {one.group: "refused" for one in outcome.rejections}
    return refused | {one.group: one.action for one in outcome.outputs if one.group not in refused}


def _words(outcome: Translation | str) -> str:
    """Say in words what became of a message: of a refused order the first reason."""
    if isinstance(outcome, str):
        return outcome
    told: dict[int, str] = {}
    for rejection in outcome.rejections:
        told.setdefault(rejection.group, f"order {rejection.group} refused: {rejection}")
    for output in outcome.outputs:
        effect = output.action or f"has no effect ({output.control or 'no order control'})"
        told.setdefault(output.group, f"order {output.group} {effect}")
    return "; ".join(told.values()) or "no order"


def _changes(before: Translation, after: Translation) -> Iterator[Change]:
    reasons = [tuple(str(rejection) for rejection in one.rejections) for one in (before, after)]
    if all(reasons) and reasons[0] != reasons[1]:
        yield Change(path=REASON, kind="changed", before=reasons[0][0], after=reasons[1][0])
    olds, news = ({output.group: output for output in one.outputs} for one in (before, after))
    for group in olds.keys() & news.keys():
        if olds[group].item != news[group].item:
            yield from _differences(olds[group], news[group])


def _differences(before: Output, after: Output) -> Iterator[Change]:
    items = before.item, after.item
    keywords = dict.fromkeys((*before.item, *after.item))
    differing = [name for name in keywords if items[0].get(name, _ABSENT) != items[1].get(name, _ABSENT)]
    old, new = (dict(_flat({name: item[name] for name in differing if name in item})) for item in items)
    for path in dict.fromkeys((*old, *new)):
        if path not in old:
            yield Change(path=path, kind="added", after=new[path])
        elif path not in new:
            yield Change(path=path, kind="removed", before=old[path])
        elif old[path] != new[path]:
            yield Change(path=path, kind="changed", before=old[path], after=new[path])


def _flat(item: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for keyword, value in item.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            for one in value:
                yield from _flat(one, f"{above}{keyword}.")
        else:
            yield f"{above}{keyword}", value
