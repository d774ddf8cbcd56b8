"""A mapping as a printable interface document: tables that a hospital can sign, in Markdown or HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from broker.hl7 import dictionary
from broker.mapping import types
from broker.mapping.catalogue import Entry
from broker.mapping.expr import parse_source
from broker.mapping.nodes import Path
from broker.mapping.problems import Place, Report
from broker.mapping.profiles import MODALITY_WORKLIST
from broker.mapping.resolved import resolved
from broker.mapping.syntax import Table
from broker.mapping.yamlfile import Block, Listing, Node, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, a sentence and a table; *rows* have a cell for each of *heads*."""

    title: str
    text: str = ""
    heads: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()


def document(entry: Entry, files: Mapping[str, bytes]) -> list[Section]:
    """Describe the mapping of *entry* with everything that it inherits; the first section is its head."""
    whole = resolved(entry, files)
    declared = entry.linked.file.declare
    return [
        _head(whole, entry),
        *_actions(whole.get("action")),
        *_names(whole.get("let"), declared),
        *_attributes(whole.get("set"), declared),
        *_members(whole.get("json")),
        *(_segment(node) for node in _items(whole.get("segments"))),
        *(_table(name, table) for name, table in sorted(entry.linked.tables.items())),
    ]


def _head(whole: Block, entry: Entry) -> Section:
    said = (("from", "Reads"), ("to", "Makes"), ("when", "Used when"), ("one_per", "One order per"),
            ("charset", "Character set"), ("timezone", "Times without offset are of"))  # fmt: skip
    rows = [(label, node.value) for name, label in said if isinstance(node := whole.get(name), Text)]
    lineage = " -> ".join(file.name for file in entry.linked.chain)
    rows += [("Built on", lineage), ("Version", entry.mapping.digest)]
    title = whole.get("title")
    text = title.value if isinstance(title, Text) else ""
    return Section(title=f"Mapping {entry.mapping.name}", text=text, heads=("", ""), rows=rows)


def _actions(node: Node | None) -> Iterator[Section]:
    if not isinstance(node, Block) or not isinstance(codes := node.get("map"), Block):
        return
    source = ", ".join(_plain(value) for name, (_, value) in node.entries.items() if name in ("from", "join"))
    rows = [(code, value.value) for code, (_, value) in codes.entries.items() if isinstance(value, Text)]
    text = f"What {source} asks for. Any other code is answered and has no effect."
    yield Section(title="Order control", text=text, heads=("Code", "Effect"), rows=rows)


def _names(node: Node | None, declared: Mapping[str, str]) -> Iterator[Section]:
    if isinstance(node, Block) and node.entries:
        rows = [(f"${name}", *_source(value, declared)) for name, (_, value) in node.entries.items()]
        yield Section(title="Names used below", heads=("Name", "Comes from", "HL7 fields"), rows=rows)


def _attributes(node: Node | None, declared: Mapping[str, str]) -> Iterator[Section]:
    if isinstance(node, Block):
        heads = ("Attribute", "Tag", "VR", "Type", "Comes from", "HL7 fields", "Treatment", "Note")
        rows = list(_rows(node, "", declared))
        yield Section(title="Attributes", text="The first source with a value is taken.", heads=heads, rows=rows)


