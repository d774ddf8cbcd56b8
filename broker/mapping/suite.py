"""The tests that stand in mapping files: run them, say which expectation failed and where it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from broker.errors import BrokerError
from broker.hl7.charset import decode
from broker.hl7.message import Message
from broker.mapping.build import JSON
from broker.mapping.build import Mapping as Compiled
from broker.mapping.catalogue import Catalogue, Entry
from broker.mapping.edit import edited
from broker.mapping.engine import Output, Translation
from broker.mapping.problems import Place
from broker.mapping.syntax import TestCase
from broker.mapping.testcheck import is_sample
from broker.mapping.yamlfile import Listing, Node, Text

RECEIVED_AT = "20260402101500"
"""When a test's message came, unless it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One expectation that did not hold, and where it stands."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """How one in-file test ended."""

    __test__ = False

    mapping: str
    name: str
    place: Place
    failures: tuple[Failure, ...]

    @property
    def has_passed(self) -> bool:
        """Say whether everything was as expected."""
        return not self.failures


def run_tests(catalogue: Catalogue, name: str = "") -> list[TestResult]:
    """Run the tests of all usable mappings whose ``mapping: test`` contains *name*."""
    return [
        TestResult(
            mapping=entry.mapping.name,
            name=test.name,
            place=test.place,
            failures=tuple(_failures(entry, test, catalogue)),
        )
        for entry in catalogue.entries.values()
        for test in entry.file.tests
        if name in f"{entry.mapping.name}: {test.name}"
    ]


def _failures(entry: Entry, test: TestCase, catalogue: Catalogue) -> Iterator[Failure]:
    try:
        if test.facts is not None:
            yield from _rendered(entry.mapping, test)
        else:
            yield from _translated(entry, test, catalogue)
    except BrokerError as fault:
        yield Failure(place=test.place, text=str(fault))


def _translated(entry: Entry, test: TestCase, catalogue: Catalogue) -> Iterator[Failure]:
    mapping = entry.mapping
    message = _message(mapping, test, catalogue)
    zone = ZoneInfo(entry.linked.file.timezone or "UTC")
    at = datetime.strptime(test.received_at or RECEIVED_AT, "%Y%m%d%H%M%S").replace(tzinfo=zone)
    translation = mapping.translate(message, zone, at)
    if test.expect_reject is not None:
        yield from _refused(test.expect_reject, [str(rejection) for rejection in translation.rejections])
        return
    for rejection in translation.rejections:
        yield Failure(place=test.place, text=f"refused: {rejection} (rule at {rejection.rule})")
    if test.outputs is not None and len(translation.outputs) != int(test.outputs.value):
        yield Failure(place=test.outputs.place, text=f"the message makes {len(translation.outputs)} orders")
    if len(translation.outputs) >= test.output:
        yield from _as_expected(translation.outputs[test.output - 1], test)
    elif not translation.rejections:
        yield Failure(place=test.place, text=f"there is no output {test.output}")
    yield from _warned(test, translation)


def _message(mapping: Compiled, test: TestCase, catalogue: Catalogue) -> Message:
    assert test.message is not None
    text = test.message.value
    raw = catalogue.files[text] if is_sample(test.message) else text.strip().encode()
    fallback = [mapping.assumed_charset] if mapping.assumed_charset else ["UTF-8", "windows-1252"]
    decoded = decode(raw, fallback)
    changes = [(path.value, value) for path, value in test.change]
    return Message.parse(edited(decoded.text, changes), decoded.codec)


def _refused(wanted: Text, found: list[str]) -> Iterator[Failure]:
    if not found:
        yield Failure(place=wanted.place, text="nothing was refused")
    elif not any(wanted.value in text for text in found):
        yield Failure(place=wanted.place, text=f"refused, but: {'; '.join(found)}")


def _as_expected(output: Output, test: TestCase) -> Iterator[Failure]:
    if test.action is not None and output.action != test.action.value.replace("none", ""):
        yield Failure(place=test.action.place, text=f"the action is {output.action or 'none'} ({output.control})")
    for path, wanted in test.expect:
        found = _at(output.item, path.value)
        if found is ABSENT:
            yield Failure(place=path.place, text=f"{path.value} is not set")
        elif not _is_like(_shown(found), wanted):
            yield Failure(place=path.place, text=f"{path.value} is '{_shown(found)}', not '{wanted}'")
    for path in test.absent:
        found = _at(output.item, path.value)
        if found is not ABSENT:
            yield Failure(place=path.place, text=f"{path.value} is set, to '{_shown(found)}'")


def _warned(test: TestCase, translation: Translation) -> Iterator[Failure]:
    texts = [str(remark) for remark in translation.warnings]
    for wanted in test.warns:
        if not any(wanted.value in text for text in texts):
            yield Failure(place=wanted.place, text=f"the warnings are: {'; '.join(texts) or 'none'}")


ABSENT = object()


def _at(item: Mapping[str, Any], path: str) -> Any:
    """Give what is at ``Sequence[1].Attribute``; items count from 1."""
    found: Any = item
    for part in path.split("."):
        keyword, _, number = part.partition("[")
        if not isinstance(found, Mapping) or keyword not in found:
            return ABSENT
        found = found[keyword]
        if isinstance(found, list) and (number or (found and isinstance(found[0], dict))):
            place = int(number.rstrip("]") or 1)
            if place > len(found):
                return ABSENT
            found = found[place - 1]
    return found


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return "\\".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _is_like(found: str, wanted: str) -> bool:
    return found.startswith(wanted[:-1]) if wanted.endswith("*") else found == wanted


def _rendered(mapping: Compiled, test: TestCase) -> Iterator[Failure]:
    rendering = mapping.render(_facts(test.facts) if test.facts else {})
    if test.expect_reject is not None:
        yield from _refused(test.expect_reject, [str(rejection) for rejection in rendering.rejections])
        return
    if rendering.rejections:
        yield Failure(place=test.place, text=f"refused: {'; '.join(str(one) for one in rendering.rejections)}")
        return
    written = Message.parse(rendering.text) if mapping.target != JSON else json.loads(rendering.text)
    for path in test.absent:
        if (found := _written(written, path.value)) not in ("", ABSENT):
            yield Failure(place=path.place, text=f"{path.value} is set, to '{found}'")
    for path, wanted in test.expect:
        found = _written(written, path.value)
        if found is ABSENT:
            yield Failure(place=path.place, text=f"{path.value} is not set")
        elif not _is_like(found, wanted):
            yield Failure(place=path.place, text=f"{path.value} is '{found}', not '{wanted}'")


def _facts(node: Node) -> Any:
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Listing):
        return [_facts(item) for item in node.items]
    return {name: _facts(value) for name, (_, value) in node.entries.items()}


def _written(written: Any, path: str) -> Any:
    if not isinstance(written, Message):
        found = _at(written, path)
        return found if found is ABSENT else _shown(found)
    message = written
    if path == "segments":
        return " ".join(segment.name for segment in message.segments)
    return message.value(path)
