"""Who hears of an event, and what becomes of a delivery after each attempt."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.observe.metrics import Metrics
from broker.services.cloudevents import cloud_event, topic
from broker.services.identifiers import Ulids
from broker.services.notices import Outbox, Outcome, Subscription, settle

NOW = datetime(2026, 4, 1, 10, tzinfo=UTC)
FACTS = {
    "event": {"at": "20260401120000"},
    "patient": {"id": "1", "issuer": "H", "name": "A^B", "birth_date": "19800102", "sex": "F"},
    "order": {"accession": "A/1", "reason": "pain", "status": "scheduled"},
    "findings": [{"attribute": "PatientName", "ordered": "A^B", "found": "C^D", "weight": 2}],
}


def event(type: str = "study.available", **changes: object) -> Event:
    return Event(id="E1", type=type, at=NOW, text="t", order_id="o", subject="A/1", facts=FACTS, **changes)  # type: ignore[arg-type]


def delivery(**changes: object) -> Delivery:
    values = {"id": "D1", "destination": "ris", "lane": "l", "control_id": "C", "not_before": NOW, "created_at": NOW}
    return Delivery(**{**values, "updated_at": NOW, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (["delivered"], "delivered"),
        (["down", "down", "delivered"], "delivered"),
        (["refused"], "retryable"),
        (["refused", "refused", "refused"], "dead"),
        (["dead"], "dead"),
        (["retry"] * 10, "retryable"),
        (["broken"] * 10, "retryable"),
    ],
)
def test_a_delivery_after_its_attempts(outcomes: list[str], state: str) -> None:
    row = delivery()

    for outcome in outcomes:
        row = settle(row, Outcome(kind=outcome), NOW)  # type: ignore[arg-type]

    assert (row.state, row.attempts) == (state, len(outcomes))


@pytest.mark.parametrize(
    ("type", "patterns", "needs_order", "is_wanted"),
    [
        ("study.available", ("study.*",), False, True),
        ("study.extended", ("study.available",), True, True),
        ("study.extended", ("study.available",), False, False),
        ("order.noted", ("*",), False, False),
        ("order.updated", ("study.available",), False, False),
    ],
)
def test_a_destination_hears_what_it_subscribed(
    type: str, patterns: tuple[str, ...], needs_order: bool, is_wanted: bool
) -> None:
    subscription = Subscription(destination="d", events=patterns, needs_order=needs_order)

    assert subscription.wants(event(type)) is is_wanted


def test_an_order_notice_needs_an_accession_number() -> None:
    subscription = Subscription(destination="d", events=("*",), needs_order=True)

    assert not subscription.wants(Event(id="1", type="study.available", at=NOW, text="", facts={}))


def test_patient_events_keep_their_order_per_patient_and_others_per_order() -> None:
    outbox = Outbox([Subscription(destination="d", events=("*",), needs_order=False)], Ulids(lambda: NOW), Metrics())

    lanes = [outbox.fan_out(event(type, patient_ref="p"))[0].lane for type in ("patient.updated", "order.updated")]

    assert lanes == ["patient p", "order o"]


def test_every_notice_has_a_control_id_of_its_own() -> None:
    subscriptions = [Subscription(destination=name, events=("*",), needs_order=False) for name in "ab"]

    rows = Outbox(subscriptions, Ulids(lambda: NOW), Metrics()).fan_out(event())

    assert len({row.control_id for row in rows}) == 2
    assert all(len(row.control_id) <= 20 for row in rows)


def test_the_topic_holds_the_accession_number_percent_encoded() -> None:
    assert topic(event(), "site") == "radbroker/site/study/available/A%2F1"


@pytest.mark.parametrize(
    ("phi", "patient"),
    [
        ("full", {"id": "1", "issuer": "H", "name": "A^B", "birth_date": "1980-01-02", "sex": "F"}),
        ("ids", {"id": "1", "issuer": "H"}),
        ("none", None),
    ],
)
def test_an_event_says_as_much_of_the_patient_as_it_may(phi: str, patient: object) -> None:
    payload = json.loads(cloud_event(event(), site="s", phi=phi, zone=ZoneInfo("Europe/Madrid")))  # type: ignore[arg-type]

    assert payload["data"]["patient"] == patient
    assert payload["time"] == "2026-04-01T12:00:00+02:00"
    assert ("found" in payload["data"]["findings"][0]) is (phi == "full")
    assert ("reason" in payload["data"]["order"]) is (phi == "full")


def test_identifiers_sort_by_the_order_in_which_they_were_made() -> None:
    ids = Ulids(lambda: NOW)

    made = [ids() for _ in range(1000)]

    assert made == sorted(set(made))
    assert {len(one) for one in made} == {26}


def test_a_row_over_which_the_receiver_fell_silent_waits_and_one_that_found_nobody_does_not() -> None:
    broken, down = (settle(delivery(), Outcome(kind=kind), NOW) for kind in ("broken", "down"))  # type: ignore[arg-type]

    assert broken.not_before > NOW
    assert down.not_before == NOW


def test_a_patients_notice_needs_no_order() -> None:
    subscription = Subscription(destination="d", events=("patient.*",), needs_order=True)

    assert subscription.wants(replace(event("patient.updated"), facts={}))
