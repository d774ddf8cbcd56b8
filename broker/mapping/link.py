"""Joins a file with its parents and its tables: one merged file, every rule still knowing where it was written."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from broker.mapping import segments as segmented
from broker.mapping.problems import Place, Problem, Report, suggestion
from broker.mapping.syntax import MappingFile, Rule, SegmentRule, Table
from broker.mapping.yamlfile import SIZE_LIMIT, Text

Files = Mapping[str, bytes]
"""All files of a mappings folder: name below the folder, with ``/``, and content."""

VALUE_SETTINGS = frozenset({"from", "value", "first_of", "join", "uid_from"})

PARENTS_LIMIT = 32

Key = TypeVar("Key")
Made = TypeVar("Made")
Done = tuple[Made, Sequence[Problem]]
"""What was made, and the problems of making it."""

_FIELD_OF = {"from": "source", "with": "with_text", "as": "conversion"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A file with everything that it inherits. *chain*: itself, its parent, and so on; *tables* are read."""

    file: MappingFile
    chain: tuple[MappingFile, ...]
    tables: Mapping[str, Table]


class Linker:
    """Joins the files of a folder, *known* by name, with their parents; each parent and each table is read once."""

    def __init__(self, known: Mapping[str, MappingFile], files: Files) -> None:
        self._known, self._files = known, files
        self._merged: dict[str, Done[MappingFile]] = {}
        self._tables: dict[Text, Done[Table]] = {}

    def link(self, file: MappingFile, report: Report) -> Linked | None:
        """Merge *file* with its parents; None when a parent is missing (M021) or the chain is a circle (M022)."""
        chain = _chain(file, self._known, report)
        if chain is None:
            return None
        merged: MappingFile | None = None
        for one in reversed(chain):
            merged = self._merge(one, merged, report)
        assert merged is not None
        tables = {
            name: self._read(table, report) if isinstance(table, Text) else table
            for name, table in merged.tables.items()
        }
        return Linked(file=merged, chain=chain, tables=tables)

    def _merge(self, file: MappingFile, parent: MappingFile | None, report: Report) -> MappingFile:
        return _once(self._merged, file.name, lambda own: _merge(file, parent, own) if parent else file, report)

    def _read(self, path: Text, report: Report) -> Table:
        return _once(self._tables, path, lambda own: _read_table(path, self._files, own), report)


def _once(done: dict[Key, Done[Made]], key: Key, make: Callable[[Report], Made], report: Report) -> Made:
    """Give what *make* gives for *key*, made when it is first asked for; its problems are told each time."""
    if key in done:
        report.add(done[key][1])
    else:
        own = Report(report)
        try:
            done[key] = make(own), own.problems
        finally:
            report.add(own.problems)
    return done[key][0]


def _chain(file: MappingFile, known: Mapping[str, MappingFile], report: Report) -> tuple[MappingFile, ...] | None:
    chain = [file]
    while chain[-1].extends is not None:
        wanted = chain[-1].extends
        parent = known.get(wanted.value)
        if parent is None:
            report.error("M021", wanted.place, f"no mapping '{wanted.value}'", suggestion(wanted.value, known))
            return None
        if parent in chain:
            names = " -> ".join(link.name for link in [*chain, parent])
            report.error("M022", wanted.place, f"the mapping extends itself: {names}")
            return None
        if len(chain) > PARENTS_LIMIT:
            report.error("M022", file.place, f"more than {PARENTS_LIMIT} mappings stand one on another")
            return None
        chain.append(parent)
    return tuple(chain)


def _merge(child: MappingFile, parent: MappingFile, report: Report) -> MappingFile:
    attributes, members = dict(parent.attributes), dict(parent.json)
    segments, gone = segmented.without(parent.segments, [one.value for one in child.drop], _name_of, _without_field)
    for dropped in child.drop:
        if parent.json:
            members = _without_member(members, dropped, report)
        elif not parent.segments:
            attributes = _without(attributes, dropped, dropped.value.split("."), report)
        elif dropped.value not in gone:
            _nothing_to_drop(dropped, [one.name for one in parent.segments], report)
    plain = {
        name: getattr(child, name) or getattr(parent, name)
        for name in ("title", "source", "target", "timezone", "charset", "one_per", "partial", "update")
    }
    return replace(
        child,
        **plain,
        places={**parent.places, **child.places},
        when=(*child.when, *parent.when),
        action=_merge_action(child.action, parent.action),
        tables={**parent.tables, **child.tables},
        let={**parent.let, **child.let},
        declare={**parent.declare, **child.declare},
        json=_merge_attributes(child.json, members),
        segments=tuple(segmented.joined(child.segments, segments, _place_of, _merge_segment)),
        attributes=_merge_attributes(child.attributes, attributes),
    )


def _without(rules: dict[str, Rule], dropped: Text, path: list[str], report: Report) -> dict[str, Rule]:
    first, rest = path[0], path[1:]
    rule = rules.get(first)
    if rule is None or (rest and not rule.item):
        _nothing_to_drop(dropped, rules, report)
        return rules
    if not rest:
        return {name: kept for name, kept in rules.items() if name != first}
    item = _without(dict(rule.item or {}), dropped, rest, report)
    return {**rules, first: rule._replace(item=item)}


