"""Worklists, messages, deliveries, accounts, health, and requests that make no sense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.domain.order import StepStatus
from broker.domain.worklist import WorklistEntry
from broker.errors import BrokerError
from broker.services.inspect import Part

pytestmark = pytest.mark.anyio


@pytest.fixture
def entry(hospital: Any) -> WorklistEntry:
    """Put one entry on everybody's worklist."""
    step = {"ScheduledProcedureStepID": "SP41", "Modality": "CT", "ScheduledStationAETitle": "CT1"}
    entry = WorklistEntry(
        key="k",
        order_id=hospital.lives[0].order.id,
        status=StepStatus.SCHEDULED,
        item={"PatientName": "Ibáñez^Núria", "AccessionNumber": "A41", "ScheduledProcedureStepSequence": [step]},
    )
    hospital.listed = [(entry, entry.item)]
    return entry


async def test_a_worklist_shows_items_by_keyword_with_their_order(client: Any, entry: WorklistEntry) -> None:
    async with client() as http:
        answer = await http.get("/api/v1/worklist?ae=CT1")
    assert answer.json() == {
        "ae": "CT1",
        "items": [{"order_id": entry.order_id, "accession": "A41", "step_id": "SP41", "item": entry.item}],
    }


async def test_why_says_that_a_scanner_sees_an_order(client: Any, entry: WorklistEntry) -> None:
    async with client() as http:
        answer = await http.get("/api/v1/worklist/why?ae=CT1&accession=A41")
    step = {"order_id": entry.order_id, "step_id": "SP41", "status": "SCHEDULED", "visible": True, "reasons": []}
    assert answer.json() == {"ae": "CT1", "accession": "A41", "visible": True, "reasons": [], "steps": [step]}


async def test_why_says_each_reason_once(client: Any, hospital: Any, entry: WorklistEntry) -> None:
    hospital.listed = [(entry, entry.item), (entry, entry.item)]
    hospital.reasons = {"CT2": ["it is assigned to CT1; asked for was CT2"]}
    async with client() as http:
        answer = (await http.get("/api/v1/worklist/why?ae=CT2&accession=A41")).json()
    assert (answer["visible"], answer["reasons"]) == (False, ["it is assigned to CT1; asked for was CT2"])
    assert len(answer["steps"]) == 2


async def test_why_says_that_an_order_has_no_step(client: Any) -> None:
    async with client() as http:
        answer = (await http.get("/api/v1/worklist/why?ae=CT1&accession=A41")).json()
    assert (answer["visible"], answer["reasons"]) == (False, ["the order has no scheduled step"])


async def test_a_list_of_messages_holds_no_patient_data(client: Any) -> None:
    async with client() as http:
        answer = await http.get("/api/v1/messages?state=refused")
    assert "Núria" not in answer.text
    assert "77041" not in answer.text
    assert answer.json()["items"][0]["error"] == "PatientID: '***' is too long"


async def test_a_message_is_shown_as_it_came_and_as_it_was_answered(client: Any) -> None:
    async with client() as http:
        answer = (await http.get("/api/v1/messages/M1")).json()
    assert answer["raw"] == "MSH|^~\\&|HIS\rPID|1||77041||Ibáñez^Núria\r"
    assert answer["answer"] == "MSH|^~\\&|BROKER\rMSA|AE|4711\r"


@pytest.mark.parametrize("charset", ["", "no such set", "hex", "utf-8", "a\0b"])
async def test_a_message_in_an_unreadable_set_is_still_shown(
    client: Any, hospital: Any, make: Any, charset: str
) -> None:
    hospital.messages = [make.message(raw=b"MSH|\xff", charset=charset)]
    async with client() as http:
        answer = (await http.get("/api/v1/messages/M1")).json()
    assert answer["raw"] == "MSH|\ufffd"


async def test_filters_of_messages_reach_the_store(client: Any, hospital: Any) -> None:
    async with client() as http:
        await http.get(
            "/api/v1/messages?state=parked&listener=his&type=ORM%5EO01&order=01JD&limit=5&cursor=01JD0000000000000000000009"
        )
    assert hospital.asked == {
        "state": "parked",
        "listener": "his",
        "type": "ORM^O01",
        "order_id": "01JD",
        "limit": 5,
        "cursor": "01JD0000000000000000000009",
    }


