"""From the YAML of one file to a MappingFile: its head, tables, segments and tests."""

from __future__ import annotations

import re
from typing import Any

from broker.mapping.nodes import Source
from broker.mapping.parse import RuleParser
from broker.mapping.problems import Report
from broker.mapping.spec import FILE, SEGMENT, TEST
from broker.mapping.syntax import MappingFile, Rule, SegmentRule, Table, TestCase
from broker.mapping.yamlfile import Block, Node, Text, read

_FIELD_OF = {"mapping": "name", "from": "source", "to": "target", "set": "attributes"}


def parse_file(path: str, data: bytes, report: Report) -> MappingFile | None:
    """Read one mapping file; None when it is no YAML or has no name."""
    block = read(path, data, report)
    if block is None:
        return None
    found = FileParser(report).settings(block, FILE)
    name = found.pop("mapping", None)
    if name is None or not name.value:
        report.error("M012", block.place, "the file has no name", "begin with mapping: folder/name")
        return None
    fields = {_FIELD_OF.get(key, key): _plain(key, value) for key, value in found.items() if key != "language"}
    places = {key: text.place for key, (text, _) in block.entries.items()}
    return MappingFile(path=path, name=name.value, place=name.place, places=places, **fields)


def _plain(key: str, value: Any) -> Any:
    if key == "when":
        return (value,)
    if isinstance(value, Text) and key not in ("extends",):
        return value.value
    return value


def _is_within(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


class FileParser(RuleParser):
    """Reads the settings of a file."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.readers |= {
            "names": lambda node, _: self._texts(node),
            "texts": lambda node, _: self._texts(node),
            "types": lambda node, _: self._types(node),
            "tables": lambda node, _: self._tables(node),
            "lets": lambda node, _: self._lets(node),
            "action": lambda node, _: self.rule(Text(value="action", place=node.place), node),
            "segments": lambda node, _: tuple(s for n in self.listed(node) if (s := self._segment(n))),
            "fields": lambda node, _: self._fields(node),
            "members": lambda node, _: self._json(node),
            "tests": lambda node, _: tuple(t for n in self.listed(node) if (t := self._test(n))),
            "facts": lambda node, _: self._facts(node),
            "edits": lambda node, _: self._pairs(node),
            "expectations": lambda node, _: self._pairs(node),
        }

    def _texts(self, node: Node) -> tuple[Text, ...]:
        return tuple(text for item in self.listed(node) if (text := self.text(item)))

    def _pairs(self, node: Node) -> tuple[tuple[Text, str], ...]:
        found = [(key, self.text(value)) for key, value in self.entries(node).values()]
        return tuple((key, text.value) for key, text in found if text)

    def _types(self, node: Node) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, text in self._pairs(node):
            if re.fullmatch(r"Z[A-Z0-9]{2}-[1-9][0-9]{0,2}", key.value):
                found[key.value] = text
            else:
                self.report.error("M014", key.place, f"'{key.value}' is not a Z field", "as in {ZOR-4: TS}")
        return found

    def _tables(self, node: Node) -> dict[str, Table | Text]:
        tables: dict[str, Table | Text] = {}
        for name, (key, value) in self.entries(node).items():
            if isinstance(value, Text):
                tables[name] = value
            else:
                tables[name] = Table(place=key.place, columns={"": self.texts_by_name(value)})
        return tables

    def _lets(self, node: Node) -> dict[str, Source]:
        found: dict[str, Source] = {}
        for name, (key, value) in self.entries(node).items():
            source = self.source(value)
            if name in ("n", "count", "inherited") or not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                self.report.error("M014", key.place, f"'{name}' cannot be the name of a let", "small letters, not n")
            elif source:
                found[name] = source
        return found

    def _segment(self, node: Node) -> SegmentRule | None:
        if not isinstance(node, Block):
            self.report.error("M014", node.place, "a segment is a block", "write - segment: OBX")
            return None
        found = self.settings(node, SEGMENT)
        name = found.get("segment")
        if name is None or not re.fullmatch(r"[A-Z][A-Z0-9]{2}", name.value):
            self.report.error("M014", node.place, "the segment has no name", "write segment: OBX")
            return None
        return SegmentRule(
            name=name.value,
            place=name.place,
            each=found.get("each"),
            when=found.get("when"),
            fields=found.get("set", {}),
        )

    def _fields(self, node: Node) -> dict[tuple[int, int, int], Rule]:
        fields: dict[tuple[int, int, int], Rule] = {}
        for name, (key, value) in self.entries(node).items():
            if not re.fullmatch(r"[1-9][0-9]{0,2}(\.[1-9][0-9]?){0,2}", name):
                self.report.error("M014", key.place, f"'{name}' is not a field", "write 5 or 9.1")
                continue
            numbers = [int(number) for number in name.split(".")] + [0, 0]
            fields[numbers[0], numbers[1], numbers[2]] = self.rule(key, value)
        return fields

    def _json(self, node: Node) -> dict[str, Rule]:
        """Read members; the items of a list have members again, where other mappings have attributes."""
        of_items = self.readers["attributes"]
        self.readers["attributes"] = lambda item, _: self._members(item)
        members = self._members(node)
        self.readers["attributes"] = of_items
        return members

    def _members(self, node: Node) -> dict[str, Rule]:
        members: dict[str, Rule] = {}
        for name, (key, value) in self.entries(node).items():
            if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
                self.report.error("M014", key.place, f"'{name}' is no name for JSON", "as in status or patient.id")
            elif clash := next((other for other in members if _is_within(name, other) or _is_within(other, name)), ""):
                self.report.error(
                    "M014", key.place, f"'{name}' and '{clash}' exclude each other", "one is in the other"
                )
            else:
                members[name] = self.rule(key, value)
        return members

    def _facts(self, node: Node) -> Block:
        return node if isinstance(node, Block) else Block(place=node.place)

    def _test(self, node: Node) -> TestCase | None:
        if not isinstance(node, Block):
            self.report.error("M014", node.place, "a test is a block", "write - name: ...")
            return None
        found = self.settings(node, TEST)
        name, output = found.pop("name", None), found.pop("output", None)
        received_at = found.pop("received_at", None)
        for numbered in (output, found.get("outputs")):
            if numbered is not None and not numbered.value.isdecimal():
                self.report.error("M014", numbered.place, f"'{numbered.value}' is not a number")
                return None
        return TestCase(
            name=name.value if name else "test",
            place=name.place if name else node.place,
            output=int(output.value) if output else 1,
            received_at=received_at.value if received_at else "",
            **found,
        )
