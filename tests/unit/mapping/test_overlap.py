"""Which mappings may claim one message, by their ``when``."""

from __future__ import annotations

import pytest

from broker.mapping.catalogue import check
from broker.mapping.overlap import Demand, Index

MAPPING = """\
mapping: {name}
from: {source}
to: dicom/mwl
action: {{from: ORC-1, map: {{NW: create}}}}
{when}
set:
  PatientID: PID-3.1
  StudyInstanceUID: {{uid_from: [ORC-2.1]}}
  RequestedProcedureID: ORC-2.1
  ScheduledProcedureStepSequence: {{item: {{ScheduledProcedureStepID: ORC-2.1}}}}
"""


def written(name: str, when: str, source: str = "hl7/ORM^O01") -> bytes:
    return MAPPING.format(name=name, source=source, when=f"when: {when}" if when else "").encode()


def may_meet(first: str, second: str) -> bool:
    answers = set()
    for one, two in ((first, second), (second, first)):
        problems = check({"a.yaml": written("a", one), "b.yaml": written("b", two)})
        answers.add("M051" in [problem.code for problem in problems])
    (answer,) = answers
    return answer


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('MSH-4 = "X"', 'MSH-4 != "X"'),
        ('MSH-4 = "X" or "Y"', 'MSH-4 != "X" or "Y" or "Z"'),
        ('MSH-4 = "X"', 'not MSH-4 = "X"'),
        ('MSH-4 = "X"', 'not (MSH-4 = "X" or MSH-4 = "Y")'),
        ('MSH-4 = "X"', 'not (MSH-4 = "X") and MSH-3 = "R"'),
        ('MSH-4 = "X"', 'MSH-4 = "Y" or MSH-4 = "Z"'),
        ('MSH-4 = "X" and MSH-3 = "R"', 'MSH-3 = "R" and MSH-4 = "Y"'),
        ('MSH-4 = "X" or "Y"', 'MSH-4 != "X" and MSH-4 != "Y"'),
        ('MSH-4 = "X" or "Y"', 'MSH-4 != "X" and MSH-4 = "X" or MSH-4 = "Z"'),
        ('MSH-4 = "X"', "MSH-4 is missing"),
        ("MSH-4 is present", "MSH-4 is missing"),
        ("MSH-4 is present", "not MSH-4 is present"),
        ("MSH-4 is present", "MSH-4 is null"),
        ('MSH-4 = "X"', 'MSH-4 matches "Y*"'),
        ('MSH-4 = "X"', 'not MSH-4 matches "X*"'),
    ],
)
def test_mappings_that_exclude_each_other_are_no_problem(first: str, second: str) -> None:
    assert not may_meet(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('MSH-4 = "X"', 'MSH-4 != "Y"'),
        ('MSH-4 = "X" or "Y"', 'MSH-4 != "X"'),
        ('MSH-4 != "X"', 'MSH-4 != "Y"'),
        ('MSH-4 = "X"', 'MSH-4 = "X" or MSH-3 = "R"'),
        ('MSH-4 = "X"', 'not (MSH-4 = "X" and MSH-3 = "R")'),
        ('MSH-4 = "X"', 'MSH-4 matches "X*"'),
        ('MSH-4 = "X"', 'MSH-3 = "R"'),
        ("MSH-4 is missing", "MSH-4 is null"),
        ("MSH-4 is present", "not MSH-4 is missing"),
    ],
)
def test_mappings_that_one_message_may_fit_are_told(first: str, second: str) -> None:
    assert may_meet(first, second)


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        ("hl7/ORM^O01", "hl7/OMG^O19", False),
        ("hl7/SIU^S12", "hl7/SIU^S13", False),
        ("hl7/SIU", "hl7/SIU^S13", True),
        ("hl7/ORM^O01", "hl7/2.3.1/ORM^O01", True),
    ],
)
def test_mappings_of_different_types_never_meet(first: str, second: str, is_told: bool) -> None:
    problems = check({"a.yaml": written("a", "", first), "b.yaml": written("b", "", second)})

    assert ("M051" in [problem.code for problem in problems]) is is_told


def test_each_pair_among_many_is_told_and_no_other() -> None:
    senders = [f'MSH-3 = "S{n}" and MSH-4 = "{n % 7}"' for n in range(40)]
    files = {f"m{n:02}.yaml": written(f"m{n:02}", when) for n, when in enumerate(senders)}
    files["twin.yaml"] = written("twin", 'MSH-3 = "S7" or "S21"')
    files["wide.yaml"] = written("wide", 'MSH-4 = "3" and MSH-3 != "S3"')

    told = {(problem.place.path, problem.message.split("'")[3]) for problem in check(files) if problem.code == "M051"}

    assert told == {
        ("twin.yaml", "m07"),
        ("twin.yaml", "m21"),
        ("wide.yaml", "twin"),
        *(("wide.yaml", f"m{n:02}") for n in range(40) if n % 7 == 3 and n != 3),
    }


def test_who_demands_another_value_is_not_even_looked_at() -> None:
    index = Index()
    for number in range(500):
        index.add({"MSH-3": Demand(allowed=frozenset({f"S{number}"})), "MSH-4": Demand(refused=frozenset({"X"}))})

    assert list(index.candidates({"MSH-3": Demand(allowed=frozenset({"S7", "S400"}))})) == [7, 400]