async def test_a_page_of_deliveries_says_where_the_next_begins(client: Any, hospital: Any) -> None:
    async with client() as http:
        answer = (await http.get("/api/v1/deliveries?state=dead&destination=ris")).json()
    assert hospital.asked == {"state": "dead", "destination": "ris", "limit": 50, "cursor": ""}
    assert answer["next"] == "more"


async def test_a_retried_delivery_is_available_again(client: Any, hospital: Any, make: Any) -> None:
    hospital.deliveries["D1"] = make.delivery(state="dead", refusals=3)
    async with client() as http:
        answer = await http.post("/api/v1/deliveries/D1/retry")
    assert answer.json()["state"] == "available"


async def test_a_delivered_notice_is_not_cancelled(client: Any) -> None:
    async with client() as http:
        answer = await http.post("/api/v1/deliveries/D1/cancel")
    assert answer.status_code == 409
    assert answer.json() == {
        "error": "delivery D1: it has been delivered",
        "hint": "only a notice that has not ended is cancelled",
    }


async def test_a_user_is_added_once_and_changed_afterwards(client: Any) -> None:
    async with client(is_local=True) as http:
        first = await http.post("/api/v1/users", json={"name": "anna", "password": "long enough"})
        second = await http.post("/api/v1/users", json={"name": "anna", "password": "longer still"})
    assert (first.status_code, first.json()) == (201, {"name": "anna", "created": True})
    assert (second.status_code, second.json()) == (200, {"name": "anna", "created": False})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 5000, "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'{"name": "anna"}', "password is missing"),
        (b'{"name": 7, "password": "long enough"}', "name is not a text"),
        (b'{"name": "anna", "password": "short"}', "password has 5 characters"),
        (b'{"name": "a:b", "password": "long enough"}', "that name cannot be used"),
        (b'{"name": "a\\u0000", "password": "long enough"}', "that name cannot be used"),
        (b'{"name": "anna", "password": "long enough", "role": "x"}', "'role' is not a parameter of /api/v1/users"),
    ],
)
async def test_a_bad_body_is_400(client: Any, body: bytes, error: str) -> None:
    async with client(is_local=True) as http:
        answer = await http.post("/api/v1/users", content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_name_in_the_query_is_no_name_in_the_body(client: Any) -> None:
    async with client(is_local=True) as http:
        answer = await http.post("/api/v1/users?name=anna", json={"password": "long enough"})
    assert answer.status_code == 400


async def test_a_large_body_is_refused(client: Any) -> None:
    async with client(is_local=True) as http:
        answer = await http.post("/api/v1/users", content=b" " * 100_000)
    assert answer.status_code == 413


async def test_it_is_ready_when_all_parts_are(client: Any) -> None:
    async with client() as http:
        answer = await http.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


@pytest.mark.parametrize("is_up", [False, None])
@pytest.mark.parametrize("kind", ["listener", "store"])
async def test_it_is_not_ready_when_a_part_is_not(client: Any, hospital: Any, kind: Any, is_up: bool | None) -> None:
    hospital.parts = [Part(name="x", kind=kind, is_up=is_up, error="disk full")]
    async with client() as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == [{"name": "x", "kind": kind, "up": is_up, "address": None, "error": "disk full"}]


async def test_a_destination_that_is_down_keeps_nobody_from_working(client: Any, hospital: Any) -> None:
    hospital.parts = [replace(part, is_up=part.kind != "destination") for part in hospital.parts]
    async with client() as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/", "/api/v2/orders", "/static/none.css", "/static/..%2Fapp.py"])
async def test_an_unknown_path_is_404_in_json(client: Any, path: str) -> None:
    async with client() as http:
        answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "not found", "hint": "/api/openapi.json lists every path"}


async def test_a_method_that_a_path_has_not_is_405(client: Any) -> None:
    async with client() as http:
        answer = await http.delete("/api/v1/orders")
    assert (answer.status_code, answer.json()["error"]) == (405, "method not allowed")


@pytest.mark.parametrize(
    ("error", "status", "answer"),
    [
        (
            BrokerError("disk full", code="S007", ack="AR", hint="free some"),
            503,
            {"error": "disk full", "hint": "free some"},
        ),
        (RuntimeError("secret of Núria"), 500, {"error": "a fault of the broker", "hint": "its log says more"}),
    ],
)
async def test_a_fault_of_ours_is_told_without_its_details(
    client: Any, hospital: Any, error: Exception, status: int, answer: dict[str, str]
) -> None:
    hospital.fault = error
    async with client() as http:
        got = await http.get("/api/v1/messages")
    assert (got.status_code, got.json()) == (status, answer)
