"""Derived step IDs."""

from __future__ import annotations

from typing import Any

import pytest

from broker.mapping.stepids import number_steps


def entry(step_id: str, procedure: str = "A1", accession: str = "A1") -> dict[str, Any]:
    return {
        "AccessionNumber": accession,
        "RequestedProcedureID": procedure,
        "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": step_id}],
    }


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("A1"), entry("A1")], ["A1-1", "A1-2"]),
        ([entry("A1")], ["A1"]),
        ([entry("SP1"), entry("SP1")], ["SP1", "SP1"]),
        ([entry("A1", "RP1"), entry("A1", "RP2")], ["A1", "A1"]),
        ([entry("A1"), entry("SP9"), entry("A1")], ["A1-1", "SP9", "A1-2"]),
        ([entry("1234567890123456", accession="1234567890123456")] * 2, ["34567890123456-1", "34567890123456-2"]),
    ],
)
def test_steps_that_would_share_a_derived_id_are_numbered(entries: list[dict[str, Any]], expected: list[str]) -> None:
    numbered = number_steps(entries)
    assert [one["ScheduledProcedureStepSequence"][0]["ScheduledProcedureStepID"] for one in numbered] == expected


def test_an_entry_without_step_is_left_alone() -> None:
    assert number_steps([{"AccessionNumber": "A1"}, {}]) == [{"AccessionNumber": "A1"}, {}]


def test_steps_side_by_side_in_one_entry_are_numbered_too() -> None:
    two = {**entry("A1"), "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": "A1"}] * 2}

    (numbered,) = number_steps([two])

    found = [step["ScheduledProcedureStepID"] for step in numbered["ScheduledProcedureStepSequence"]]
    assert found == ["A1-1", "A1-2"]
