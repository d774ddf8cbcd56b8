"""A file with many mistakes gets them all, each at its place."""

from __future__ import annotations

import json

import pytest

from broker.mapping.catalogue import check
from broker.mapping.problems import Place, Problem, Report, render, suggestion

BROKEN = """\
mapping: bad/broken
title: A file with mistakes
from: hl7/ORM^O01
to: dicom/mwl
tables:
  priority: {S: STAT}
set:
  PatientName: PID-5
  PatinetID: PID-3.1
  PatientBirthDate: PID-5
  PatientSex: {from: PID-8, lokup: sex}
  AccessionNumber: OBR.18
  StudyInstanceUID: ZDS-1.1 or none
  RequestedProcedureID: OBR-19 or OBX-99
  RequestedProcedurePriority: {from: ORC-7.6, lookup: prioritty}
  MedicalAlerts: {from: OBR-13, on_missing: rejct}
  CurrentPatientLocation: {from: PV1-3.2, when: PV1-2 is I}
  PatientName: PID-5.1
  ScheduledProcedureStepSequence:
    item:
      Modality: OBR-24
      ScheduledStationAETitle: {value: X, clean: [uper]}
      ScheduledProcedureStepStartDate: $strat
tests:
  - name: none of it runs
    message: "MSH|^~\\\\&|"
"""

EXPECTED = {
    (7, 1, "M050", "error"),
    (7, 1, "M050", "warning"),
    (9, 3, "M010", "error"),
    (10, 21, "M043", "error"),
    (11, 29, "M012", "error"),
    (12, 20, "M040", "error"),
    (13, 32, "M040", "error"),
    (14, 35, "M042", "error"),
    (15, 55, "M031", "error"),
    (16, 45, "M014", "error"),
    (17, 58, "M046", "error"),
    (18, 3, "M003", "error"),
    (18, 16, "M043", "error"),
    (22, 51, "M013", "error"),
    (23, 40, "M044", "error"),
}


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    return check({"bad/broken.yaml": BROKEN.encode()})


def test_every_mistake_is_found_in_one_pass_at_its_place(problems: list[Problem]) -> None:
    found = [(p.place.line, p.place.column, p.code, p.severity) for p in problems]
    assert set(found) == EXPECTED
    assert len(found) == 16


def test_what_is_required_and_not_set_is_named(problems: list[Problem]) -> None:
    missing = {p.message.split(" is required")[0]: p.severity for p in problems if p.code == "M050"}
    assert missing == {
        "PatientID": "error",
        "ScheduledProcedureStepSequence.ScheduledProcedureStepID": "error",
        "ScheduledProcedureStepSequence.ScheduledProcedureStepStartTime": "warning",
    }


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (9, "did you mean 'PatientID'?"),
        (10, "write PID-7"),
        (11, "did you mean 'lookup'?"),
        (12, "a path looks like PID-3.1 (segment, dash, field, dot, component)"),
        (13, 'write "none" in quotes if it is a constant'),
        (15, "did you mean 'priority'?"),
        (16, "did you mean 'reject'?"),
        (17, "use: is present, is missing, is null"),
        (22, "did you mean 'upper'?"),
    ],
)
def test_the_hint_says_what_to_write(problems: list[Problem], line: int, hint: str) -> None:
    assert any(hint in p.hint for p in problems if p.place.line == line)


def test_text_has_an_excerpt_with_carets(problems: list[Problem]) -> None:
    wrong = [p for p in problems if p.code == "M010"]
    assert render(wrong) == (
        "bad/broken.yaml:9:3: error[M010] 'PatinetID' is not a DICOM attribute\n"
        "    9 |   PatinetID: PID-3.1\n"
        "      |   ^^^^^^^^^ did you mean 'PatientID'?"
    )


def test_json_and_github_say_the_same(problems: list[Problem]) -> None:
    wrong = [p for p in problems if p.code == "M012"]
    assert json.loads(render(wrong, "json"))[0]["line"] == 11
    assert render(wrong, "github").startswith("::error file=bad/broken.yaml,line=11,col=29,title=M012::unknown setting")


def test_a_problem_is_reported_once() -> None:
    report = Report()
    report.error("M010", Place(path="a.yaml"), "twice")
    report.error("M010", Place(path="a.yaml"), "twice")
    assert len(report.problems) == 1


def test_control_characters_of_a_file_do_not_reach_the_terminal() -> None:
    report = Report()
    report.know("a.yaml", "a: \x1b[31mred")
    report.error("M010", Place(path="a.yaml"), "x")
    assert "\x1b" not in render(report.problems)


def test_nothing_is_suggested_for_something_else() -> None:
    assert suggestion("zzzz", ["PatientID"]) == ""


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ('when: MSH-3 = "A" and (MSH-4 = "X" and MSH-3 = "B" or "C")', "M061", "two values at once"),
        ('set: {PatientState: {from: OBR-12.1, when: ORC-1 = "A" and ORC-1 = "B"}}', "M061", "two values at once"),
        ("set: {PatientState: {value: x, default: y}}", "M061", "the constant always does"),
        ("set: {PatientState: {from: OBR-12.1, default: y, required: true}}", "M061", "the default stands in"),
        ("set: {PatientState: {first_of: [{value: x}, OBR-12.1]}}", "M061", "the one before always does"),
        ("set: {PatientState: 'PID-3[99=CITY].1'}", "M042", "can never match"),
        ("set: {PatientState: 'OBX[3.99=A]-5'}", "M042", "can never match"),
    ],
)
def test_what_can_never_be_is_told(line: str, code: str, words: str) -> None:
    problems = check({"m.yaml": f"mapping: m\nfrom: hl7/ORM^O01\nto: dicom/mwl\n{line}\n".encode()})

    assert any(problem.code == code and words in problem.message for problem in problems)


@pytest.mark.parametrize(
    "line",
    [
        'when: MSH-3 = "A" or "B" and MSH-3 = "B"',
        'when: MSH-3 = "A" or MSH-3 = "B"',
        'set: {PatientState: {value: x, default: y, when: OBR-12.1 = "Z"}}',
        "set: {PatientState: 'ZPI-3[9=CITY].1'}",
        "set: {PatientState: 'OBX[3.2=WEIGHT]-5'}",
    ],
)
def test_what_may_be_is_not(line: str) -> None:
    problems = check({"m.yaml": f"mapping: m\nfrom: hl7/ORM^O01\nto: dicom/mwl\n{line}\n".encode()})

    assert {problem.code for problem in problems} & {"M042", "M061"} == set()
