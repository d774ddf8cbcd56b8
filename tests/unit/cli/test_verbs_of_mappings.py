"""``broker check``, ``broker test`` and ``broker try``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.errors import ConfigurationError

Run = Callable[..., Any]

MESSAGE = (
    "MSH|^~\\&|HIS|NORTH|||20260401101500||ORM^O01|M1|P|2.5\n"
    "PID|1||77041^^^CITY||IBANEZ^NURIA||19790312|F\n"
    "ORC|NW|P1|F1\n"
    "OBR|1|P1|F1|CTH^CT head^L||||||||||||||A41\n"
)

MAPPING = """\
mapping: mine/orders
language: 1
from: hl7/ORM^O01
to: dicom/mwl
action: {from: ORC-1, map: {NW: create}}
set:
  PatientName: PID-5
  PatientID: PID-3.1
  AccessionNumber: OBR-18
  StudyInstanceUID: {uid_from: [MSH-4.1, ORC-3.1]}
  RequestedProcedureID: OBR-18
  ScheduledProcedureStepSequence:
    item:
      Modality: {value: CT}
      ScheduledStationAETitle: {value: CT1}
      ScheduledProcedureStepStartDate: MSH-7
      ScheduledProcedureStepStartTime: MSH-7
      ScheduledProcedureStepID: OBR-18
tests:
  - name: the accession number is taken
    message: samples/one.hl7
    expect:
      AccessionNumber: A41
