"""From YAML nodes to rules, driven by the declarations of spec.py; every mistake goes to the report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from broker.mapping import types
from broker.mapping.expr import parse_condition, parse_source
from broker.mapping.nodes import Condition, Fact, Path, Source
from broker.mapping.problems import Report, suggestion
from broker.mapping.spec import CLEAN, CONVERSIONS, RULE, Setting, Settings
from broker.mapping.syntax import Clean, Conversion, Each, Rule
from broker.mapping.yamlfile import Block, Listing, Node, Text

SUGGESTIONS_LIMIT = 50
"""Mistakes after which no DICOM keyword is suggested any more: a look through all of them takes a while."""

NUMBERED_STEPS = ("pad_left", "first", "last")

_FIELD_OF = {"from": "source", "with": "with_text", "as": "conversion"}


class RuleParser:
    """Reads rule blocks and the values of settings."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.readers: dict[str, Callable[[Node, Setting], Any]] = {
            "text": lambda node, _: self.text(node),
            "name": lambda node, _: self.word(node),
            "flag": lambda node, _: self._flag(node),
            "choice": self._choice,
            "source": lambda node, _: self.source(node),
            "sources": lambda node, _: self._sources(node),
            "rules": lambda node, _: tuple(self.rule(Text(value="", place=n.place), n) for n in self.listed(node)),
            "condition": lambda node, _: self.condition(node),
            "table": lambda node, _: self.texts_by_name(node),
            "clean": lambda node, _: tuple(s for n in self.listed(node) if (s := self._step(n))),
            "conversion": lambda node, _: self._conversion(node),
            "each": lambda node, _: self._each(node),
            "attributes": lambda node, _: self.attributes(node),
        }

    def settings(self, block: Block, known: Settings) -> dict[str, Any]:
        """Read the settings of a block; one that cannot be read is left out."""
        found: dict[str, Any] = {}
        for name, (key, node) in block.entries.items():
            setting = known.get(name)
            if setting is None:
                self.report.error("M012", key.place, f"unknown setting '{name}'", suggestion(name, known))
                continue
            value = self.readers[setting.kind](node, setting)
            if value is not None:
                found[name] = value
        return found

    def rule(self, key: Text, node: Node) -> Rule:
        """Read a rule: a source, or a block of settings."""
        if isinstance(node, Text):
            return Rule(key=key.place, place=node.place, given=frozenset({"from"}), source=self.source(node) or ())
        if isinstance(node, Listing):
            self.report.error(
                "M012", node.place, "a list says nothing by itself", "write first_of: [...] or join: [...]"
            )
            return Rule(key=key.place, place=node.place)
        found = self.settings(node, RULE)
        given = frozenset(RULE.keys() & node.entries.keys())
        fields = {_FIELD_OF.get(name, name): value for name, value in found.items()}
        return Rule(key=key.place, place=node.place, given=given, **fields)

    def attributes(self, node: Node) -> dict[str, Rule]:
        """Read attribute -> rule; an attribute may be named by its keyword or its tag, once."""
        rules: dict[str, Rule] = {}
        for name, (key, value) in self.entries(node).items():
            attribute = types.find_attribute(name)
            rule = self.rule(key, value)
            if attribute is None and types.is_private_tag(name):
                hint = f"write [ITS CREATOR]{name}"
                self.report.error("M010", key.place, f"'{name}' is private: whose is it?", hint)
            elif attribute is None:
                is_few = len(self.report.problems) < SUGGESTIONS_LIMIT
                hint = suggestion(name, types.keywords()) if is_few else ""
                self.report.error("M010", key.place, f"'{name}' is not a DICOM attribute", hint)
            elif attribute.vr not in types.USABLE_VRS:
                self.report.error(
                    "M010", key.place, f"{attribute.keyword} holds {attribute.vr}, which no rule can make"
                )
            elif attribute.keyword in rules:
                line = rules[attribute.keyword].key.line
                message = f"'{attribute.keyword}' is already set on line {line}"
                self.report.error("M003", key.place, message, "one rule per target")
            elif other := _of_another_creator(attribute, rules):
                message = f"'{other}' has the block {attribute.key[6:8]} of the group"
                self.report.error("M003", key.place, message, "take another block: 11 instead of xx")
            else:
                rules[attribute.keyword] = rule
        return rules

    def text(self, node: Node) -> Text | None:
        """Read a text."""
        if isinstance(node, Text):
            return node
        self.report.error("M014", node.place, "a text is expected here", "quote it when it contains [ ] { } , or :")
        return None

    def word(self, node: Node) -> Text | None:
        """Read a name: a text that is not empty."""
        found = self.text(node)
        if found is not None and not found.value:
            self.report.error("M014", found.place, "a name is expected here")
            return None
        return found

    def source(self, node: Node) -> Source | None:
        """Read a source."""
        found = self.text(node)
        return parse_source(found, self.report) if found else None

    def condition(self, node: Node) -> Condition | None:
        """Read a condition."""
        found = self.text(node)
        return parse_condition(found, self.report) if found else None

    def listed(self, node: Node) -> list[Node]:
        """Give the items of a list; anything else counts as a list of one."""
        return node.items if isinstance(node, Listing) else [node]

    def entries(self, node: Node) -> Mapping[str, tuple[Text, Node]]:
        """Give the entries of a block; an empty value has none."""
        if isinstance(node, Block):
            return node.entries
        if not (isinstance(node, Text) and not node.value):
            self.report.error("M014", node.place, "names with values are expected here", "write name: value")
        return {}

    def texts_by_name(self, node: Node) -> dict[str, str]:
        """Read name -> text."""
        found: dict[str, str] = {}
        for name, (_, value) in self.entries(node).items():
            read = self.text(value)
            if read is not None:
                found[name] = read.value
        return found

    def _sources(self, node: Node) -> tuple[Source, ...]:
        return tuple(source for item in self.listed(node) if (source := self.source(item)))

    def _flag(self, node: Node) -> bool | None:
        found = self.text(node)
        if found is None:
            return None
        if found.value not in ("true", "false"):
            self.report.error("M014", found.place, f"'{found.value}' is not one of false, true")
            return None
        return found.value == "true"

    def _choice(self, node: Node, setting: Setting) -> str | None:
        found = self.text(node)
        if found is None:
            return None
        if found.value not in setting.choices:
            choices = ", ".join(sorted(setting.choices))
            message = f"'{found.value}' is not one of {choices}"
            self.report.error("M014", found.place, message, suggestion(found.value, setting.choices))
            return None
        return found.value

    def _named_with_value(self, node: Node) -> tuple[Text, Text | None] | None:
        if isinstance(node, Text):
            return node, None
        if isinstance(node, Block) and len(node.entries) == 1:
            key, value = next(iter(node.entries.values()))
            read = self.text(value)
            return (key, read) if read else None
        self.report.error("M014", node.place, "a name, or one name: value, is expected here")
        return None

    def _step(self, node: Node) -> Clean | None:
        found = self._named_with_value(node)
        if found is None:
            return None
        key, value = found
        if key.value not in CLEAN:
            self.report.error("M013", key.place, f"unknown cleaning step '{key.value}'", suggestion(key.value, CLEAN))
            return None
        if CLEAN[key.value] != (value is not None):
            wanted = "needs a value" if CLEAN[key.value] else "takes no value"
            self.report.error("M013", key.place, f"'{key.value}' {wanted}", "as in {first: 16} or trim")
            return None
        text = value.value if value else ""
        if value and key.value in NUMBERED_STEPS and not re.fullmatch(r"[1-9][0-9]{0,3}", text):
            self.report.error("M013", value.place, f"'{text}' is not a number of characters")
            return None
        return Clean(name=key.value, value=text, place=key.place)

    def _conversion(self, node: Node) -> Conversion | None:
        found = self._named_with_value(node)
        if found is None:
            return None
        key, value = found
        if key.value not in CONVERSIONS:
            hint = suggestion(key.value, CONVERSIONS) or f"use one of {', '.join(CONVERSIONS)}"
            self.report.error("M013", key.place, f"unknown conversion '{key.value}'", hint)
            return None
        if value is not None and not CONVERSIONS[key.value]:
            self.report.error("M013", value.place, f"'{key.value}' has no format")
            return None
        return Conversion(name=key.value, format=value.value if value else "", place=(value or key).place)

    def _each(self, node: Node) -> Each | None:
        found = self.word(node)
        if found is None:
            return None
        if re.fullmatch(r"[A-Z][A-Z0-9]{2}", found.value):
            return Each(segment=found.value, place=found.place)
        source = parse_source(found, self.report)
        if source and len(source) == 1 and isinstance(source[0], Path | Fact):
            term = source[0]
            if isinstance(term, Fact):
                return Each(fact=term, place=found.place)
            if not term.component and term.pick is None and not term.every:
                return Each(path=term, place=found.place)
        if source:
            self.report.error("M014", found.place, "each is a segment, a field or a list: IPC, PID-3, study.series")
        return None


def _of_another_creator(attribute: types.Attribute, rules: Mapping[str, Rule]) -> str:
    """Name a private attribute among *rules* whose creator has the block that *attribute* wants."""
    if not attribute.creator:
        return ""
    others = (types.find_attribute(name) for name in rules if name.startswith("["))
    same = (o for o in others if o and o.creator_key == attribute.creator_key and o.creator != attribute.creator)
    return next((other.keyword for other in same), "")
