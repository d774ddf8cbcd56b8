"""YAML as the language reads it: text only, with places."""

from __future__ import annotations

import pytest

from broker.mapping.problems import Report
from broker.mapping.yamlfile import DEPTH_LIMIT, SIZE_LIMIT, Block, Text, read


def parsed(text: str) -> Block:
    report = Report()
    block = read("x.yaml", text.encode(), report)
    assert block is not None, report.problems
    return block


@pytest.mark.parametrize(
    "scalar", ["NO", "00100010", "12:30", "0x1F", "1_000", "null", "~", "2026-04-01", "1e3", "yes"]
)
def test_every_scalar_is_the_text_that_was_written(scalar: str) -> None:
    value = parsed(f"a: {scalar}").get("a")
    assert isinstance(value, Text)
    assert value.value == scalar


def test_an_empty_value_is_an_empty_text() -> None:
    value = parsed("a:\nb: x").get("a")
    assert isinstance(value, Text)
    assert value.value == ""


def test_places_count_from_1_and_quotes_are_not_part_of_the_text() -> None:
    value = parsed("ä: {b: 'PID-5'}").get("ä")
    assert isinstance(value, Block)
    inner = value.get("b")
    assert isinstance(inner, Text)
    assert (inner.place.line, inner.place.column) == (1, 8)
    assert inner.part(0, 3).column == 9


def test_a_repeated_key_keeps_both_places() -> None:
    block = parsed("a: 1\nb: 2\na: 3")
    assert [(first.place.line, again.place.line) for first, again in block.repeated] == [(1, 3)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a: &x 1\nb: *x", "anchors"),
        (b"a: !!python/object:os.system x", "tag"),
        (b"a: 1\n---\nb: 2", "second document"),
        (b"a: \xff", "UTF-8"),
        (b"a: b: c", "not YAML"),
        (b"a: {b: PID-3[4=CITY].1}", "not YAML"),
        (b"a:\n\tb: 1", "not YAML"),
        (b"", "holds no settings"),
        (b"- a", "holds no settings"),
        (b"? [a]\n: b", "a name must be text"),
        (b"[" * 100_000, "too deep"),
        (b"a: " * (DEPTH_LIMIT + 2), "not YAML"),
        (b"x" * (SIZE_LIMIT + 1), "bytes"),
        (b"a: \x00", "not YAML"),
    ],
)
def test_what_cannot_be_read_is_one_problem(text: bytes, says: str) -> None:
    report = Report()
    assert read("x.yaml", text, report) is None
    assert [problem.code for problem in report.problems] == ["M001"]
    assert says in report.problems[0].message


def test_billion_laughs_is_refused_at_its_first_line() -> None:
    report = Report()
    text = b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n"
    assert read("x.yaml", text, report) is None
    assert report.problems[0].place.line == 1
