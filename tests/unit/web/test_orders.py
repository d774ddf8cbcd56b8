"""Orders over HTTP: the contract's JSON, references of any shape, filters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from broker.domain.order import Identity, Order, Patient

pytestmark = pytest.mark.anyio

CONTRACT = {
    "id": "01JD0000000000000000000041",
    "accession": "A41",
    "accession_issuer": None,
    "placer_number": "P41",
    "filler_number": "F41",
    "status": "completed",
    "priority": "ROUTINE",
    "patient": {
        "id": "77041",
        "issuer": "GENERAL",
        "name": "Ibáñez^Núria^^Dra",
        "birth_date": "1979-03-12",
        "sex": "F",
        "other_ids": [],
    },
    "procedures": [{"id": "RP41", "study_uid": "1.2.41", "code": "CTABD", "scheme": "L", "description": "CT abdomen"}],
    "steps": [
        {
            "id": "SP41",
            "procedure_id": "RP41",
            "status": "COMPLETED",
            "modality": "CT",
            "stations": ["CT1"],
            "start": "2026-04-01T10:15:00+02:00",
            "description": "CT abdomen plain",
        }
    ],
    "performed_steps": [
        {
            "uid": "1.2.9",
            "status": "COMPLETED",
            "ae": "CT1",
            "started": "2026-04-01T10:20:00+02:00",
            "ended": "2026-04-01T10:31:00+02:00",
            "step_ids": ["SP41"],
            "series": 1,
            "instances": 3,
            "missing": 0,
        }
    ],
    "studies": [
        {
            "uid": "1.2.41",
            "status": "available",
            "verdict": "matched",
            "evidence": "mpps",
            "series": 1,
            "instances": 3,
            "findings": [{"attribute": "PatientName", "ordered": "Ibáñez^Núria", "found": "IBANEZ^NURIA", "weight": 0}],
        }
    ],
    "deliveries": [
        {
            "id": "D1",
            "destination": "ris",
            "event": "study.available",
            "state": "delivered",
            "attempts": 1,
            "at": "2026-04-01T10:30:00.000+02:00",
            "error": None,
        }
    ],
    "timeline": [
        {
            "at": "2026-04-01T10:30:00.000+02:00",
            "event": "order.scheduled",
            "text": "ORM^O01 NW from HIS: scheduled",
            "alarm": False,
            "ref": {"message": "M1"},
        }
    ],
}


async def test_an_order_is_shown_as_the_contract_has_it(client: Any) -> None:
    async with client() as http:
        answer = await http.get("/api/v1/orders/A41")
    assert answer.json() == CONTRACT


async def test_an_order_is_found_by_our_id(client: Any) -> None:
    async with client() as http:
        answer = await http.get(f"/api/v1/orders/{CONTRACT['id']}")
    assert answer.json()["accession"] == "A41"


@pytest.mark.parametrize("accession", ["2026/04/77", "A/../B", "a b?c#d%e", "..", "ÄÖ 山田", "x/retry", "100%", "a+b"])
async def test_an_accession_number_of_any_characters_names_its_order(
    client: Any, hospital: Any, accession: str
) -> None:
    life = hospital.lives[0]
    life.order = replace(life.order, accession=accession)
    async with client() as http:
        answer = await http.get("/api/v1/orders/" + quote(accession, safe="").replace(".", "%2E"))
    assert answer.json()["accession"] == accession


async def test_absent_values_are_null(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]
    life.order = Order(id="X", facility="", patient_ref="P", created_at=hospital.now, updated_at=hospital.now)
    life.patient = Patient(ref="P", patient_id="")
    async with client() as http:
        shown = (await http.get("/api/v1/orders/X")).json()
    names = ("accession", "accession_issuer", "placer_number", "filler_number", "priority")
    assert [shown[name] for name in names] == [None] * 5
    assert shown["patient"] == dict.fromkeys(("id", "issuer", "name", "birth_date", "sex")) | {"other_ids": []}


async def test_numbers_of_old_and_elsewhere_are_other_ids(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]
    elsewhere = {"OtherPatientIDsSequence": [{"PatientID": "E9"}]}
    old = Identity(patient_id="70000", issuer="GENERAL")
    life.patient = replace(life.patient, former=(old,), attributes={**life.patient.attributes, **elsewhere})
    async with client() as http:
        shown = (await http.get("/api/v1/orders/A41")).json()
    assert shown["patient"]["other_ids"] == [{"id": "70000", "issuer": "GENERAL"}, {"id": "E9", "issuer": None}]


async def test_a_birth_date_that_is_none_is_null(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]
    life.patient = replace(life.patient, attributes={"PatientBirthDate": "19790230"})
    async with client() as http:
        shown = (await http.get("/api/v1/orders/A41")).json()
    assert shown["patient"]["birth_date"] is None


async def test_an_unknown_order_is_404_and_says_what_to_give(client: Any) -> None:
    async with client() as http:
        answer = await http.get("/api/v1/orders/A99")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "no order A99",
        "hint": "give our id, or an accession number (percent-encoded in a path)",
    }


async def test_an_accession_number_of_two_orders_is_409_with_the_candidates(client: Any, hospital: Any) -> None:
    first = hospital.lives[0]
    second = replace(first.order, id="02", facility="NORTH")
    hospital.lives.append(type(first)(second, first.patient))
    async with client() as http:
        answer = await http.get("/api/v1/orders/A41")
    assert answer.status_code == 409
    assert [(one["id"], one["facility"]) for one in answer.json()["candidates"]] == [
        (CONTRACT["id"], "GENERAL"),
        ("02", "NORTH"),
    ]


async def test_filters_reach_the_store_in_the_departments_time(client: Any, hospital: Any) -> None:
    async with client() as http:
        await http.get(
            "/api/v1/orders?accession=A1&patient_id=7&status=on_hold&modality=CT&from=2026-04-01T22:30:00Z&to=2026-04-03&limit=7&cursor=01JD0000000000000000000000"
        )
    assert hospital.asked == {
        "accession": "A1",
        "patient_id": "7",
        "status": "on_hold",
        "modality": "CT",
        "start_from": "20260402003000",
        "start_to": "20260403235959",
        "limit": 7,
        "cursor": "01JD0000000000000000000000",
    }


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("2026-04-01", "20260401000000"),
        ("2026-04-01T10:15", "20260401101500"),
        ("2026-04-01 10:15:30", "20260401101530"),
        ("2026-04-01T10:15:00+00:00", "20260401121500"),
        ("2026-04-01T10:15:00%2B00:00", "20260401121500"),
        ("2026-01-01T10:15:00Z", "20260101111500"),
    ],
)
async def test_a_moment_may_be_written_in_several_ways(client: Any, hospital: Any, said: str, start: str) -> None:
    async with client() as http:
        await http.get(f"/api/v1/orders?from={said}")
    assert hospital.asked["start_from"] == start


async def test_filters_that_are_empty_ask_for_nothing(client: Any, hospital: Any) -> None:
    async with client() as http:
        answer = await http.get("/api/v1/orders?accession=&patient_id=&status=&modality=&from=&to=&limit=&cursor=")
    assert (answer.status_code, hospital.asked["limit"], hospital.asked["status"]) == (200, 50, "")


async def test_the_list_gives_orders_with_their_patients_and_steps(client: Any) -> None:
    async with client() as http:
        answer = (await http.get("/api/v1/orders")).json()
    later = ("performed_steps", "studies", "deliveries", "timeline")
    assert answer == {
        "items": [{name: value for name, value in CONTRACT.items() if name not in later}],
        "next": None,
    }


@pytest.mark.parametrize(
    ("query", "error", "hint"),
    [
        (
            "colour=red",
            "'colour' is not a parameter of /api/v1/orders",
            "allowed: accession, patient_id, status, modality, from, to, limit, cursor",
        ),
        (
            "status=done",
            "status cannot be 'done'",
            "allowed: scheduled, on_hold, in_progress, completed, discontinued, cancelled",
        ),
        ("limit=0", "limit cannot be '0'", "allowed: a number from 1 to 500"),
        ("limit=501", "limit cannot be '501'", "allowed: a number from 1 to 500"),
        ("limit=ten", "limit cannot be 'ten'", "allowed: a number from 1 to 500"),
        ("limit=%D9%A1", "limit cannot be '١'", "allowed: a number from 1 to 500"),
        (
            "from=yesterday",
            "from cannot be 'yesterday'",
            "allowed: a date (2026-04-01) or a time (2026-04-01T10:15:00+02:00)",
        ),
        (
            "to=0001-01-01T00:00:00%2B14:00",
            "to cannot be '0001-01-01T00:00:00+14:00'",
            "allowed: a date (2026-04-01) or a time (2026-04-01T10:15:00+02:00)",
        ),
        (
            "cursor=nonsense",
            "cursor cannot be 'nonsense'",
            "take it from next of the page before, or leave it out for the first page",
        ),
        ("status=completed&status=scheduled", "status is given twice", "give it once"),
        ("accession=" + "A" * 257, "accession has 257 characters", "allowed: 1 to 256"),
    ],
)
async def test_a_bad_parameter_is_400_with_what_is_allowed(client: Any, query: str, error: str, hint: str) -> None:
    async with client() as http:
        answer = await http.get(f"/api/v1/orders?{query}")
    assert (answer.status_code, answer.json()) == (400, {"error": error, "hint": hint})
