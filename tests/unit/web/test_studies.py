"""Studies over HTTP: what is shown of them, and what a person decides."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.anyio


async def test_held_studies_are_listed_with_their_findings_their_order_and_since_when(
    client: Any, hospital: Any, make: Any
) -> None:
    hospital.studies = {"1.2.41": make.held(), "1.2.42": make.held(uid="1.2.42", state="available")}
    async with client() as http:
        page = (await http.get("/api/v1/studies?state=held&limit=5")).json()

    assert hospital.asked == {"state": "held", "limit": 5, "cursor": ""}
    assert page["next"] == "more"
    (study,) = page["items"]
    assert (study["uid"], study["status"], study["verdict"], study["instances"]) == ("1.2.41", "held", "mismatched", 3)
    assert study["findings"][0] == {"attribute": "PatientID", "ordered": "77041", "found": "99999", "weight": 3}
    assert study["orders"] == [{"id": "01JD0000000000000000000041", "accession": "A41"}]
    assert (study["patient"]["id"], study["patient"]["birth_date"]) == ("99999", "1950-01-01")
    assert study["held_at"] == "2026-04-01T10:30:00.000+02:00"
    assert study["release_at"] == "2026-04-01T11:00:00.000+02:00"


@pytest.mark.parametrize(
    ("is_local", "body", "who"),
    [
        (True, None, "the command line"),
        (True, {"by": "anna"}, "anna (the command line)"),
        (False, None, "the console, without login"),
        (False, {"by": "Dr. B"}, "Dr. B (the console, without login)"),
    ],
)
async def test_the_timeline_says_who_decided(
    client: Any, hospital: Any, make: Any, is_local: bool, body: Any, who: str
) -> None:
    hospital.studies = {"1.2.41": make.held()}
    async with client(is_local=is_local) as http:
        answer = await http.post("/api/v1/studies/1.2.41/reject", json=body)

    assert (answer.status_code, answer.json()["status"]) == (200, "rejected")
    (event,) = hospital.events
    assert event.type == "study.rejected"
    assert event.text.startswith(f"rejected by {who}: its 3 objects")


async def test_who_logged_in_is_named(client: Any, hospital: Any, make: Any) -> None:
    hospital.studies = {"1.2.41": make.held(), "1.2.42": make.held(uid="1.2.42")}
    async with client("password", is_local=True) as http:
        await http.post("/api/v1/users", json={"name": "anna", "password": "long enough"})
        secret = (await http.post("/api/v1/tokens", json={"name": "ris"})).json()["token"]
    async with client("password") as http:
        for uid, how in (("1.2.41", {"auth": ("anna", "long enough")}), ("1.2.42", {"auth": None})):
            headers = {} if how["auth"] else {"authorization": f"Bearer {secret}"}
            assert (await http.post(f"/api/v1/studies/{uid}/release", headers=headers, **how)).status_code == 200
        assert (await http.post("/api/v1/studies/1.2.41/release")).status_code == 401

    assert [event.text.partition(";")[0] for event in hospital.events if event.type == "study.released"] == [
        "released by anna",
        "released by token ris",
    ]


async def test_a_study_that_is_not_held_is_not_decided_and_one_that_is_not_there_is_not_found(
    client: Any, hospital: Any, make: Any
) -> None:
    hospital.studies = {"1.2.41": make.held(state="arriving")}
    async with client() as http:
        for wish in ("release", "reject"):
            refused = await http.post(f"/api/v1/studies/1.2.41/{wish}")
            assert (refused.status_code, "it is arriving, not held" in refused.json()["error"]) == (409, True)
            assert (await http.post(f"/api/v1/studies/1.2.49/{wish}")).status_code == 404
    assert hospital.events == []


async def test_the_overview_shows_held_studies_masked_with_their_findings_and_buttons(
    client: Any, hospital: Any, make: Any
) -> None:
    hospital.studies = {"1.2.41": make.held()}
    async with client() as http:
        text = re.sub(r"\s+", " ", (await http.get("/")).text)

    assert "1 held for a decision" in text
    for shown in ("Since 10:30:00, released by itself at 11:00:00", "PatientID", ">A41</a>", "E. S. ***999"):
        assert shown in text
    assert 'data-post="/api/v1/studies/1.2.41/release"' in text
    assert "SOMEBODY" not in text
    assert "77041" not in text
