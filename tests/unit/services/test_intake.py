"""Repeats, refusals, what is ignored, and what is kept of a message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

REFUSED = ("ORC|NW|P1|F1", "OBR|1|P1|F1|X||||||||||||||A2345678901234567")


def test_a_repeat_gets_the_first_answer_and_has_no_second_effect(desk: Any, hl7: Any) -> None:
    message = f"MSH|^~\\&|HIS|H|B|R|1||ORM^O01|7|P|2.3\r{hl7.pid}\r{hl7.orc()}\r{hl7.obr('A1')}".encode()
    first = desk.send_raw(message)
    desk.send(hl7.orc("CA"))

    assert desk.send_raw(message) == first

    assert desk.order("A1").status == "cancelled"
    assert len(desk.messages()) == 2


def test_a_repeat_is_remembered_for_seven_days(desk: Any, hl7: Any) -> None:
    message = f"MSH|^~\\&|HIS|H|B|R|1||ORM^O01|7|P|2.3\r{hl7.pid}\r{hl7.orc()}\r{hl7.obr('A1')}".encode()
    desk.send_raw(message)
    desk.send(hl7.orc("CA"))
    desk.later(days=7, seconds=1)

    desk.send_raw(message)

    assert desk.order("A1").status == "scheduled"
    assert len(desk.messages()) == 3


@pytest.mark.parametrize("control_id", ["1", ""])
def test_a_sender_whose_control_id_is_always_the_same_works(desk: Any, hl7: Any, control_id: str) -> None:
    for start in ("20260401", "20260402"):
        desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", start=start), control_id=control_id)

    assert [start for *_, start in desk.steps("A1")] == ["20260402000000"]


def test_a_message_without_control_id_is_never_a_repeat(desk: Any, hl7: Any) -> None:
    for control in ("NW", "CA", "NW"):
        assert desk.send(hl7.pid, hl7.orc(control), hl7.obr("A1"), control_id="") == "AA"

    assert desk.order("A1").status == "scheduled"
    assert all("MSH-10 is empty" in message.warnings[0] for message in desk.messages())


def test_the_same_message_on_another_listener_is_no_repeat(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"), control_id="1")
    desk.rules = replace(desk.rules, name="other")

    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"), control_id="1")

    assert len(desk.messages()) == 2


@pytest.mark.parametrize(("on_refused", "answer", "state"), [("nak", "AE", "refused"), ("park", "AA", "parked")])
def test_the_same_refusal_again_is_one_problem_with_a_count(
    desk: Any, hl7: Any, on_refused: str, answer: str, state: str
) -> None:
    desk.rules = replace(desk.rules, on_refused=on_refused)

    for _ in range(3):
        assert desk.send(hl7.pid, *REFUSED) == answer
        desk.later(seconds=5)

    (message,) = desk.messages(state=state)
    assert message.count == 3
    assert desk.types() == ["message.rejected"]
    assert desk.events[0].is_alarm is (state == "parked")


def test_refusals_of_different_orders_are_different_problems(desk: Any, hl7: Any) -> None:
    desk.rules = replace(desk.rules, on_refused="park")

    for patient in ("1", "2"):
        desk.send(hl7.person(patient), *REFUSED)

    assert [message.count for message in desk.messages(state="parked")] == [1, 1]


def test_a_refused_message_is_evaluated_afresh(desk: Any, hl7: Any) -> None:
    message = f"MSH|^~\\&|HIS|H|B|R|1||ORM^O01|7|T|2.3\r{hl7.pid}\r{hl7.orc()}\r{hl7.obr('A1')}".encode()
    refused = desk.send_raw(message)
    desk.rules = replace(desk.rules, processing_ids=("P", "T"))

    accepted = desk.send_raw(message)

    assert (desk.code(refused), desk.code(accepted)) == ("AR", "AA")
    (stored,) = desk.messages()
    assert (stored.state, stored.count, stored.error) == ("accepted", 2, "")


def test_events_refer_to_the_message_that_is_stored(desk: Any, hl7: Any) -> None:
    good = (hl7.orc(), hl7.obr("A1"))
    desk.send(hl7.pid, *good, *REFUSED)

    desk.later(hours=1)
    desk.send(hl7.pid, *good, *REFUSED)

    (stored,) = desk.messages()
    assert {event.ref["message"] for event in desk.events} == {stored.id}


def test_of_several_orders_the_good_ones_take_effect(desk: Any, hl7: Any) -> None:
    assert desk.send(hl7.pid, hl7.orc(), hl7.obr("A1"), *REFUSED) == "AE"

    assert desk.order("A1").status == "scheduled"
    assert desk.orders("A2345678901234567") == []


@pytest.mark.parametrize(
    ("type", "unhandled", "answer"),
    [
        ("ADT^A08", "ignore", "AA"),
        ("ADT^A08", "reject", "AR"),
        ("SIU^S12", "ignore", "AA"),
        ("ORR^O02", "ignore", "AA"),
        ("ORM^O02", "ignore", "AR"),
        ("DFT^P03", "ignore", "AR"),
        ("", "ignore", "AE"),
    ],
)
def test_other_messages(desk: Any, hl7: Any, type: str, unhandled: str, answer: str) -> None:
    desk.rules = replace(desk.rules, unhandled=unhandled)

    assert desk.send(hl7.pid, type=type) == answer


@pytest.mark.parametrize("control", ["OK", "CR", "UC", "NA"])
def test_answers_to_orders_are_ignored(desk: Any, hl7: Any, control: str) -> None:
    assert desk.send(hl7.pid, hl7.orc(control), hl7.obr("A1")) == "AA"

    assert desk.messages()[0].state == "ignored"


def test_answers_to_orders_are_refused_where_the_site_wants_it(desk: Any, hl7: Any) -> None:
    desk.rules = replace(desk.rules, unhandled="reject")

    assert desk.send(hl7.pid, hl7.orc("OK"), hl7.obr("A1")) == "AE"


def test_an_order_control_that_nobody_knows_is_refused_by_name(desk: Any, hl7: Any) -> None:
    assert desk.send(hl7.pid, hl7.orc("ZZ"), hl7.obr("A1")) == "AE"

    assert desk.messages()[0].code == "103"
    assert "ZZ" in desk.messages()[0].error


def test_an_empty_processing_id_is_production(desk: Any, hl7: Any) -> None:
    answer = desk.send_raw(f"MSH|^~\\&|HIS|H|B|R|1||ORM^O01|7||2.3\r{hl7.pid}\r{hl7.orc()}\r{hl7.obr('A1')}".encode())

    assert desk.code(answer) == "AA"
    assert "MSH-11 is empty" in desk.messages()[0].warnings[0]


def test_a_text_that_was_cut_is_told_with_the_message(desk: Any, hl7: Any) -> None:
    desk.send(hl7.pid, hl7.orc(), hl7.obr("A1", code="X" * 80))

    assert any("characters" in warning for warning in desk.messages()[0].warnings)


def test_the_timeline_says_what_was_mended(desk: Any, hl7: Any) -> None:
    desk.send(hl7.person("77041", birth="1980"), hl7.orc(), hl7.obr("A1"))
    desk.send(hl7.person("77041", birth="1980"), hl7.orc(number="2"), hl7.obr("A2"), hl7.orc(number="3"), hl7.obr("A3"))

    one, *several = [event.text for event in desk.events if event.type == "order.scheduled"]
    assert "; PatientBirthDate: '***' is not a date (from PID-7), sent empty" in one
    assert [text.endswith("; 1 warning, see the message") for text in several] == [True, True]


@pytest.mark.parametrize(("name", "accession", "answer"), [(b"M\xfcller^Eva", b"A1", "AA"), (b"M^E", b"A\xfc1", "AE")])
def test_only_an_identifier_that_cannot_be_read_is_refused(
    desk: Any, name: bytes, accession: bytes, answer: str
) -> None:
    message = (
        b"MSH|^~\\&|HIS|H|B|R|1||ORM^O01|7|P|2.3||||||UNICODE UTF-8\rPID|1||7^^^G||" + name + b"\r"
        b"ORC|NW|P1|F1\rOBR|1|P1|F1|X||||||||||||||" + accession
    )

    assert desk.code(desk.send_raw(message)) == answer

    assert any("could not be read" in warning for warning in desk.messages()[0].warnings)


def test_two_mappings_for_one_message_refuse_it_and_keep_it(desk: Any, hl7: Any) -> None:
    entry = desk.catalogue.entries["ihe/orm-to-mwl"]
    other = replace(entry, mapping=replace(entry.mapping, name="site/other", lineage=("site/other",)))
    desk.catalogue = replace(desk.catalogue, entries={**desk.catalogue.entries, "site/other": other})

    assert desk.send(hl7.pid, hl7.orc(), hl7.obr("A1")) == "AR"

    assert "site/other" in desk.messages()[0].error


def test_a_mapping_may_say_which_character_set_its_sender_uses(desk: Any, hl7: Any) -> None:
    entry = desk.catalogue.entries["ihe/orm-to-mwl"]
    assuming = replace(entry, mapping=replace(entry.mapping, charset="assume 8859/2"))
    desk.catalogue = replace(desk.catalogue, entries={**desk.catalogue.entries, "ihe/orm-to-mwl": assuming})
    lines = ("MSH|^~\\&|HIS|H|B|R|1||ORM^O01|7|P|2.3", "PID|1||7^^^G||Dvořák^Jiří", hl7.orc(), hl7.obr("A1"))

    assert desk.code(desk.send_raw("\r".join(lines).encode("iso8859-2"))) == "AA"

    assert desk.run(desk.store.orders.life(desk.order("A1").id)).patient.name == "Dvořák^Jiří"


@pytest.mark.parametrize("raw", [b"hello", b"", b"MSH", b"\xff\xfeM\x00S\x00H\x00|\x00", b"\x00" * 9_000])
def test_what_is_no_message_is_refused_and_kept_once_with_a_count(desk: Any, raw: bytes) -> None:
    for _ in range(3):
        assert desk.code(desk.send_raw(raw)) == "AR"

    (kept,) = desk.messages(state="refused")
    assert (kept.count, kept.raw, kept.sender, bool(kept.error)) == (3, raw[:4096], "|", True)
    assert desk.types() == ["message.rejected"]


def test_what_is_no_message_is_a_problem_of_each_sender(desk: Any) -> None:
    for n, sender in enumerate(("HIS", "RIS", "HIS")):
        desk.send_raw(f"MSH|^~\\&|{sender}|H|B|R|1||ORM^O01|{n}|P|2.3".encode("utf-16"))

    assert sorted((message.sender, message.count) for message in desk.messages()) == [("HIS|H", 2), ("RIS|H", 1)]
