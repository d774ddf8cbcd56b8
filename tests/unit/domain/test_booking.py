"""What a message does to an order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from broker.domain.booking import book_cancelled, decide, is_same_patient, merge, update_patient
from broker.domain.lifecycle import NEXT, Happening, advance, order_status
from broker.domain.order import Number, Order, OrderStatus, Patient, Step, StepStatus
from broker.domain.request import OrderRequest, PatientRequest, StepRequest

NOW = datetime(2026, 4, 1, 10, tzinfo=UTC)
NEW = Order(id="1", facility="H", patient_ref="p", created_at=NOW, updated_at=NOW)


def request(action: str = "create", steps: tuple[StepRequest, ...] | None = None, **changes: object) -> OrderRequest:
    said = (StepRequest(step_id="S1", procedure_id="R1", study_uid="1.2", modality="CT", start="20260401101500"),)
    made = OrderRequest(
        action=action,  # type: ignore[arg-type]
        control=action,
        facility="H",
        placer=Number(number="P1"),
        accession="A1",
        steps=said if steps is None else steps,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def booked(*statuses: StepStatus) -> Order:
    steps = tuple(
        StepRequest(step_id=f"S{n}", procedure_id="R1", study_uid="1.2", modality="CT", start="20260401101500")
        for n in range(1, len(statuses) + 1)
    )
    order = decide(None, request(steps=steps), NEW, NOW).order
    moved = tuple(replace(step, status=status) for step, status in zip(order.steps, statuses, strict=True))
    return replace(order, steps=moved, status=order_status(moved))


def test_a_new_order_is_scheduled() -> None:
    decision = decide(None, request(), NEW, NOW)

    assert decision.order.status is OrderStatus.SCHEDULED
    assert [remark.type for remark in decision.remarks] == ["order.scheduled"]
    assert decision.order.numbers == (("placer", "H", "", "P1"),)


def test_a_step_without_station_and_modality_is_alarmed() -> None:
    said = StepRequest(step_id="S1", procedure_id="R1", modality="")

    remarks = decide(None, request(steps=(said,)), NEW, NOW).remarks

    assert remarks[1].is_alarm


@pytest.mark.parametrize("status", [StepStatus.STARTED, StepStatus.COMPLETED, StepStatus.DISCONTINUED])
def test_a_late_change_leaves_a_step_that_has_begun(status: StepStatus) -> None:
    said = StepRequest(step_id="S1", procedure_id="R1", start="20270101000000")

    decision = decide(booked(status), request("update", (said,)), NEW, NOW)

    assert decision.order.steps[0].status is status
    assert decision.order.steps[0].start == "20260401101500"
    assert "order.noted" in [remark.type for remark in decision.remarks]


def test_an_update_changes_what_it_says_and_leaves_the_rest() -> None:
    said = StepRequest(step_id="S1", procedure_id="R1", start="20260402090000", attributes={"A": "1", "B": None})

    order = decide(booked(StepStatus.SCHEDULED), request("update", (said,)), NEW, NOW).order

    assert order.steps[0].start == "20260402090000"
    assert order.steps[0].modality == "CT"
    assert order.steps[0].attributes == {"A": "1"}


def test_an_update_that_says_nothing_new_is_not_told() -> None:
    assert decide(booked(StepStatus.SCHEDULED), request("update"), NEW, NOW).remarks == ()


def test_a_start_that_nobody_knows_never_replaces_a_known_one() -> None:
    said = StepRequest(step_id="S1", procedure_id="R1", start="20260409120000", is_start_known=False)

    order = decide(booked(StepStatus.SCHEDULED), request("update", (said,)), NEW, NOW).order

    assert order.steps[0].start == "20260401101500"


def test_steps_that_a_message_does_not_mention_stay() -> None:
    said = StepRequest(step_id="S3", procedure_id="R1", modality="CT")

    order = decide(booked(StepStatus.SCHEDULED, StepStatus.SCHEDULED), request("update", (said,)), NEW, NOW).order

    assert [step.step_id for step in order.steps] == ["S1", "S2", "S3"]


def test_the_stored_study_uid_wins() -> None:
    said = StepRequest(step_id="S1", procedure_id="R1", study_uid="9.9")

    order = decide(booked(StepStatus.SCHEDULED), request("update", (said,)), NEW, NOW).order

    assert order.procedures[0].study_uid == "1.2"


def test_a_cancel_by_number_alone_cancels_all_steps() -> None:
    order = decide(booked(StepStatus.SCHEDULED, StepStatus.SCHEDULED), request("cancel", ()), NEW, NOW).order

    assert order.status is OrderStatus.CANCELLED


def test_a_cancel_that_names_a_step_cancels_that_step() -> None:
    order = decide(booked(StepStatus.SCHEDULED, StepStatus.SCHEDULED), request("cancel"), NEW, NOW).order

    assert [step.status for step in order.steps] == [StepStatus.CANCELED, StepStatus.SCHEDULED]


def test_a_cancel_after_start_is_recorded_not_applied() -> None:
    decision = decide(booked(StepStatus.STARTED), request("cancel"), NEW, NOW)

    assert decision.order.status is OrderStatus.IN_PROGRESS
    assert decision.order.is_cancel_asked
    assert [(remark.type, remark.is_alarm) for remark in decision.remarks] == [("order.cancel_asked", True)]


def test_a_second_cancel_is_silent() -> None:
    assert decide(booked(StepStatus.CANCELED), request("cancel"), NEW, NOW).remarks == ()


def test_a_new_order_after_a_cancel_is_reinstated() -> None:
    decision = decide(booked(StepStatus.CANCELED), request(), NEW, NOW)

    assert decision.order.status is OrderStatus.SCHEDULED
    assert "order.reinstated" in [remark.type for remark in decision.remarks]


def test_a_cancelled_order_with_images_is_not_reinstated() -> None:
    order = replace(booked(StepStatus.CANCELED), study_uids=("1.2",))

    assert decide(order, request(), NEW, NOW).order.status is OrderStatus.CANCELLED


def test_an_order_whose_cancel_came_first_is_booked_as_cancelled() -> None:
    assert book_cancelled(request(), NEW, NOW).order.status is OrderStatus.CANCELLED


def test_hold_hides_and_release_restores() -> None:
    held = decide(booked(StepStatus.ARRIVED), request("hold"), NEW, NOW).order
    released = decide(held, request("release"), NEW, NOW).order

    assert held.status is OrderStatus.ON_HOLD
    assert released.steps[0].status is StepStatus.ARRIVED


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [
        (StepStatus.STARTED, StepStatus.SCHEDULED, StepStatus.STARTED),
        (StepStatus.COMPLETED, StepStatus.STARTED, StepStatus.COMPLETED),
        (StepStatus.STARTED, StepStatus.COMPLETED, StepStatus.COMPLETED),
        (StepStatus.SCHEDULED, StepStatus.STARTED, StepStatus.STARTED),
        (StepStatus.CANCELED, StepStatus.SCHEDULED, StepStatus.CANCELED),
    ],
)
def test_a_status_message_moves_on_never_back(said: StepStatus, before: StepStatus, after: StepStatus) -> None:
    step = StepRequest(step_id="S1", procedure_id="R1", status=said)

    assert decide(booked(before), request("status", (step,)), NEW, NOW).order.steps[0].status is after


@pytest.mark.parametrize("status", list(StepStatus))
@pytest.mark.parametrize("happening", list(Happening))
def test_the_table_knows_every_state_and_leads_only_to_known_ones(status: StepStatus, happening: Happening) -> None:
    after = advance(Step(step_id="S", procedure_id="R", status=status), happening, NOW)

    assert after is None or after.status in NEXT


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["SCHEDULED", "STARTED"], "in_progress"),
        (["COMPLETED", "CANCELED"], "completed"),
        (["COMPLETED", "SCHEDULED"], "scheduled"),
        (["DISCONTINUED", "CANCELED"], "discontinued"),
        (["CANCELED"], "cancelled"),
        (["ON_HOLD"], "on_hold"),
        ([], "scheduled"),
    ],
)
def test_an_order_is_what_its_steps_are(statuses: list[str], expected: str) -> None:
    steps = [Step(step_id=str(n), procedure_id="R", status=StepStatus(s)) for n, s in enumerate(statuses)]

    assert order_status(steps) == expected


def test_null_empties_and_missing_leaves() -> None:
    assert merge({"A": "1", "B": "2"}, {"A": "", "B": None, "C": "3"}) == {"A": "", "B": "2", "C": "3"}


def test_a_new_patient_was_nobody_before() -> None:
    said = PatientRequest(patient_id="7", issuer="GENERAL", attributes={"PatientName": "MUSTER^ANNA"})
    assert update_patient(Patient(ref="R1", patient_id="7", issuer="GENERAL"), said).former == ()


def test_a_renamed_patient_is_remembered_under_the_old_name() -> None:
    patient = Patient(ref="p", patient_id="1", attributes={"PatientName": "OLD^NAME"})

    changed = update_patient(patient, PatientRequest(patient_id="1", attributes={"PatientName": "NEW^NAME"}))

    assert changed.name == "NEW^NAME"
    assert [identity.name for identity in changed.former] == ["OLD^NAME"]


@pytest.mark.parametrize(
    ("patient_id", "issuer", "is_same"), [("1", "H", True), ("1", "", True), ("1", "X", False), ("2", "H", False)]
)
def test_an_empty_issuer_is_no_contradiction(patient_id: str, issuer: str, is_same: bool) -> None:
    patient = Patient(ref="p", patient_id="1", issuer="H")

    assert is_same_patient(patient, PatientRequest(patient_id=patient_id, issuer=issuer)) is is_same


def test_a_step_that_a_whole_procedure_leaves_out_is_cancelled_unless_it_has_begun() -> None:
    order = booked(StepStatus.SCHEDULED, StepStatus.SCHEDULED, StepStatus.STARTED)
    said = (StepRequest(step_id="S1", procedure_id="R1"),)

    decision = decide(order, request("update", said, replaces_steps=True), NEW, NOW)

    assert [step.status for step in decision.order.steps] == ["SCHEDULED", "CANCELED", "STARTED"]
    assert [remark.type for remark in decision.remarks] == ["order.cancelled", "order.noted", "order.updated"]


def test_a_whole_procedure_says_nothing_of_other_procedures_and_other_order_numbers() -> None:
    order = booked(StepStatus.SCHEDULED, StepStatus.SCHEDULED)
    theirs = Number(number="F2")
    steps = (order.steps[0], replace(order.steps[1], filler=theirs), Step(step_id="S9", procedure_id="R9"))
    said = (StepRequest(step_id="S1", procedure_id="R1", filler=Number(number="F1")),)

    decision = decide(replace(order, steps=steps), request("update", said, replaces_steps=True), NEW, NOW)

    assert {step.status for step in decision.order.steps} == {StepStatus.SCHEDULED}
