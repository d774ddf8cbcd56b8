"""From a mapping's outputs to one request an order."""

from __future__ import annotations

from typing import Any

import pytest

from broker.domain.order import StepStatus
from broker.mapping.engine import Output
from broker.services.requests import order_requests, start_text


def output(group: int = 1, action: str = "create", step: dict[str, Any] | None = None, **item: Any) -> Output:
    said = {"ScheduledProcedureStepID": f"S{group}"} if step is None else step
    made = {"PatientID": "7", "RequestedProcedureID": "R1", **item, "ScheduledProcedureStepSequence": [said]}
    return Output(group=group, action=action, control="NW", item=made)


def test_groups_of_one_accession_number_are_one_request() -> None:
    (request,) = order_requests([output(1, AccessionNumber="A1"), output(2, AccessionNumber="A1")], "H")

    assert [said.step_id for said in request.steps] == ["S1", "S2"]


@pytest.mark.parametrize(
    "item",
    [
        ({"AccessionNumber": "A1"}, {"AccessionNumber": "A2"}),
        ({"FillerOrderNumberImagingServiceRequest": "F1"}, {"FillerOrderNumberImagingServiceRequest": "F2"}),
        ({}, {}),
    ],
)
def test_other_groups_are_requests_of_their_own(item: tuple[dict[str, str], dict[str, str]]) -> None:
    assert len(order_requests([output(1, **item[0]), output(2, **item[1])], "H")) == 2


def test_groups_that_ask_for_different_things_are_requests_of_their_own() -> None:
    outputs = [output(1, AccessionNumber="A1"), output(2, "cancel", AccessionNumber="A1")]

    assert [request.action for request in order_requests(outputs, "H")] == ["create", "cancel"]


def test_what_a_message_does_not_say_is_none_and_what_it_empties_is_empty() -> None:
    step = {"ScheduledProcedureStepID": "S1", "Modality": None, "ScheduledStationAETitle": "", "Other": "x"}

    (request,) = order_requests([output(step=step)], "H")

    (said,) = request.steps
    assert (said.modality, said.stations, said.start) == (None, (), None)
    assert said.attributes == {"Other": "x"}


def test_several_stations_and_a_namespace() -> None:
    step = {"ScheduledProcedureStepID": "S1", "ScheduledStationAETitle": ["CT1", "CT2"]}
    placer = {
        "PlacerOrderNumberImagingServiceRequest": "P1",
        "OrderPlacerIdentifierSequence": [{"LocalNamespaceEntityID": "HIS"}],
    }

    (request,) = order_requests([output(step=step, **placer)], "H")

    assert request.steps[0].stations == ("CT1", "CT2")
    assert request.placer is not None
    assert (request.placer.number, request.placer.namespace) == ("P1", "HIS")


def test_a_status_without_a_step_is_of_any_step() -> None:
    (request,) = order_requests([output(step={"ScheduledProcedureStepStatus": "STARTED"})], "H")

    assert [(said.step_id, said.status) for said in request.steps] == [("", StepStatus.STARTED)]


def test_a_message_without_step_and_patient_names_neither() -> None:
    (request,) = order_requests([output(step={}, PatientID="")], "H")

    assert (request.patient, request.steps) == (None, ())


@pytest.mark.parametrize(
    ("date", "time", "start"),
    [
        ("20260401", "1015", "20260401101500"),
        ("20260401", "101530.25", "20260401101530"),
        ("20260401", "", "20260401000000"),
        ("", "1015", ""),
    ],
)
def test_a_start(date: str, time: str, start: str) -> None:
    assert start_text(date, time) == start


def test_every_item_of_the_step_sequence_is_a_step() -> None:
    item = output().item | {"ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": n} for n in ("S1", "S2")]}

    (request,) = order_requests([Output(group=1, action="create", control="NW", item=item, replaces_steps=True)], "H")

    assert [said.step_id for said in request.steps] == ["S1", "S2"]
    assert request.replaces_steps
