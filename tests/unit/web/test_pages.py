"""The console's pages: what they show, what they hide, and that nothing from outside becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.domain.events import Event
from broker.domain.order import Patient
from broker.domain.study import Finding
from broker.services.inspect import Part

pytestmark = pytest.mark.anyio

HOSTILE = "\"><script>alert('1')</script>"


async def page(client: Any, path: str = "/") -> str:
    async with client() as http:
        answer = await http.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return re.sub(r"\s+", " ", str(answer.text))


async def test_the_overview_says_that_everything_is_running(client: Any) -> None:
    assert "Everything is running" in await page(client)


async def test_the_overview_says_what_does_not_work(client: Any, hospital: Any, make: Any) -> None:
    hospital.parts = [Part(name="PACS", kind="destination", is_up=False, error="connection refused")]
    hospital.deliveries = {"D1": make.delivery(destination="PACS", state="dead")}
    text = await page(client)
    assert "PACS does not answer; PACS has 1 undelivered" in text
    assert "connection refused" in text


async def test_the_overview_shows_todays_orders_with_the_patient_masked(client: Any, hospital: Any) -> None:
    text = await page(client)
    for shown in ("10:15", ">A41</a>", "N. I. ***041", "CT abdomen", "CT1", "completed"):
        assert shown in text
    assert "Núria" not in text
    assert "77041" not in text
    assert (hospital.asked["start_from"], hospital.asked["start_to"]) == ("20260401000000", "20260401235959")


async def test_what_waits_is_shown_by_its_time_then_what_has_ended_the_latest_first(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]

    def other(accession: str, status: str, start: str, minutes: int) -> Any:
        steps = (replace(life.order.steps[0], start=start),)
        changed_at = hospital.now + timedelta(minutes=minutes)
        order = replace(
            life.order, id=accession, accession=accession, status=status, steps=steps, updated_at=changed_at
        )
        return type(life)(order, life.patient)

    hospital.lives = [
        other("E1", "completed", "20260401080000", 5),
        other("W3", "on_hold", "", 0),
        other("W2", "in_progress", "20260401120000", 0),
        other("E2", "cancelled", "20260401180000", 1),
        other("W1", "scheduled", "20260401090000", 0),
        other("E3", "discontinued", "20260401070000", 9),
    ]
    text = await page(client)
    assert re.findall(r">([EW]\d)</a>", text) == ["W1", "W2", "W3", "E3", "E1", "E2"]
    assert "Waiting and under way <small>3 today" in text
    assert "Ended <small>3 today" in text


async def test_alarms_of_the_last_day_are_shown_without_values(client: Any, hospital: Any) -> None:
    alarm = Event(
        id="E1", type="study.mismatched", at=hospital.now, text="found 'DOE^JOHN'", is_alarm=True, subject="A7"
    )
    old = replace(alarm, at=hospital.now - timedelta(days=2), text="long ago")
    hospital.events = [alarm, old]
    text = await page(client)
    assert "A7" in text
    assert '<span class="state mismatched">mismatched</span>' in text
    assert "DOE" not in text
    assert "long ago" not in text


async def test_nothing_from_outside_becomes_markup(client: Any, hospital: Any, make: Any) -> None:
    life = hospital.lives[0]
    step = replace(
        life.order.steps[0],
        step_id=HOSTILE,
        modality=HOSTILE,
        stations=(HOSTILE,),
        attributes={"ScheduledProcedureStepDescription": HOSTILE},
    )
    procedure = replace(life.order.procedures[0], attributes={"RequestedProcedureDescription": HOSTILE})
    life.order = replace(
        life.order, accession=HOSTILE, priority=HOSTILE, steps=(step,), procedures=(procedure,), status=HOSTILE
    )
    life.patient = Patient(ref="P", patient_id=HOSTILE, attributes={"PatientName": HOSTILE})
    life.events = [replace(life.events[0], text=HOSTILE)]
    life.studies = [
        replace(life.studies[0], findings=(Finding(attribute=HOSTILE, ordered=HOSTILE, found=HOSTILE, weight=1),))
    ]
    life.deliveries = [make.delivery(destination=HOSTILE, error=HOSTILE)]
    hospital.parts = [Part(name=HOSTILE, kind="destination", is_up=False, address=HOSTILE, error=HOSTILE)]
    hospital.events = [replace(life.events[0], is_alarm=True, subject=HOSTILE)]
    hospital.studies = {HOSTILE: make.held(uid=HOSTILE, ae=HOSTILE, modality=HOSTILE, order_ids=(life.order.id,))}
    for text in (await page(client), await page(client, f"/orders/{life.order.id}")):
        assert "<script>alert" not in text
        assert text.count("<script") == 2
        assert HOSTILE not in text


async def test_an_orders_page_tells_what_happened(client: Any) -> None:
    text = await page(client, "/orders/A41")
    for shown in ("ORM^O01 NW from HIS: scheduled", "SP41", "study.available", "delivered", "1 series, 3 objects"):
        assert shown in text


async def test_an_orders_page_masks_findings_about_the_patient(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]
    findings = (
        Finding(attribute="PatientName", ordered="Ibáñez^Núria", found="DOE^JOHN", weight=2),
        Finding(attribute="PatientBirthDate", ordered="19790312", found="", weight=1),
        Finding(attribute="AccessionNumber", ordered="A41", found="A42"),
    )
    life.studies = [replace(life.studies[0], findings=findings)]
    text = await page(client, "/orders/A41")
    assert "PatientName: ordered N. I., found J. D." in text
    assert "PatientBirthDate: ordered 1979, found empty" in text
    assert "AccessionNumber: ordered A41, found A42" in text


async def test_a_cancel_that_came_too_late_is_shown(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]
    life.order = replace(life.order, is_cancel_asked=True)
    assert "A cancel was asked for" in await page(client, "/orders/A41")


async def test_an_order_without_anything_has_a_page(client: Any, hospital: Any) -> None:
    life = hospital.lives[0]
    order = replace(life.order, accession="", placer=None, filler=None, priority="", procedures=(), steps=())
    hospital.lives = [type(life)(order, Patient(ref="P", patient_id=""))]
    assert "Order without accession number" in await page(client, f"/orders/{order.id}")
    assert "(none)" in await page(client)


async def test_an_unknown_order_has_a_page_that_says_so(client: Any) -> None:
    assert f"no order {'&lt;b&gt;'}" in await page(client, "/orders/%3Cb%3E")


async def test_an_accession_number_of_two_orders_leads_to_both(client: Any, hospital: Any) -> None:
    first = hospital.lives[0]
    hospital.lives.append(type(first)(replace(first.order, id="02", facility="NORTH"), first.patient))
    text = await page(client, "/orders/A41")
    assert f'href="/orders/{first.order.id}"' in text
    assert 'href="/orders/02"' in text


async def test_the_mappings_page_shows_what_is_to_do_without_values_of_patients(
    client: Any, hospital: Any, make: Any
) -> None:
    raw = "MSH|^~\\&|HIS|H|||20260401||ORM^O01|1|P|2.3\rPID|||7||Doe^Jane||1979|Q\rORC|NW|P1\r"
    raw += f"OBR||P1{'|' * 17}R1|S1\rZDS|1.2\r"
    hospital.messages = [make.message(raw=raw.encode(), charset="ascii")]
    text = await page(client, "/mappings")
    assert "in the last 1 messages" in text
    assert "&#39;Q&#39; is not in its map" in text
    assert 'href="/api/v1/messages/M1"' in text
    assert "Doe" not in text


async def test_the_mappings_page_says_which_are_templates_and_which_nobody_uses(client: Any) -> None:
    rows = re.findall(r"<tr><td>([a-z]+)</td>.*?</tr>", await page(client, "/mappings"))
    assert rows == ["a", "out", "t"]
    text = await page(client, "/mappings")
    uses = re.findall(r"<tr><td>[a-z]+</td>.*?</td> <td>(?:<span[^>]*>)(.*?)</span>", text)
    assert uses == ["in force", "in force", "template"]
    assert "&lt;b&gt;" in text


async def test_the_mappings_page_shows_what_keeps_the_folder_out(client: Any) -> None:
    async with client(is_local=True) as http:
        await http.post("/api/v1/mappings/reload", json={})
        text = (await http.get("/mappings")).text
    assert "The folder of mappings is not in force" in text
    assert "broken.yaml:1:1" in text


async def test_pages_ask_nobody_else_for_anything(client: Any) -> None:
    links = re.findall(
        r'(?:src|href)="([^"]*)"',
        await page(client) + await page(client, "/orders/A41") + await page(client, "/mappings"),
    )
    assert all(link.startswith("/") and not link.startswith("//") for link in links)
    async with client() as http:
        for link in set(links):
            assert (await http.get(link)).status_code == 200, link
