"""A mapping written out: merged with its parents into one file, every line with the place where it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broker.mapping import segments as segmented
from broker.mapping import types
from broker.mapping.catalogue import Entry
from broker.mapping.link import VALUE_SETTINGS, Files
from broker.mapping.problems import Place, Report
from broker.mapping.spec import FILE
from broker.mapping.yamlfile import Block, Listing, Node, Text, read

MERGED = ("tables", "let", "declare")
UNWANTED = frozenset({"extends", "drop", "tests"})
INHERITED = "$inherited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of YAML and the file and line that it comes from; *origin* is empty for what only opens a block."""

    text: str
    origin: str = ""


def resolved(entry: Entry, files: Files) -> Block:
    """Merge the files of *entry* into one block that needs no parent; every node keeps its place."""
    blocks = [block for one in entry.linked.chain if (block := read(one.path, files[one.path], Report()))]
    merged = _named(blocks[-1])
    for child in reversed(blocks[:-1]):
        merged = _merge(_named(child), merged)
    kept = {name: merged.entries[name] for name in FILE if name in merged.entries and name not in UNWANTED}
    return Block(entries=kept, place=merged.place)


def lines(block: Block, indent: str = "") -> Iterator[Line]:
    """Write *block* as YAML; a file that holds these lines means the same."""
    for name, (key, node) in block.entries.items():
        begin = f"{indent}{_scalar(name)}:"
        if is_flow(node, key.place):
            yield Line(text=f"{begin} {flow(node)}", origin=_origin(key.place))
            continue
        yield Line(text=begin, origin=_origin(key.place))
        yield from _below(node, indent + "  ")


def _below(node: Node, indent: str) -> Iterator[Line]:
    if isinstance(node, Block):
        yield from lines(node, indent)
    elif isinstance(node, Listing):
        for item in node.items:
            if is_flow(item, item.place):
                yield Line(text=f"{indent}- {flow(item)}", origin=_origin(item.place))
                continue
            first, *rest = _below(item, indent + "  ")
            yield Line(text=f"{indent}- {first.text.lstrip()}", origin=first.origin)
            yield from rest


def _origin(place: Place) -> str:
    return f"{place.path}:{place.line}"


def _named(block: Block) -> Block:
    """Name every attribute by its keyword, so that a child's tag meets its parent's keyword."""
    if not isinstance(rules := block.get("set"), Block):
        return block
    return _with(block, "set", _keywords(rules))


def _keywords(rules: Block) -> Block:
    entries: dict[str, tuple[Text, Node]] = {}
    for name, (key, node) in rules.entries.items():
        attribute = types.find_attribute(name)
        if isinstance(node, Block) and isinstance(item := node.get("item"), Block):
            node = _with(node, "item", _keywords(item))
        entries[attribute.keyword if attribute else name] = (key, node)
    return Block(entries=entries, place=rules.place)


def _with(block: Block, name: str, node: Node) -> Block:
    key = block.entries[name][0] if name in block.entries else Text(value=name, place=node.place)
    return Block(entries={**block.entries, name: (key, node)}, place=block.place)


def _merge(child: Block, parent: Block) -> Block:
    inherited = {name: entry for name, entry in parent.entries.items() if name != "template"}
    merged = Block(entries={**inherited, **child.entries}, place=child.place)
    for name in MERGED:
        mine, theirs = child.get(name), parent.get(name)
        if isinstance(mine, Block) and isinstance(theirs, Block):
            merged = _with(merged, name, Block(entries={**theirs.entries, **mine.entries}, place=mine.place))
    if "when" in child.entries and "when" in parent.entries:
        both = " and ".join(f"({one.value})" for b in (parent, child) if isinstance(one := b.get("when"), Text))
        merged = _with(merged, "when", Text(value=both, place=child.key("when")))
    if isinstance(action := child.get("action"), Block) and isinstance(before := parent.get("action"), Block):
        merged = _with(merged, "action", _joined(action, before, "map"))
    rules = parent.get("set")
    if isinstance(rules, Block):
        for dropped in _texts(child.get("drop")):
            rules = _without(rules, dropped.split("."))
        mine = child.get("set")
        merged = _with(merged, "set", _rules(mine, rules) if isinstance(mine, Block) else rules)
    members = parent.get("json")
    if isinstance(members, Block):
        for dropped in _texts(child.get("drop")):
            members = _without_member(members, dropped)
        mine = child.get("json")
        merged = _with(merged, "json", _rules(mine, members) if isinstance(mine, Block) else members)
    if isinstance(parent.get("segments"), Listing):
        merged = _with(merged, "segments", _segments(child, parent))
    return merged


def _segments(child: Block, parent: Block) -> Listing:
    kept, _ = segmented.without(_blocks(parent), _texts(child.get("drop")), _name_of, _without_field)
    joined = segmented.joined(_blocks(child), kept, _place_of, _merge_segment)
    return Listing(items=list(joined), place=(child.get("segments") or parent.entries["segments"][1]).place)


def _blocks(file: Block) -> list[Block]:
    segments = file.get("segments")
    items = segments.items if isinstance(segments, Listing) else [segments]
    return [item for item in items if isinstance(item, Block)]


def _name_of(segment: Block) -> str:
    return next(iter(_texts(segment.get("segment"))), "")


def _place_of(segment: Block) -> tuple[str, str]:
    return _name_of(segment), next(iter(_texts(segment.get("each"))), "")


def _merge_segment(child: Block, parent: Block) -> Block:
    merged = Block(entries={**parent.entries, **child.entries}, place=child.place)
    mine, inherited = child.get("set"), parent.get("set")
    if isinstance(mine, Block) and isinstance(inherited, Block):
        return _with(merged, "set", _rules(mine, inherited))
    return merged


