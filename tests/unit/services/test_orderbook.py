"""Which order and which step a message means, and what becomes of them: messages through intake into a real store."""

from __future__ import annotations

from typing import Any

import pytest

SOON, LATER = "20260401101500", "20260505080000"


def test_a_change_without_procedure_and_step_id_changes_the_one_step(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", start=LATER))

    assert desk.steps("A1") == [("R1", "S1", "SCHEDULED", LATER)]


def test_a_change_without_accession_number_keeps_it(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr(start=LATER))

    assert desk.steps("A1") == [("R1", "S1", "SCHEDULED", LATER)]
    assert desk.orders("F1") == []


@pytest.mark.parametrize("orc", ["ORC|XO|P1^HIS|||||^^^20260505080000", "ORC|XO||F1^RIS||||^^^20260505080000"])
def test_a_change_by_number_alone_moves_the_step(desk: Any, hl7: Any, orc: str) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"))

    desk.send(hl7.pid, orc)

    assert desk.steps("A1") == [("R1", "S1", "SCHEDULED", LATER)]


def test_a_change_by_number_alone_moves_all_steps_of_that_number(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"), hl7.obr("A1", "R1", "S2", code="CTTHX"))

    desk.send(hl7.pid, hl7.orc("XO", start=LATER))

    assert desk.steps("A1") == [("R1", "S1", "SCHEDULED", LATER), ("R1", "S2", "SCHEDULED", LATER)]


def test_names_that_come_later_take_the_place_of_stand_ins(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))
    before = desk.order("A1").procedures[0].study_uid

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", "R1", "S1"))

    assert desk.steps("A1") == [("R1", "S1", "SCHEDULED", SOON)]
    assert [p.study_uid for p in desk.order("A1").procedures] == [before]


def test_a_step_that_has_begun_keeps_its_name(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))
    desk.send(hl7.pid, hl7.orc("SC", status="IP"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", "R1", "S1", start=LATER))

    assert desk.steps("A1") == [("A1", "A1", "STARTED", SOON)]


@pytest.mark.parametrize("ids", [("", ""), ("R1", "S2"), ("", "S2")])
def test_a_change_moves_the_one_of_two_steps_that_it_means(desk: Any, hl7: Any, ids: tuple[str, str]) -> None:
    first, second = (("R1", "S1"), ("R1", "S2")) if any(ids) else (("", ""), ("", ""))
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", *first), hl7.obr("A1", *second, code="CTTHX"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", *ids, code="CTTHX", start=LATER))

    assert [start for *_, start in desk.steps("A1")] == [SOON, LATER]


def test_a_change_with_one_exam_more_adds_a_step(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", code="NECK"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", code="HEAD"), hl7.obr("A1", code="NECK", start=LATER))

    steps = desk.steps("A1")
    assert len(steps) == 2
    assert ("A1", "A1", "SCHEDULED", LATER) in steps