def _nothing_to_drop(dropped: Text, known: Iterable[str], report: Report) -> None:
    hint = suggestion(dropped.value.partition(".")[0], known)
    report.error("M020", dropped.place, f"the parent does not set '{dropped.value}', nothing to drop", hint)


def _without_member(members: dict[str, Rule], dropped: Text, report: Report) -> dict[str, Rule]:
    """Drop a member, or an object with all its members, or a member of a list's items."""
    name = dropped.value
    kept = {key: rule for key, rule in members.items() if key != name and not key.startswith(f"{name}.")}
    for key, rule in members.items():
        below = name.removeprefix(f"{key}.")
        if below != name and below in (rule.item or {}):
            item = {inner: one for inner, one in (rule.item or {}).items() if inner != below}
            return {**members, key: rule._replace(item=item)}
    if len(kept) == len(members):
        _nothing_to_drop(dropped, members, report)
    return kept


def _name_of(segment: SegmentRule) -> str:
    return segment.name


def _place_of(segment: SegmentRule) -> tuple[str, str]:
    """Say which of the parent's segments is meant: by its name and what it is written for each of."""
    fact = segment.each.fact if segment.each else None
    return segment.name, fact.text if fact else ""


def _without_field(segment: SegmentRule, dropped: str) -> SegmentRule:
    numbers = tuple(int(number) for number in dropped.split("."))
    fields = {place: rule for place, rule in segment.fields.items() if place[: len(numbers)] != numbers}
    return replace(segment, fields=fields) if len(fields) < len(segment.fields) else segment


def _merge_segment(child: SegmentRule, parent: SegmentRule) -> SegmentRule:
    fields = _merge_attributes(child.fields, parent.fields)
    return replace(child, when=child.when or parent.when, fields=fields)


def _merge_action(child: Rule | None, parent: Rule | None) -> Rule | None:
    if child is None or parent is None:
        return child or parent
    if child.given & VALUE_SETTINGS:
        given = parent.given - VALUE_SETTINGS
        parent = parent._replace(source=(), value=None, first_of=(), join=(), uid_from=(), given=given)
    changed: dict[str, Any] = {name: getattr(child, name) for name in (_FIELD_OF.get(g, g) for g in child.given)}
    changed["map"] = {**(parent.map or {}), **(child.map or {})}
    return parent._replace(**changed, key=child.key, place=child.place, given=parent.given | child.given)


def _merge_attributes(child: Mapping[Key, Rule], parent: Mapping[Key, Rule]) -> dict[Key, Rule]:
    merged = dict(parent)
    for name, rule in child.items():
        merged[name] = _merge_rule(rule, parent[name]) if name in parent else rule
    return merged


def _merge_rule(child: Rule, parent: Rule) -> Rule:
    """A sequence merges item by item and keeps the parent's other settings; any other rule replaces, knowing its parent."""
    is_item = child.item is not None or child.each is not None
    if not is_item or parent.item is None or child.given & VALUE_SETTINGS:
        return child._replace(inherited=parent)
    changed: dict[str, Any] = {name: getattr(child, name) for name in (_FIELD_OF.get(g, g) for g in child.given)}
    changed["item"] = _merge_attributes(child.item or {}, parent.item)
    return parent._replace(**changed, key=child.key, place=child.place, given=parent.given | child.given)


def _read_table(path: Text, files: Files, report: Report) -> Table:
    empty = Table(place=path.place, columns={})
    data = files.get(path.value)
    if data is None:
        names = [name for name in files if name.endswith(".csv")]
        report.error(
            "M030", path.place, f"no file '{path.value}' in the mappings folder", suggestion(path.value, names)
        )
        return empty
    if len(data) > SIZE_LIMIT:
        report.error("M030", path.place, f"'{path.value}' has {len(data)} bytes, {SIZE_LIMIT} are allowed")
        return empty
    try:
        rows = list(csv.reader(data.decode("utf-8-sig").splitlines(), strict=True))
    except (UnicodeDecodeError, csv.Error) as fault:
        report.error("M030", path.place, f"'{path.value}' cannot be read: {fault}", "save it as CSV in UTF-8")
        return empty
    rows = [[cell.strip() for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows or len(rows[0]) < 2:
        report.error("M030", path.place, f"'{path.value}' needs a header row with two columns or more")
        return empty
    return _table(path, rows, report)


def _table(path: Text, rows: list[list[str]], report: Report) -> Table:
    header, *lines = rows
    place = Place(path=path.value)
    columns: dict[str, dict[str, str]] = {name: {} for name in header[1:]}
    for number, row in enumerate(lines, 2):
        if row[0] in columns[header[1]]:
            message = f"'{row[0]}' stands twice in {path.value} (row {number})"
            report.error("M030", path.place, message, "keep one of them")
        for name, cell in zip(header[1:], row[1:], strict=False):
            columns[name][row[0]] = cell
    if len(header) == 2:
        columns[""] = columns[header[1]]
    return Table(place=place, columns=columns)
