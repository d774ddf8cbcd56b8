"""Orders in other shapes than ORM: OMI with several steps, OMG, appointments."""

from __future__ import annotations

from typing import Any

import pytest

OMI, OMG = "OMI^O23^OMI_O23", "OMG^O19^OMG_O19"


def ipc(step: str, start: str = "") -> str:
    return f"IPC|A1^RIS|RP1^RIS|1.2.3.4^RIS|{step}^RIS|MR|HEAD^{step}^L||MR1^Room^L|MR1"


TQ1 = "TQ1|1||||||20260401101500||S"


def test_each_ipc_of_an_imaging_order_is_a_step(desk: Any, hl7: Any) -> None:
    assert desk.send(hl7.pid, hl7.orc(), TQ1, hl7.obr(), ipc("S1"), ipc("S2"), type=OMI) == "AA"

    assert desk.steps("A1") == [("RP1", n, "SCHEDULED", "20260401101500") for n in ("S1", "S2")]


def test_a_changed_imaging_order_cancels_the_steps_that_it_leaves_out(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), TQ1, hl7.obr(), ipc("S1"), ipc("S2"), type=OMI)

    desk.send(hl7.pid, hl7.orc("XO"), TQ1, hl7.obr(), ipc("S2"), ipc("S3"), type=OMI)

    assert [(step, status) for _, step, status, _ in desk.steps("A1")] == [
        ("S1", "CANCELED"),
        ("S2", "SCHEDULED"),
        ("S3", "SCHEDULED"),
    ]


def test_a_changed_general_order_leaves_what_it_does_not_mention(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"), hl7.obr("A1", "R1", "S2"), type=OMG)

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", "R1", "S2"), type=OMG)

    assert [status for *_, status, _ in desk.steps("A1")] == ["SCHEDULED", "SCHEDULED"]


def appointment(service: str = "USTHY^US thyroid^L", start: str = "20260402091500") -> tuple[str, ...]:
    return ("SCH|PL1^HIS|AP1^RIS", "RGS|1", f"AIS|1|A|{service}|{start}", "AIG|1|A|US2^Ultrasound 2^L|US")


@pytest.mark.parametrize(
    ("event", "status", "start"),
    [
        ("S12", "SCHEDULED", "20260403100000"),
        ("S13", "SCHEDULED", "20260403100000"),
        ("S15", "CANCELED", "20260402091500"),
        ("S17", "CANCELED", "20260402091500"),
        ("S26", "CANCELED", "20260402091500"),
        ("S23", "SCHEDULED", "20260402091500"),
    ],
)
def test_an_appointment_is_booked_moved_and_cancelled(desk: Any, hl7: Any, event: str, status: str, start: str) -> None:
    desk.send(hl7.pid, *appointment(), type="SIU^S12")

    answer = desk.send(hl7.pid, *appointment(start="20260403100000"), type=f"SIU^{event}")

    assert (answer, [step[2:] for step in desk.steps("AP1")]) == ("AA", [(status, start)])


def test_an_appointment_that_is_no_imaging_is_answered_and_has_no_effect(desk: Any, hl7: Any) -> None:
    said = ("SCH|PL1|AP1", "RGS|1", "AIS|1|A|CONSULT^Cardiology consult^L|20260402091500", "AIL|1|A|ROOM5")

    assert desk.send(hl7.pid, *said, type="SIU^S12") == "AA"

    assert desk.messages()[0].state == "ignored"


def test_an_event_that_a_mapping_ignores_is_answered_and_has_no_effect(desk: Any, hl7: Any) -> None:
    assert desk.send(hl7.pid, *appointment(), type="SIU^S23") == "AA"

    assert desk.messages()[0].state == "ignored"