def test_a_step_with_a_name_of_its_own_is_added(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "A1-1"), hl7.obr("A1", "R1", "A1-2"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", "R1", "A1-3"))

    assert [step for _, step, *_ in desk.steps("A1")] == ["A1-1", "A1-2", "A1-3"]


def test_one_message_an_exam_under_one_accession_number_are_two_steps(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(number="1"), hl7.obr("A1", number="1"))

    desk.send(hl7.pid, hl7.orc(number="2"), hl7.obr("A1", code="CTTHX", number="2"))

    assert [step[:2] for step in desk.steps("A1")] == [("A1", "A1"), ("A1", "A1-2")]
    desk.send(hl7.pid, hl7.orc("CA", number="2"))
    assert [step[2] for step in desk.steps("A1")] == ["SCHEDULED", "CANCELED"]


def test_one_placer_number_for_two_accession_numbers_is_two_orders(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(filler="F1"), hl7.obr("A1"))

    desk.send(hl7.pid, hl7.orc(filler="F2"), hl7.obr("A2"))

    assert desk.steps("A1")[0][1] == "A1"
    assert desk.steps("A2")[0][1] == "A2"


def test_a_cancel_by_a_number_that_stands_for_two_orders_cancels_both(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"), hl7.obr("A2"))

    desk.send(hl7.pid, hl7.orc("CA"))

    assert [desk.order(a).status for a in ("A1", "A2")] == ["cancelled", "cancelled"]


def test_a_change_of_one_of_two_orders_under_one_number_changes_that_one(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"), hl7.obr("A2"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A2", start=LATER))

    assert desk.steps("A1")[0][3] == SOON
    assert desk.steps("A2")[0][3] == LATER


def test_the_same_filler_number_at_another_facility_is_another_order(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    desk.send(hl7.pid, hl7.orc(), hl7.obr("A2"), facility="OTHER")

    assert desk.order("A1").id != desk.order("A2").id


@pytest.mark.parametrize(
    ("person", "orders"),
    [
        (("77041", "GENERAL", "IBANEZ^NURIA", "19790312"), 1),
        (("77041", "GENERAL", "NEW^NAME", "19790312"), 1),
        (("77041", "ELSEWHERE", "IBANEZ^NURIA", "19790312"), 2),
        (("77041", "", "IBANEZ^NURIA", "19790312"), 1),
        (("77041", "", "SOMEBODY^ELSE", "19500101"), 2),
        (("5", "GENERAL", "IBANEZ^NURIA", "19790312"), 2),
    ],
)
def test_the_same_accession_number_at_another_facility(
    desk: Any, hl7: Any, person: tuple[str, ...], orders: int
) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    desk.send(hl7.person(*person), hl7.orc(number="9"), hl7.obr("A1", number="9"), facility="OTHER")

    assert len(desk.orders("A1")) == orders


def test_another_patient_under_a_known_number_is_refused_and_alarmed_once(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    answers = [desk.send(hl7.person("5"), hl7.orc("XO"), hl7.obr("A1", start=LATER)) for _ in range(3)]

    assert answers == ["AE", "AE", "AE"]
    assert desk.steps("A1") == [("A1", "A1", "SCHEDULED", SOON)]
    alarms = [event for event in desk.events if event.is_alarm]
    assert [(event.type, event.order_id) for event in alarms] == [("order.noted", desk.order("A1").id)]


def test_a_patient_who_gets_another_name_and_birth_date_is_alarmed(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    desk.send(hl7.person("77041", name="OTHER^MAN", birth="19500101"), hl7.orc(number="2"), hl7.obr("A2", number="2"))

    assert [e.type for e in desk.events if e.is_alarm] == ["patient.updated"]


def test_a_cancel_of_a_step_that_nobody_knows_has_no_effect(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"), hl7.obr("A1", "R1", "S2"))

    assert desk.send(hl7.pid, hl7.orc("CA"), hl7.obr("A1", "R1", "S9")) == "AA"

    assert {status for *_, status, _ in desk.steps("A1")} == {"SCHEDULED"}
    assert desk.events[-1].is_alarm


def test_a_step_that_is_ordered_again_after_its_cancel_is_reinstated(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"), hl7.obr("A1", "R1", "S2"))
    desk.send(hl7.pid, hl7.orc("CA"), hl7.obr("A1", "R1", "S2"))

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", "R1", "S2"))

    assert [status for *_, status, _ in desk.steps("A1")] == ["SCHEDULED", "SCHEDULED"]


@pytest.mark.parametrize(("hours", "status"), [(23, "cancelled"), (25, "scheduled")])
def test_a_cancel_that_came_first_holds_for_a_day(desk: Any, hl7: Any, hours: int, status: str) -> None:
    desk.send(hl7.orc("CA"))
    desk.later(hours=hours)

    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    assert desk.order("A1").status == status


@pytest.mark.parametrize(
    ("status", "step"),
    [("IP", "STARTED"), ("CM", "COMPLETED"), ("A", "COMPLETED"), ("DC", "DISCONTINUED"), ("CA", "CANCELED"), ("SC", "SCHEDULED")],
)  # fmt: skip
def test_a_status_by_number_alone(desk: Any, hl7: Any, status: str, step: str) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"))

    desk.send(hl7.pid, hl7.orc("SC", status=status))

    assert desk.steps("A1") == [("R1", "S1", step, SOON)]


def test_one_message_gives_each_step_its_own_status(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"), hl7.obr("A1", "R1", "S2"))

    desk.send(
        hl7.pid,
        hl7.orc("SC", status="IP"),
        hl7.obr("A1", "R1", "S1"),
        hl7.orc("SC", status="CM"),
        hl7.obr("A1", "R1", "S2"),
    )

    assert [step[2] for step in desk.steps("A1")] == ["STARTED", "COMPLETED"]


def test_a_change_that_says_completed_completes(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"))

    desk.send(hl7.pid, hl7.orc("XO", status="CM"), hl7.obr("A1", "R1", "S1"))

    assert desk.steps("A1") == [("R1", "S1", "COMPLETED", SOON)]


def test_hold_and_release(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    desk.send(hl7.orc("HD"))
    held = desk.order("A1").status
    desk.send(hl7.orc("RL"))

    assert (held, desk.order("A1").status) == ("on_hold", "scheduled")


def test_a_message_without_any_number_of_a_known_order_is_taken_with_a_warning(desk: Any, hl7: Any) -> None:
    assert desk.send(hl7.orc("SC", status="IP")) == "AA"

    (message,) = desk.messages()
    assert "no order has this number" in message.warnings[-1]


def test_another_study_uid_for_a_known_procedure_is_told_and_not_taken(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", "R1", "S1"), "ZDS|1.2.3")

    desk.send(hl7.pid, hl7.orc("XO"), hl7.obr("A1", "R1", "S1"), "ZDS|1.2.4")

    assert [p.study_uid for p in desk.order("A1").procedures] == ["1.2.3"]
    assert "1.2.4 is not taken" in desk.events[-1].text


def test_an_exam_of_another_study_in_a_message_of_its_own_is_another_procedure(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(number="1"), hl7.obr("A1", number="1"), "ZDS|1.2.3")

    desk.send(hl7.pid, hl7.orc(number="2"), hl7.obr("A1", code="CTTHX", number="2"), "ZDS|1.2.4")

    assert [p.study_uid for p in desk.order("A1").procedures] == ["1.2.3", "1.2.4"]
    assert [step[:2] for step in desk.steps("A1")] == [("A1", "A1"), ("A1-2", "A1")]


@pytest.mark.parametrize("orc", ["ORC|CA||F1", "ORC|CA|P1"])
def test_a_cancel_that_leaves_the_namespace_out_finds_the_one_order_with_that_number(
    desk: Any, hl7: Any, orc: str
) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"))

    assert desk.send(hl7.pid, orc) == "AA"

    assert desk.order("A1").status == "cancelled"


def test_a_bare_number_that_two_orders_have_in_their_namespaces_cancels_neither(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(filler="F1^RIS"), hl7.obr("A1"))
    desk.send(hl7.pid, hl7.orc(number="2", filler="F1^OTHER"), hl7.obr("A2", number="2"))

    desk.send(hl7.pid, "ORC|CA||F1")

    assert [desk.order(accession).status for accession in ("A1", "A2")] == ["scheduled", "scheduled"]
