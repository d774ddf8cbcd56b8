"""YAML as the language reads it: every scalar is text, every node knows its place, nothing is guessed.

Built from PyYAML's events, without recursion. Anchors, aliases, tags and second documents are refused, size and depth
are limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from broker.mapping.problems import Place, Report

SIZE_LIMIT = 1_000_000
DEPTH_LIMIT = 24
NODE_LIMIT = 50_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_QUOTES = ("'", '"')
_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
_NODES = frozenset({yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.AliasEvent})

_new = tuple.__new__
"""Makes a Place or a Text in half the time: a file has thousands."""


class Text(NamedTuple):
    """A scalar. *offset* is how far its first character stands from its place (1 when quoted)."""

    value: str
    place: Place
    offset: int = 0

    def part(self, start: int, length: int) -> Place:
        """Give the place of a piece of this text."""
        column = self.place.column + self.offset + start
        return Place(path=self.place.path, line=self.place.line, column=column, length=max(1, length))


@dataclass(slots=True, kw_only=True)
class Listing:
    """A sequence."""

    items: list[Node] = field(default_factory=list)
    place: Place


@dataclass(slots=True, kw_only=True)
class Block:
    """A mapping. Of a key that is given twice, *entries* has the last and *repeated* the places (first, again)."""

    entries: dict[str, tuple[Text, Node]] = field(default_factory=dict)
    repeated: list[tuple[Text, Text]] = field(default_factory=list)
    place: Place

    def get(self, name: str) -> Node | None:
        """Give the value under *name*."""
        found = self.entries.get(name)
        return found[1] if found else None

    def key(self, name: str) -> Place:
        """Give the place of the key *name*, else of the block."""
        found = self.entries.get(name)
        return found[0].place if found else self.place


Node = Text | Listing | Block


def read(path: str, data: bytes, report: Report) -> Block | None:
    """Read a file that holds one mapping; every problem goes to *report* (M001, M003)."""
    start = Place(path=path)
    if len(data) > SIZE_LIMIT:
        report.error("M001", start, f"the file has {len(data)} bytes, {SIZE_LIMIT} are allowed")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        report.error("M001", start, f"not UTF-8 at byte {fault.start}", "save the file as UTF-8")
        return None
    report.know(path, text)
    try:
        root, has_repeated = _build(path, text)
    except _Refused as fault:
        report.error("M001", fault.place, fault.message, fault.hint)
        return None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = Place(path=path, line=mark.line + 1, column=mark.column + 1) if mark else start
        report.error("M001", place, f"not YAML: {fault.problem or fault.context}", _advice(fault))
        return None
    except yaml.YAMLError as fault:
        report.error("M001", start, f"not YAML: {fault}")
        return None
    if not isinstance(root, Block):
        report.error("M001", start, "the file holds no settings", "begin with mapping: folder/name")
        return None
    if has_repeated:
        _report_repeated(root, report)
    return root


class _Refused(Exception):
    def __init__(self, place: Place, message: str, hint: str) -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


def _advice(fault: yaml.MarkedYAMLError) -> str:
    problem = str(fault.problem)
    if "'\\t'" in problem:
        return "indent with spaces, not with tabs"
    if "expected ',' or '}'" in problem or "expected ',' or ']'" in problem:
        return "inside {...} a text with [ ] { } , or : needs quotes"
    if "mapping values are not allowed" in problem:
        return "a text with ': ' in it needs quotes"
    return ""


def _build(path: str, text: str) -> tuple[Node | None, bool]:
    """Put the nodes together, and say whether a key is given twice.

    *top* is the block or list that is open, *above* are those that it stands in.
    """
    next_event = _LOADER(text).get_event
    root: Node | None = None
    top: Block | Listing | None = None
    key: Text | None = None
    above: list[Block | Listing | None] = []
    documents = nodes = repeated = 0
    while (kind := type(event := next_event())) is not yaml.StreamEndEvent:
        if kind in _ENDS:
            top = above.pop()
            continue
        if kind not in _NODES:
            documents += kind is yaml.DocumentStartEvent
            if documents > 1:
                raise _Refused(_place(path, event), "a second document begins here", "one file, one mapping")
            continue
        nodes += 1
        node = _node(path, event)
        if nodes > NODE_LIMIT or len(above) >= DEPTH_LIMIT:
            raise _Refused(node.place, "the file is too large or too deep", "split it")
        if top is None:
            root = node
        elif isinstance(top, Listing):
            top.items.append(node)
        elif key is None:
            key = _key(node)
        else:
            if key.value in top.entries:
                top.repeated.append((top.entries[key.value][0], key))
                repeated += 1
            top.entries[key.value] = (key, node)
            key = None
        if not isinstance(node, Text):
            above.append(top)
            top = node
    return root, repeated > 0


def _node(path: str, event: Any) -> Node:
    place = _place(path, event)
    if type(event) is yaml.ScalarEvent and event.anchor is None and event.tag is None:
        return _new(Text, (event.value, place, 1 if event.style in _QUOTES else 0))
    if event.anchor:
        raise _Refused(place, "anchors and aliases (& and *) are not used here", "write it out, or use let or extends")
    if event.tag is not None and event.tag != "!":
        raise _Refused(place, f"the tag {event.tag} is not used here", "every value is text: leave it out")
    if type(event) is yaml.ScalarEvent:
        return _new(Text, (event.value, place, 1 if event.style in _QUOTES else 0))
    return Block(place=place) if type(event) is yaml.MappingStartEvent else Listing(place=place)


def _key(node: Node) -> Text:
    if not isinstance(node, Text):
        raise _Refused(node.place, "a name must be text", "quote it when it begins with [ or {")
    return node


def _place(path: str, event: Any) -> Place:
    start, end = event.start_mark, event.end_mark
    line, column = start.line, start.column
    length = end.column - column if end.line == line else 1
    return _new(Place, (path, line + 1, column + 1, length if length > 1 else 1))


def _report_repeated(root: Block, report: Report) -> None:
    waiting: list[Node] = [root]
    while waiting:
        current = waiting.pop()
        if isinstance(current, Listing):
            waiting.extend(current.items)
        elif isinstance(current, Block):
            for first, again in current.repeated:
                message = f"'{again.value}' is already set on line {first.place.line}"
                report.error("M003", again.place, message, "one rule per target")
            waiting.extend(value for _, value in current.entries.values())