def _without_field(segment: Block, dropped: str) -> Block:
    fields = segment.get("set")
    if not isinstance(fields, Block):
        return segment
    kept = {name: entry for name, entry in fields.entries.items() if not f"{name}.".startswith(f"{dropped}.")}
    if len(kept) == len(fields.entries):
        return segment
    return _with(segment, "set", Block(entries=kept, place=fields.place))


def _without_member(members: Block, name: str) -> Block:
    for key, (_, node) in members.entries.items():
        below = name.removeprefix(f"{key}.")
        if below != name and isinstance(node, Block) and isinstance(item := node.get("item"), Block):
            return _with(members, key, _with(node, "item", _without_member(item, below)))
    kept = {key: entry for key, entry in members.entries.items() if not f"{key}.".startswith(f"{name}.")}
    return Block(entries=kept, place=members.place)


def _joined(child: Block, parent: Block, inner: str) -> Block:
    is_own = bool(child.entries.keys() & VALUE_SETTINGS)
    kept = {name: entry for name, entry in parent.entries.items() if not (is_own and name in VALUE_SETTINGS)}
    joined = Block(entries={**kept, **child.entries}, place=child.place)
    mine, inherited = child.get(inner), parent.get(inner)
    if isinstance(mine, Block) and isinstance(inherited, Block):
        return _with(joined, inner, Block(entries={**inherited.entries, **mine.entries}, place=mine.place))
    return joined


def _texts(node: Node | None) -> list[str]:
    items = node.items if isinstance(node, Listing) else [node]
    return [item.value for item in items if isinstance(item, Text)]


def _without(rules: Block, path: Sequence[str]) -> Block:
    first, rest = path[0], path[1:]
    attribute = types.find_attribute(first)
    name = attribute.keyword if attribute else first
    if not rest:
        return Block(entries={key: kept for key, kept in rules.entries.items() if key != name}, place=rules.place)
    node = rules.get(name)
    if not isinstance(node, Block) or not isinstance(item := node.get("item"), Block):
        return rules
    return _with(rules, name, _with(node, "item", _without(item, rest)))


def _rules(child: Block, parent: Block) -> Block:
    entries = dict(parent.entries)
    for name, (key, node) in child.entries.items():
        entries[name] = (key, _rule(node, entries[name][1])) if name in entries else (key, node)
    return Block(entries=entries, place=child.place)


def _rule(child: Node, parent: Node) -> Node:
    """A sequence merges item by item; any other rule replaces, with ``$inherited`` written out."""
    if isinstance(child, Block) and isinstance(parent, Block) and not child.entries.keys() & VALUE_SETTINGS:
        mine, inherited = child.get("item"), parent.get("item")
        if isinstance(inherited, Block) and child.entries.keys() & {"item", "each"}:
            merged = Block(entries={**parent.entries, **child.entries}, place=child.place)
            return _with(merged, "item", _rules(mine, inherited) if isinstance(mine, Block) else inherited)
    return _written_out(child, parent)


def _written_out(node: Node, parent: Node) -> Node:
    match node:
        case Text() if INHERITED in node.value:
            before, after = (part.strip() for part in re.split(r"\$inherited\b", node.value, maxsplit=1))
            texts = [before.removesuffix(" or"), after.removeprefix("or ")]
            first, last = (Text(value=text, place=node.place) for text in texts)
            items = [item for item in (first, parent, last) if not isinstance(item, Text) or item.value]
            if len(items) == 1:
                return parent
            listing = Listing(items=items, place=node.place)
            return Block(entries={"first_of": (Text(value="first_of", place=node.place), listing)}, place=node.place)
        case Listing():
            return Listing(items=[_written_out(item, parent) for item in node.items], place=node.place)
        case Block():
            entries = {}
            for name, (key, value) in node.entries.items():
                found = _written_out(value, parent) if name in ("from", "first_of") else value
                if name == "from" and isinstance(found, Block):
                    found = Listing(items=[found], place=found.place)
                    name, key = "first_of", Text(value="first_of", place=key.place)
                entries[name] = (key, found)
            return Block(entries=entries, place=node.place)
    return node


def is_flow(node: Node, begin: Place) -> bool:
    """Say whether *node* was written in the line of *begin*: then it stays in one line."""
    if (node.place.path, node.place.line) != (begin.path, begin.line):
        return isinstance(node, Text)
    below = node.items if isinstance(node, Listing) else ()
    pairs = node.entries.values() if isinstance(node, Block) else ()
    return all(is_flow(item, begin) for item in below) and all(
        is_flow(key, begin) and _origin(key.place) == _origin(begin) and is_flow(value, begin) for key, value in pairs
    )


def flow(node: Node) -> str:
    """Write *node* in one line."""
    match node:
        case Text():
            return _scalar(node.value)
        case Listing():
            return f"[{', '.join(flow(item) for item in node.items)}]"
        case Block():
            return "{" + ", ".join(f"{_scalar(name)}: {flow(value)}" for name, (_, value) in node.entries.items()) + "}"


def _scalar(text: str) -> str:
    """Quote *text* unless it reads as itself in YAML wherever it stands."""
    is_plain = re.fullmatch(r"[A-Za-z$(][\w .$()/+^~=-]*", text) and not text.endswith(" ") and "= " not in text[:2]
    if is_plain and text.lower() not in ("true", "false", "yes", "no", "on", "off", "null", "y", "n"):
        return text
    return "'" + text.replace("'", "''") + "'" if "\n" not in text else _double_quoted(text)


def _double_quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
