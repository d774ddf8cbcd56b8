"""Mappings that are huge, endless or useless: a clear problem or a clear refusal, in steps that are counted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from broker.config.mapping_files import SIZE_LIMIT as FILE_LIMIT
from broker.config.mapping_files import read_mapping_files
from broker.errors import ConfigurationError
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import Translation
from broker.mapping.items import TURNS_LIMIT
from broker.mapping.link import PARENTS_LIMIT
from broker.mapping.problems import CHOICES_LIMIT, PROBLEM_LIMIT, Problem, render, suggestion
from broker.mapping.terms import WORK_LIMIT
from broker.mapping.yamlfile import NODE_LIMIT, SIZE_LIMIT

PARENT = """\
mapping: parent
from: hl7/ORM^O01
to: dicom/mwl
set:
  PatientID: PID-3.1
  StudyInstanceUID: {uid_from: [ORC-2.1]}
  RequestedProcedureID: ORC-2.1
  ScheduledProcedureStepSequence: {item: {ScheduledProcedureStepID: ORC-2.1}}
"""
MESSAGE = "MSH|^~\\&|RIS|NORTH|||20260401093000||ORM^O01|M1|P|2.5.1\rPID|1||77\rORC|NW|P1\rOBR|1|P1||CTH^CT head^L\r"


def checked(text: str, **files: str) -> tuple[Catalogue | None, list[Problem]]:
    """Check a child of PARENT beside other files (``a__b`` is a/b.csv)."""
    more = {name.replace("__", "/") + ".csv": content.encode() for name, content in files.items()}
    child = f"mapping: child\nextends: parent\n{text}"
    return Catalogue.load({"child.yaml": child.encode(), "parent.yaml": PARENT.encode(), **more})


def problems_of(text: str, **files: str) -> list[Problem]:
    return [problem for problem in checked(text, **files)[1] if problem.is_error]


def translated(text: str, message: str = MESSAGE) -> Translation:
    catalogue, problems = checked(text)
    assert catalogue is not None, problems
    mapping = catalogue.get("child")
    assert mapping is not None, problems
    return mapping.translate(Message.parse(message), ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC))


LAUGHS = "a0: &a0 [ha]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (LAUGHS, "M001", "anchors and aliases"),
        ("title: &title [x]\nset: {PatientName: *title}\n", "M001", "anchors and aliases"),
        ("set: {<<: {PatientName: PID-5}}\n", "M012", "unknown setting 'PatientName'"),
        ("title: !!python/object/apply:os.system [id]\n", "M001", "the tag tag:yaml.org,2002:python/object"),
        ("title: !!python/name:os.system x\n", "M001", "the tag tag:yaml.org,2002:python/name:os.system"),
        ("title: !include /etc/passwd\n", "M001", "the tag !include"),
        ("title: " + "x" * SIZE_LIMIT + "\n", "M001", f"{SIZE_LIMIT} are allowed"),
        ("drop: [" + "x," * NODE_LIMIT + "x]\n", "M001", "too large or too deep"),
        ("set: " + "{PatientName: " * 500 + "PID-5" + "}" * 500 + "\n", "M001", "too large or too deep"),
        ("set:\n  PatientName: " + " or ".join(["PID-5"] * 1_000) + "\n", "M040", "longer than"),
        ("when: " + "(" * 900 + 'MSH-3 = "X"' + ")" * 900 + "\n", "M046", "levels of parentheses"),
        ("let: {a: $b, b: $a}\nset: {PatientState: $a}\n", "M044", "goes round in a circle"),
        ("set: {PatientState: ZXX-0}\n", "M040", "count from 1"),
        ("set: {PatientState: 'OBX[0]-5'}\n", "M040", "picks nothing"),
        ("set: {PatientState: PV1-99}\n", "M042", "no field 99"),
        ("set: {PatientState: PV1-3.99}\n", "M042", "no component 99"),
    ],
)
def test_what_no_mapping_needs_is_a_problem_that_says_so(text: str, code: str, says: str) -> None:
    found = problems_of(text)

    assert [problem.code for problem in found][:1] == [code]
    assert says in found[0].message


def test_a_mapping_may_not_come_back_to_itself_by_its_parents() -> None:
    files = {f"{name}.yaml": f"mapping: {name}\nextends: {next}\n" for name, next in ("ab", "bc", "ca")}

    _, problems = Catalogue.load({path: text.encode() for path, text in files.items()})

    assert {problem.code for problem in problems} == {"M022"}
    assert problems[-1].message == "the mapping extends itself: a -> b -> c -> a"


def test_parents_stand_on_one_another_only_so_high() -> None:
    files = {"m0.yaml": PARENT.replace("mapping: parent", "mapping: m0")}
    for number in range(1, 300):
        files[f"m{number}.yaml"] = f"mapping: m{number}\nextends: m{number - 1}\nset: {{PatientState: PV1-2}}\n"

    catalogue, problems = Catalogue.load({path: text.encode() for path, text in files.items()})

    assert catalogue is not None
    assert len(catalogue.entries) == PARENTS_LIMIT + 1
    assert {problem.code for problem in problems if problem.is_error} == {"M022"}


def test_rules_that_inherit_one_from_another_are_counted() -> None:
    twice = "set: {PatientState: {first_of: [$inherited, $inherited]}}\n"
    files = {"m0.yaml": PARENT.replace("mapping: parent", "mapping: m0") + "  PatientState: PV1-2\n"}
    for number in range(1, 30):
        files[f"m{number:02}.yaml"] = f"mapping: m{number}\nextends: m{number - 1}\n{twice}"

    _, problems = Catalogue.load({path: text.encode() for path, text in files.items()})

    assert "more than 8 rules inherit one from another" in {problem.message for problem in problems}


def test_names_of_names_of_names_end_somewhere() -> None:
    names = "".join(f"  n{level}: {' or '.join([f'$n{level + 1}'] * 200)}\n" for level in range(7))

    found = problems_of(f"let:\n{names}  n7: PV1-2\nset: {{PatientState: $n0}}\n")

    assert [problem.message for problem in found if str(WORK_LIMIT) in problem.message]


def test_of_more_mistakes_than_anybody_reads_the_first_are_told() -> None:
    found = problems_of("set:\n" + "".join(f"  NoAttribute{number}: PID-3.1\n" for number in range(5_000)))

    assert len(found) == PROBLEM_LIMIT + 1
    assert f"more than {PROBLEM_LIMIT} problems" in "".join(problem.message for problem in found)
    assert len(render(found)) < 500_000


def test_among_too_many_names_no_similar_one_is_looked_for() -> None:
    names = [f"room{number}" for number in range(CHOICES_LIMIT)]

    assert suggestion("rom7", names) == "did you mean 'room7'?"
    assert suggestion("rom7", [*names, "one more"]) == ""


def test_a_table_of_a_hundred_thousand_rows_is_a_table() -> None:
    rows = "room,ae\n" + "".join(f"{number},CT{number % 9}\n" for number in range(100_000))
    text = "tables: {rooms: tables/rooms.csv}\nset: {PatientState: {from: OBR-1, lookup: rooms}}\n"

    assert problems_of(text, tables__rooms=rows) == []


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("room,ae\n" + "A,CT1\n" * 100_000, "'A' stands twice"),
        ("room,ae\n" + "".join(f"a long code {number},CT1\n" for number in range(100_000)), "are allowed"),
        ("room\n" + "A\n" * 1_000, "two columns or more"),
        ('room,ae\n"A,CT1\n', "cannot be read"),
        ("", "two columns or more"),
    ],
)
def test_a_table_that_cannot_be_used_is_a_problem(rows: str, says: str) -> None:
    found = problems_of("tables: {rooms: tables/rooms.csv}\n", tables__rooms=rows)

    assert 0 < len(found) <= PROBLEM_LIMIT + 1
    assert says in found[0].message


def test_a_file_of_ten_megabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "huge.yaml").write_bytes(b"# nothing\n" * 1_000_000)

    with pytest.raises(ConfigurationError, match=f"more than {FILE_LIMIT} bytes"):
        read_mapping_files(tmp_path)


def test_each_inside_each_is_counted() -> None:
    inner = "EquivalentCodeSequence: {each: OBR-4, item: {CodeValue: OBR-4.1}}"
    text = f"set: {{RequestedProcedureCodeSequence: {{each: PID-3, item: {{CodeValue: PID-3.1, {inner}}}}}}}\n"
    message = MESSAGE.replace("|77\r", "|" + "~".join(["77"] * 300) + "\r")
    message = message.replace("|CTH^CT head^L", "|" + "~".join(["CTH^CT head^L"] * 300))

    (order,) = translated(text, message).outputs

    assert [remark.text for remark in order.warnings if str(TURNS_LIMIT) in remark.text] == [
        f"more than {TURNS_LIMIT} items in one order, the rest is left out"
    ]


def test_a_mapping_that_refuses_everything_says_which_rule_does() -> None:
    translation = translated("set: {PatientState: {from: ZZZ-1, as: text, required: true}}\n")

    assert translation.outputs == ()
    (rejection,) = translation.rejections
    assert "no value for PatientState (looked at ZZZ-1)" in str(rejection)


def test_a_pattern_is_no_regular_expression_and_takes_many_stars() -> None:
    stars = "*a" * 40
    text = f'set: {{PatientState: {{value: seen, when: PID-5.1.1 matches "{stars}b"}}}}\n'

    (order,) = translated(text, MESSAGE.replace("|77\r", "|77||" + "a" * 5_000 + "\r")).outputs

    assert not order.item.get("PatientState")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("PatientBirthDate: {value: hello}", "PatientBirthDate is DA: 'hello'"),
        ("PatientBirthDate: {from: PID-7, default: hello}", "PatientBirthDate is DA: 'hello'"),
        ("PatientBirthDate: {first_of: [{from: PID-7}, {value: hello}]}", "PatientBirthDate is DA: 'hello'"),
        ("PatientBirthDate: {first_of: [{value: 31.12.99}], as: {date: DD.MM.YYYY}}", "PatientBirthDate is DA: '31.12.99'"),
        ("ScheduledProcedureStepStartTime: {value: 256000}", "ScheduledProcedureStepStartTime is TM: '256000'"),
        ("PatientWeight: {value: heavy}", "PatientWeight is DS: 'heavy'"),
    ],
)  # fmt: skip
def test_a_constant_that_its_attribute_can_never_hold_is_a_mistake(rule: str, says: str) -> None:
    [problem] = problems_of(f"set:\n  {rule}\n")
    written = says.rpartition("'")[0].rpartition("'")[2]
    assert (problem.code, problem.place.line) == ("M043", 4)
    assert rule[problem.place.column - 3 :].startswith(written)
    assert says in problem.message
    assert problem.hint


def test_a_constant_that_is_mended_is_doubtful() -> None:
    _, problems = checked("set:\n  RequestedProcedureLocation: {value: " + "X" * 70 + "}\n")
    assert [(problem.code, problem.severity) for problem in problems if problem.code == "M043"] == [("M043", "warning")]


@pytest.mark.parametrize(
    "rule",
    [
        "PatientBirthDate: {value: '20260401'}",
        "PatientBirthDate: {value: 31.12.1999, as: {date: DD.MM.YYYY}}",
        "PatientBirthDate: {from: PID-7, map: {hello: '20260401'}, default: '19000101'}",
        "PatientBirthDate: {value: hello, map: {hello: '20260401'}}",
        "PatientBirthDate: {value: ''}",
        "ScheduledProcedureStepStartTime: {value: '0800'}",
        "PatientSex: {value: o, clean: [upper]}",
        "PatientName: {value: 'DOE^JOHN'}",
    ],
)
def test_a_constant_that_fits_is_no_problem(rule: str) -> None:
    _, problems = checked(f"set:\n  {rule}\n")
    assert [problem for problem in problems if problem.code == "M043"] == []
