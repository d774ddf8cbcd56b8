"""Looks at in-file tests before they run: is there one, is its sample there, can what it expects be set at all."""

from __future__ import annotations

import re
from collections.abc import Mapping

from broker.mapping import types
from broker.mapping.link import Files
from broker.mapping.problems import Report, suggestion
from broker.mapping.syntax import MappingFile, Rule
from broker.mapping.yamlfile import Text

CODE_PARTS = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning", "LongCodeValue")


def check_tests(file: MappingFile, merged: MappingFile, files: Files, report: Report) -> None:
    """Report M060, M062 and missing samples."""
    if not file.tests:
        report.warning("M062", file.place, f"'{file.name}' has no test", "add tests: with one sample message")
    for test in file.tests:
        if test.message is not None and is_sample(test.message) and test.message.value not in files:
            samples = [name for name in files if name.startswith("samples/")]
            hint = suggestion(test.message.value, samples)
            report.error("M030", test.message.place, f"no file '{test.message.value}' in the mappings folder", hint)
        if test.message is None and test.facts is None:
            report.error("M014", test.place, "the test has neither message nor facts", "write message: samples/x.hl7")
        if test.facts is None and test.expect_reject is None:
            for attribute, _ in test.expect:
                _check_attribute(attribute, merged.attributes, report)


def is_sample(message: Text) -> bool:
    """Say whether a test's message is the name of a file, not the message itself."""
    return not message.value.lstrip().startswith("MSH")


def _check_attribute(attribute: Text, rules: Mapping[str, Rule], report: Report) -> None:
    known: Mapping[str, Rule] | None = rules
    for part in re.sub(r"\[[0-9]+\]", "", attribute.value).split("."):
        if known is None:
            if part not in CODE_PARTS:
                report.warning("M060", attribute.place, f"a code item has no '{part}'", suggestion(part, CODE_PARTS))
            return
        rule = known.get(part) or _private(part, known)
        if rule is None:
            report.warning("M060", attribute.place, f"the mapping never sets '{part}'", suggestion(part, known))
            return
        known = rule.item


def _private(key: str, rules: Mapping[str, Rule]) -> Rule | None:
    """Find the rule of a private attribute by its tag."""
    private = ((types.find_attribute(name), rule) for name, rule in rules.items() if name.startswith("["))
    return next((rule for known, rule in private if known and key in (known.key, known.creator_key)), None)
