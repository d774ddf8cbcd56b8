"""A YAML (or JSON) file as a tree in which every scalar is text and every value knows where it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from broker.config.problems import Place, Problem

Location = tuple[str | int, ...]
"""The way to a value from the top: keys and list indices."""
Complaint = tuple[Location, str, str]
"""The way to a value, what is wrong with it, and what to do."""

_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)\}?")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_DEEPEST = 20
_MOST = 20_000
_LARGEST_SECRET = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value: text, a list or a mapping, with the place of its key (when it has one) and its own."""

    value: str | list[Node] | dict[str, Node]
    place: Place
    key_place: Place

    def plain(self) -> Any:
        """Strip the places: text, lists and dictionaries."""
        match self.value:
            case dict():
                return {key: node.plain() for key, node in self.value.items()}
            case list():
                return [node.plain() for node in self.value]
            case text:
                return text

    def nearest(self, location: Location) -> Node:
        """Find the node at *location*, or the last one on the way to it."""
        if not location:
            return self
        head, rest = location[0], location[1:]
        if isinstance(self.value, dict):
            child = self.value.get(str(head))
            return child.nearest(rest) if child else self.nearest(rest)
        if isinstance(self.value, list) and isinstance(head, int) and head < len(self.value):
            return self.value[head].nearest(rest)
        return self

    def has(self, location: Location) -> bool:
        """Say whether there is a node at *location*."""
        if not location:
            return True
        head, rest = location[0], location[1:]
        if isinstance(self.value, dict):
            return str(head) in self.value and self.value[str(head)].has(rest)
        if isinstance(self.value, list) and isinstance(head, int):
            return head < len(self.value) and self.value[head].has(rest)
        return False


def problem_at(root: Node, location: Location, message: str, hint: str) -> Problem:
    """Put a problem where the value at *location* is written; of one that is not, a default, say which it is."""
    node = root.nearest(location)
    if root.has(location):
        return Problem(place=node.place, message=message, hint=hint)
    place = Place() if node is root else node.key_place
    return Problem(place=place, message=f"{'.'.join(map(str, location))} (default): {message}", hint=hint)


class _TooMuch(Exception):
    """More than a configuration can have; *place* is where it became so."""

    def __init__(self, place: Place) -> None:
        self.place = place


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads one file; *problems* fills up with what is wrong."""

    folder: Path
    environment: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    _nodes: int = 0

    def read(self, text: str) -> Node | None:
        """Read *text* (YAML, of which JSON is a part) into a tree; note what is wrong, give nothing for no YAML."""
        top = Place()
        try:
            root = yaml.compose(text.replace("\t", " ") if text.lstrip()[:1] == "{" else text, yaml.SafeLoader)
            node = self._node(root, top, 0) if root else None
        except yaml.MarkedYAMLError as error:
            self._note(_mark_place(error), f"YAML syntax: {_said(error)}", _advice(error))
            return None
        except _TooMuch as error:
            self._note(error.place, "nested too deeply, or too many values")
            return None
        except RecursionError:
            self._note(top, "nested too deeply")
            return None
        except yaml.YAMLError as error:
            self._note(top, f"YAML syntax: {error}".splitlines()[0])
            return None
        if node is not None and not isinstance(node.value, dict):
            self._note(node.place, "a mapping of settings is needed", "write key: value")
            return None
        return node or Node(value={}, place=top, key_place=top)

    def scalar(self, text: str, place: Place) -> str:
        """Replace a ``file:`` reference by what the file holds; note a file that cannot be read."""
        if not text.startswith("file:"):
            return text
        path = self.folder / text.removeprefix("file:")
        try:
            with path.open("rb") as stream:
                content = stream.read(_LARGEST_SECRET + 1)
            if len(content) <= _LARGEST_SECRET:
                return content.decode("utf-8").rstrip("\r\n")
            self._note(place, f"the secret in {path} is larger than {_LARGEST_SECRET // 1024} KB")
            return ""
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self._note(place, f"the secret cannot be read from {path}: {reason}")
            return ""

    def _node(self, source: yaml.Node, key_place: Place, depth: int) -> Node | None:
        place = _place(source)
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _MOST:
            raise _TooMuch(place)
        match source:
            case yaml.MappingNode():
                return Node(value=self._mapping(source, depth), place=place, key_place=key_place)
            case yaml.SequenceNode():
                items = [self._node(item, _place(item), depth + 1) for item in source.value]
                return Node(value=[item for item in items if item], place=place, key_place=key_place)
            case yaml.ScalarNode(tag="tag:yaml.org,2002:null"):
                return None
        text = self.scalar(self._substituted(source.value, place), place)
        return Node(value=text, place=place, key_place=key_place)

    def _mapping(self, source: yaml.MappingNode, depth: int) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
        first: dict[str, int] = {}
        for key, value in source.value:
            place = _place(key)
            if not isinstance(key, yaml.ScalarNode):
                self._note(place, "a key must be text")
            elif key.value in first:
                self._note(place, f"'{key.value}' is already set on line {first[key.value]}", "one value per key")
            else:
                first[key.value] = place.line
                node = self._node(value, place, depth + 1)
                if node is not None:
                    nodes[key.value] = node
        return nodes

    def _substituted(self, text: str, place: Place) -> str:
        def replace(found: re.Match[str]) -> str:
            if found[1]:
                return found[0][1:]
            name = _NAME.fullmatch(found[2])
            if name is None or not found[0].endswith("}"):
                self._note(place, "not a variable", "write ${NAME} or ${NAME:-default}; $${ is a plain ${")
                return ""
            value = self.environment.get(name[1]) or name[2]
            if value is None:
                self._note(place, f"the environment has no {name[1]}", f"set it, or write ${{{name[1]}:-default}}")
            return value or ""

        return _VARIABLE.sub(replace, text)

    def _note(self, place: Place, message: str, hint: str = "") -> None:
        self.problems.append(Problem(place=place, message=message, hint=hint))


def _place(source: yaml.Node) -> Place:
    start, end = source.start_mark, source.end_mark
    length = end.column - start.column if end.line == start.line else 1000
    return Place(line=start.line + 1, column=start.column + 1, length=max(1, length))


def _mark_place(error: yaml.MarkedYAMLError) -> Place:
    mark = error.problem_mark or error.context_mark
    return Place(line=mark.line + 1, column=mark.column + 1) if mark else Place()


def _said(error: yaml.MarkedYAMLError) -> str:
    return str(error.problem or error.context).removeprefix("but ")


def _advice(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "expected ',' or" in problem:
        return "inside {...} and [...] a text with { } [ ] , or : needs quotes"
    if "'\\t'" in problem:
        return "indent with spaces, not with tabs"
    if "mapping values are not allowed" in problem:
        return "a text with ': ' in it needs quotes"
    return ""
