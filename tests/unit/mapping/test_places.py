"""What stands at the places of an order that is taken apart once: repetitions, subcomponents, turns, fields that recur."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.hl7.message import Message
from broker.mapping.build import Mapping
from broker.mapping.engine import Translation
from broker.mapping.places import KEPT, FieldPlaces, Places

Translate = Callable[..., Translation]
NOW = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)


def only(translation: Translation) -> dict[str, Any]:
    assert not translation.rejections, translation.rejections
    return translation.outputs[0].item


def read(places: Places, text: str) -> list[Any]:
    return places.read(Message.parse(f"MSH|^~\\&|\r{text}").by_name)[0]


@pytest.mark.parametrize(
    ("field", "component", "subcomponent", "value"),
    [
        ("A^B", 1, 1, "A"),
        ("A^B", 2, 1, "B"),
        ("A&X^B", 1, 1, "A"),
        ("A&X^B", 1, 2, "X"),
        ("A^B~C", 2, 1, "B"),
        ("A\\T\\B", 1, 1, "A&B"),
        ("^^^^^^^^^J^K", 10, 1, "J"),
        ("^^^^^^^^^J^K", 11, 1, "K"),
        ('""', 3, 1, '""'),
        ('""', 10, 2, '""'),
    ],
)
def test_a_place_has_the_text_of_its_component(field: str, component: int, subcomponent: int, value: str) -> None:
    places = Places()
    place = places.text("ZXX", 2, component, subcomponent)
    assert read(places, f"ZXX|1|{field}")[place] == value


@pytest.mark.parametrize("segment", ["ZXX", "ZXX|", "ZXX||", "ZXX|1|^B", "ZYY|1|A"])
def test_a_place_without_anything_is_empty(segment: str) -> None:
    places = Places()
    place = places.text("ZXX", 2)
    assert not read(places, segment)[place]


def test_a_field_that_recurs_is_the_same_each_time_and_not_kept_without_end() -> None:
    places = Places()
    place = places.made("ZXX", 1, "code", lambda segment, repetition, parts: "/".join(parts), recurs=True)
    for number in (*range(KEPT + 10), 0, 1):
        assert read(places, f"ZXX|C{number}^L~D")[place] == f"C{number}/L"
    assert len(kept_of(places, "ZXX", 1)) <= KEPT


def kept_of(places: Places, segment: str, number: int) -> dict[str, Any]:
    found = places._fields[segment][number]
    assert isinstance(found, FieldPlaces)
    return found.kept or {}


def test_what_is_done_to_one_order_is_not_seen_in_the_next(build: Callable[..., Mapping]) -> None:
    mapping = build("RequestedProcedureCodeSequence: ZCD-1", head="declare: {ZCD-1: CE}")
    text = "MSH|^~\\&|RIS||||20260401||ORM^O01|1|P|2.5.1\rPID|||77\rORC|NW|P1\rZCD|CTH^CT head^L"
    first, second = (mapping.translate(Message.parse(text), ZoneInfo("UTC"), NOW) for _ in range(2))
    only(first)["RequestedProcedureCodeSequence"][0]["CodeMeaning"] = "other"
    assert only(second)["RequestedProcedureCodeSequence"][0]["CodeMeaning"] == "CT head"


def test_short_texts_of_several_repetitions_are_all_there(translate: Translate) -> None:
    rules = "PatientTelephoneNumbers: ZTN-1[*].1"
    head = "declare: {ZTN-1: XTN}"
    assert only(translate(rules, "ZTN|1234~5678", head=head))["PatientTelephoneNumbers"] == ["1234", "5678"]
    assert only(translate(rules, "ZTN|1234", head=head))["PatientTelephoneNumbers"] == "1234"


def test_after_each_repetition_has_had_its_turn_the_first_is_back(translate: Translate) -> None:
    rules = (
        "OtherPatientIDsSequence: {each: ZID-1, item: {PatientID: ZID-1.1, IssuerOfPatientID: ZID-1.4.2}}\n"
        "AdmissionID: ZID-1.1\nIssuerOfPatientID: ZID-1.4.2"
    )
    item = only(translate(rules, "ZID|1^^^A&X~2", head="declare: {ZID-1: CX}"))
    assert item["OtherPatientIDsSequence"] == [{"PatientID": "1", "IssuerOfPatientID": "X"}, {"PatientID": "2"}]
    assert (item["AdmissionID"], item["IssuerOfPatientID"]) == ("1", "X")


def test_after_each_segment_has_had_its_turn_the_first_is_back(translate: Translate) -> None:
    rules = (
        "OtherPatientIDsSequence: {each: ZID, item: {PatientID: ZID-1, IssuerOfPatientID: 'ZID[2=N]-1'}}\n"
        "AdmissionID: ZID-1\nMedicalAlerts: 'ZID[2=N]-1'"
    )
    item = only(translate(rules, "ZID|1|O", "ZID|2|N"))
    assert item["OtherPatientIDsSequence"] == [{"PatientID": "1"}, {"PatientID": "2", "IssuerOfPatientID": "2"}]
    assert (item["AdmissionID"], item["MedicalAlerts"]) == ("1", "2")
