"""The two grammars: what is read, what is refused and where."""

from __future__ import annotations

import pytest

from broker.mapping.expr import parse_condition, parse_source
from broker.mapping.nodes import AllOf, AnyOf, Compare, Constant, Fact, Is, Name, Not, Path
from broker.mapping.problems import Place, Report
from broker.mapping.yamlfile import Text


def text(value: str) -> Text:
    return Text(value=value, place=Place(path="x.yaml", line=1, column=1))


@pytest.mark.parametrize(
    ("source", "numbers"),
    [
        ("PID-5", ("PID", 5, 0, 0)),
        ("PID-3.4", ("PID", 3, 4, 0)),
        ("PID-3.4.1", ("PID", 3, 4, 1)),
        ("ZOR-12.10", ("ZOR", 12, 10, 0)),
        ("AL1-3", ("AL1", 3, 0, 0)),
    ],
)
def test_paths(source: str, numbers: tuple[str, int, int, int]) -> None:
    found = parse_source(text(source), Report())
    assert found is not None
    path = found[0]
    assert isinstance(path, Path)
    assert (path.segment, path.field, path.component, path.subcomponent) == numbers


def test_picks() -> None:
    found = parse_source(
        text("OBX[3.2=BODY WEIGHT]-5 or PID-3[4=CITY].1 or OBX[2]-5 or IPC-9[*] or NTE[*]-3[*]"), Report()
    )
    assert found is not None
    weight, city, second, stations, notes = (term for term in found if isinstance(term, Path))
    assert weight.segment_pick is not None
    assert (weight.segment_pick.first, weight.segment_pick.second, weight.segment_pick.text) == (3, 2, "BODY WEIGHT")
    assert city.pick is not None
    assert (city.pick.first, city.pick.text, city.component) == (4, "CITY", 1)
    assert second.segment_pick is not None
    assert second.segment_pick.index == 2
    assert (stations.every, stations.every_segment) == (True, False)
    assert (notes.every, notes.every_segment) == (True, True)


def test_the_other_terms() -> None:
    found = parse_source(text('$filler.1 or order.accession or "none at all"'), Report())
    assert found is not None
    name, fact, constant = found
    assert isinstance(name, Name)
    assert (name.name, name.component) == ("filler", 1)
    assert isinstance(fact, Fact)
    assert fact.text == "order.accession"
    assert isinstance(constant, Constant)
    assert constant.value == "none at all"


@pytest.mark.parametrize(
    ("source", "column", "says"),
    [
        ("OBR.18", 1, "'OBR' is not a path"),
        ("ZDS-1.1 or none", 12, "'none' is not a path"),
        ("", 1, "a source is missing"),
        ("PID-3 or", 9, "a source is missing"),
        ("PID-3 PID-4", 7, "one too many"),
        ("PID-0", 1, "count from 1"),
        ("ZXX-1000000000", 1, "count from 1 to 999"),
        ("PID-3[0]", 1, "picks nothing"),
        ("PID-3[x]", 1, "picks nothing"),
        ("pid-3", 1, "'pid' is not a path"),
        ('"open', 1, "is not a path"),
        ("PID-3.1.1.1", 1, "'PID' is not a path"),
        ("PID-3 or " * 300 + "PID-3", 1, "longer than"),
    ],
)
def test_a_mistake_in_a_source_is_named_at_its_place(source: str, column: int, says: str) -> None:
    report = Report()
    assert parse_source(text(source), report) is None
    assert [(problem.code, problem.place.column) for problem in report.problems] == [("M040", column)]
    assert says in report.problems[0].message


def test_or_between_values_and_or_between_tests() -> None:
    found = parse_condition(text('OBR-24 = "CT" or "MR" or PV1-2 is present and not PID-8 = "F"'), Report())
    assert isinstance(found, AnyOf)
    values, both = found.conditions
    assert isinstance(values, Compare)
    assert values.values == ("CT", "MR")
    assert isinstance(both, AllOf)
    assert isinstance(both.conditions[0], Is)
    assert isinstance(both.conditions[1], Not)


def test_the_right_side_of_a_comparison_is_a_constant() -> None:
    found = parse_condition(text('PID-8 = "F" or "M" = PID-8'), Report())
    assert found is None


@pytest.mark.parametrize(
    ("condition", "column", "says"),
    [
        ("PV1-2 is I", 10, "'is I' is unknown"),
        ("PV1-2", 6, "not compared"),
        ("PV1-2 = I", 9, 'is not a "text"'),
        ('(PV1-2 = "I"', 13, "a ) is missing"),
        ("PV1-2 in modality", 10, "'table' is missing"),
        ('PV1-2 = "I" PID-8 = "F"', 13, "one too many"),
        ("(" * 40, 1, "levels of parentheses"),
    ],
)
def test_a_mistake_in_a_condition_is_named_at_its_place(condition: str, column: int, says: str) -> None:
    report = Report()
    assert parse_condition(text(condition), report) is None
    assert [(problem.code, problem.place.column) for problem in report.problems] == [("M046", column)]
    assert says in report.problems[0].message