"""


@pytest.fixture
def mappings(config: Path) -> Path:
    """The folder of mappings that *config* names, with one sound mapping."""
    folder = config.parents[1] / "mappings"
    (folder / "mine").mkdir()
    (folder / "samples").mkdir()
    (folder / "mine/orders.yaml").write_text(MAPPING)
    (folder / "samples/one.hl7").write_text(MESSAGE)
    return folder


def broken(mappings: Path, old: str, new: str) -> None:
    """Write *new* for *old* in the mapping."""
    assert old in MAPPING
    (mappings / "mine/orders.yaml").write_text(MAPPING.replace(old, new))


def test_sound_mappings_are_counted(run: Run, mappings: Path) -> None:
    result = run("check")
    assert result.output.startswith("1 mapping(s), 1 test(s), 0 error(s)")
    assert result.exit_code == 0


def test_an_error_is_shown_with_its_place_and_exit_code_78(run: Run, mappings: Path) -> None:
    broken(mappings, "  AccessionNumber: OBR-18", "  AcessionNumber: OBR-18")
    result = run("check", str(mappings))
    assert f"{mappings}/mine/orders.yaml:9:3: error[M010]" in result.output
    assert result.exit_code == 78


def test_a_failing_test_is_a_problem_at_its_expectation(run: Run, mappings: Path) -> None:
    broken(mappings, "AccessionNumber: A41", "AccessionNumber: A42")
    result = run("check")
    assert f"{mappings}/mine/orders.yaml:23:7: error[test] the accession number is taken:" in result.output
    assert result.exit_code == 78
    assert run("check", "--no-tests").exit_code == 0


def test_problems_are_json_or_annotations_on_demand(run: Run, mappings: Path) -> None:
    broken(mappings, "  AccessionNumber: OBR-18", "  AcessionNumber: OBR-18")
    problems = json.loads(run("check", "--format", "json").output)
    assert "M010" in [problem["code"] for problem in problems]
    assert f"::error file={mappings}/mine/orders.yaml,line=9" in run("check", "--format", "github").output


def test_a_destination_that_does_not_suit_its_mapping_is_a_problem_of_the_configuration(
    run: Run, mappings: Path, config: Path
) -> None:
    (mappings / "out.yaml").write_text(
        "mapping: out\nfrom: broker/study.available\nto: mqtt/event\njson: {a: order.accession}\n"
    )
    config.write_text("destinations:\n  bus: {type: mqtt, mapping: out, events: [order.scheduled]}\n")

    result = run("check", "--config", str(config))

    assert f"{config}:2:43: error[C021] it hears order.scheduled, which out does not read" in result.output
    assert "write events: [study.available]" in result.output
    assert "1 error(s)" in result.output
    assert result.exit_code == 78
    assert (
        f"::error file={config},line=2,col=43,title=C021::"
        in run("check", "--config", str(config), "--format", "github").output
    )
    assert run("check", "--config", str(config), str(mappings / "out.yaml")).exit_code == 0


def test_a_part_of_the_configured_folder_can_be_checked_alone(run: Run, mappings: Path) -> None:
    (mappings / "other.yaml").write_text("mapping: other\n")
    assert run("check").exit_code == 78
    assert run("check", str(mappings / "mine")).exit_code == 0
    assert run("check", str(mappings / "mine/orders.yaml")).exit_code == 0


def test_no_mapping_at_all_is_a_problem(run: Run, config: Path) -> None:
    assert isinstance(run("check").exception, ConfigurationError)


def test_each_test_is_told_and_counted(run: Run, mappings: Path) -> None:
    result = run("test")
    assert result.output == "passed  mine/orders: the accession number is taken\n1 test(s), 0 failed\n"
    assert result.exit_code == 0


def test_a_failing_test_is_told_with_exit_code_1(run: Run, mappings: Path) -> None:
    broken(mappings, "AccessionNumber: A41", "AccessionNumber: A42")
    result = run("test")
    assert result.output.startswith("FAILED  mine/orders: the accession number is taken\n")
    assert result.exit_code == 1


def test_tests_of_mappings_with_errors_are_not_run(run: Run, mappings: Path) -> None:
    broken(mappings, "  AccessionNumber: OBR-18", "  AcessionNumber: OBR-18")
    assert run("test").exit_code == 78


def test_tests_are_chosen_by_name(run: Run, mappings: Path) -> None:
    assert run("test", "-k", "accession", "--json").exit_code == 0
    assert run("test", "-k", "nothing of the kind").exit_code == 2


def test_results_of_tests_are_json_on_demand(run: Run, mappings: Path) -> None:
    broken(mappings, "AccessionNumber: A41", "AccessionNumber: A42")
    (result,) = json.loads(run("test", "--json").output)
    assert (result["mapping"], result["passed"]) == ("mine/orders", False)
    assert result["failures"][0]["line"] == 23


def test_a_message_is_tried_with_its_values_masked(run: Run, mappings: Path) -> None:
    shown = run("try", "mine/orders", str(mappings / "samples/one.hl7")).output
    assert shown.startswith("order 1 of 1 -> create (NW)\n")
    assert "<- PID-3.1" in shown
    assert not [secret for secret in ("77041", "IBANEZ", "19790312") if secret in shown]


def test_values_are_shown_on_demand(run: Run, mappings: Path) -> None:
    assert "'77041'" in run("try", "mine/orders", "-", "--show-phi", input=MESSAGE).output


def test_a_trace_is_json_on_demand_without_items_unless_asked(run: Run, mappings: Path) -> None:
    masked = json.loads(run("try", "mine/orders", "-", "--json", input=MESSAGE).output)
    assert masked["outputs"] == [{"order": 1, "action": "create", "control": "NW"}]
    whole = json.loads(run("try", "mine/orders", "-", "--json", "--show-phi", input=MESSAGE).output)
    assert whole["outputs"][0]["item"]["AccessionNumber"] == "A41"


def test_a_refused_order_is_exit_code_1(run: Run, mappings: Path) -> None:
    result = run("try", "mine/orders", "-", input=MESSAGE.replace("77041", ""))
    assert "REJECTED  PatientID" in result.output
    assert result.exit_code == 1


def test_an_unknown_mapping_is_a_usage_error_with_a_suggestion(run: Run, mappings: Path) -> None:
    result = run("try", "mine/order", "-", input=MESSAGE)
    assert "did you mean 'mine/orders'?" in result.output
    assert result.exit_code == 2


def test_what_is_no_message_is_a_usage_error(run: Run, mappings: Path) -> None:
    assert run("try", "mine/orders", "-", input="hello").exit_code == 2