def _rows(rules: Block, above: str, declared: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for name, (_, node) in rules.entries.items():
        attribute = types.find_attribute(name)
        tag, vr = (attribute.tag, attribute.vr) if attribute else ("", "")
        kind = MODALITY_WORKLIST.types.get(f"{above}{name}", "3")
        shown = f"{'> ' * above.count('.')}{name}"
        yield (shown, tag, vr, kind, *_source(node, declared), _treatment(node), _note(node))
        if isinstance(node, Block) and isinstance(item := node.get("item"), Block):
            yield from _rows(item, f"{above}{name}.", declared)


def _segment(node: Node) -> Section:
    assert isinstance(node, Block)
    name, rules = node.get("segment"), node.get("set")
    segment = name.value if isinstance(name, Text) else ""
    each, when = (_plain(found) if (found := node.get(key)) else "" for key in ("each", "when"))
    text = ", ".join(filter(None, (each and f"one for each of {each}", when and f"only when {when}")))
    entries = rules.entries if isinstance(rules, Block) else {}
    rows = [(f"{segment}-{number}", _described(value), _treatment(value)) for number, (_, value) in entries.items()]
    return Section(title=f"Segment {segment}", text=text, heads=("Field", "Comes from", "Treatment"), rows=rows)


def _members(node: Node | None) -> Iterator[Section]:
    if isinstance(node, Block):
        rows = list(_member_rows(node, ""))
        yield Section(title="JSON", heads=("Name", "Comes from", "Treatment"), rows=rows)


def _member_rows(members: Block, above: str) -> Iterator[tuple[str, ...]]:
    for name, (_, node) in members.entries.items():
        yield (f"{above}{name}", _described(node), _treatment(node))
        if isinstance(node, Block) and isinstance(item := node.get("item"), Block):
            yield from _member_rows(item, f"> {name}.")


def _table(name: str, table: Table) -> Section:
    columns = [column for column in table.columns if column] or [""]
    codes = table.columns[columns[0]] if table.columns else {}
    rows = [(code, *(table.columns[column].get(code, "") for column in columns)) for code in codes]
    return Section(title=f"Table {name}", heads=("Code", *(column or "Value" for column in columns)), rows=rows)


def _items(node: Node | None) -> Sequence[Node]:
    return node.items if isinstance(node, Listing) else ()


def _source(node: Node, declared: Mapping[str, str]) -> tuple[str, str]:
    """Give what a rule reads, and the names that HL7 has for the fields in it."""
    found = dict.fromkeys(named for text in _sources(node) for named in _field_names(text, declared))
    return _described(node), ", ".join(found)


def _sources(node: Node) -> Iterator[str]:
    match node:
        case Text():
            yield node.value
        case Listing():
            for item in node.items:
                yield from _sources(item)
        case Block():
            for name in ("from", "first_of", "join", "uid_from"):
                if found := node.get(name):
                    yield from _sources(found)


def _field_names(text: str, declared: Mapping[str, str]) -> Iterator[str]:
    for term in parse_source(Text(value=text, place=Place(path="")), Report()) or ():
        if isinstance(term, Path):
            places = dict.fromkeys([(0, 0), (term.component, 0), (term.component, term.subcomponent)])
            found = [
                types.find_typed(term.segment, term.field, *below, declared, dictionary.DEFAULT_VERSION)
                for below in places
            ]
            names = dict.fromkeys(typed.name.replace("_", " ").lower() for typed in found if typed)
            if not term.segment.startswith("Z"):
                yield ": ".join(names)


def _described(node: Node) -> str:
    if not isinstance(node, Block):
        return _plain(node)
    match node.entries:
        case {"value": (_, Text(value=value))}:
            return f'always "{value}"'
        case {"from": (_, found)}:
            return _plain(found)
        case {"first_of": (_, Listing(items=items))}:
            return "; else ".join(_alternative(item) for item in items)
        case {"join": (_, found)}:
            return f"{_plain(found)} joined"
        case {"uid_from": (_, found)}:
            return f"a UID made of {_plain(found)}"
        case {"each": (_, found)}:
            return f"an item for each {_plain(found)}"
    return "one item" if "item" in node.entries else ""


def _plain(node: Node) -> str:
    """Write *node* as people do, without YAML's quotes and brackets."""
    match node:
        case Text():
            return node.value if node.value.strip() else f'"{node.value}"'
        case Listing():
            return ", ".join(_plain(item) for item in node.items)
        case Block():
            return ", ".join(f"{name} {_plain(value)}" for name, (_, value) in node.entries.items())


def _alternative(node: Node) -> str:
    treatment = _treatment(node)
    return _described(node) + (f" ({treatment})" if treatment else "")


_TREATMENTS = {
    "when": "when {}", "with": "with {} between", "lookup": "by table {}", "map": "by {}", "clean": "cleaned: {}",
    "as": "as {}", "default": "else {}", "on_unknown": "unknown code: {}", "on_missing": "missing: {}",
    "on_invalid": "invalid: {}", "required": "required: {}", "warn": "with a warning: {}",
}  # fmt: skip


def _treatment(node: Node) -> str:
    if not isinstance(node, Block):
        return ""
    return "; ".join(
        words.format(_plain(found)) for name, words in _TREATMENTS.items() if (found := node.get(name)) is not None
    )


def _note(node: Node) -> str:
    note = node.get("note") if isinstance(node, Block) else None
    return note.value if isinstance(note, Text) else ""


def as_markdown(sections: Sequence[Section]) -> str:
    """Write *sections* in Markdown."""
    return "\n".join(line for number, section in enumerate(sections) for line in _markdown(section, number == 0))


def _markdown(section: Section, is_first: bool) -> Iterator[str]:
    yield f"{'#' if is_first else '##'} {_text(section.title)}\n"
    if section.text:
        yield f"{_text(section.text)}\n"
    if section.rows:
        yield _row(section.heads)
        yield _row(["---"] * len(section.heads))
        yield from (_row(row) for row in section.rows)
        yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    """Write *text* so that Markdown takes no mark in it for its own."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


_STYLE = (
    "body{font:10pt/1.35 system-ui,sans-serif;margin:2em;color:#111}h1{font-size:16pt}h2{font-size:12pt;margin-top:1.6em}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #bbb;padding:.25em .5em;text-align:left;"
    "vertical-align:top}th{background:#eee}tr{break-inside:avoid}thead{display:table-header-group}"
    "@page{size:A4 landscape;margin:12mm}"
)


def as_html(sections: Sequence[Section]) -> str:
    """Write *sections* as one HTML page that prints well and loads nothing."""
    body = "\n".join(line for number, section in enumerate(sections) for line in _html(section, number == 0))
    title = escape(sections[0].title)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>'


def _html(section: Section, is_first: bool) -> Iterator[str]:
    level = "h1" if is_first else "h2"
    yield f"<{level}>{escape(section.title)}</{level}>"
    if section.text:
        yield f"<p>{escape(section.text)}</p>"
    if section.rows:
        heads = "".join(f"<th>{escape(head)}</th>" for head in section.heads)
        yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
        for row in section.rows:
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        yield "</tbody></table>"
