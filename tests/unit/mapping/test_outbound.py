"""Events to HL7."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue, check
from broker.mapping.outbound import Rendering

HEAD = "mapping: out\nfrom: broker/study.available\nto: hl7/ORU^R01\ncharset: UNICODE UTF-8\nsegments:\n"
MSH = "  - segment: MSH\n    set: {9.1: {value: ORU}}\n"


def rendered(segments: str, facts: dict[str, Any]) -> Message:
    catalogue, problems = Catalogue.load({"out.yaml": (HEAD + MSH + segments).encode()})
    assert catalogue is not None, problems
    mapping = catalogue.get("out")
    assert mapping is not None
    rendering = mapping.render(facts)
    assert not rendering.rejections
    return Message.parse(rendering.text)


def test_names_swap_prefix_and_suffix_where_the_field_is_a_name() -> None:
    segments = "  - segment: PID\n    set: {5: patient.name, 23: patient.name}\n"
    message = rendered(segments, {"patient": {"name": "DOE^JANE^^DR^JR"}})
    assert message.value("PID-5") == "DOE^JANE^^JR^DR"
    assert message.value("PID-23") == "DOE^JANE^^DR^JR"


def test_a_segment_is_written_for_each_of_a_list_and_the_count_goes_on() -> None:
    segments = (
        "  - segment: OBX\n    set: {1: $count}\n"
        "  - segment: OBX\n    each: study.series\n    set: {1: $count, 4: $n, 5: series.uid}\n"
    )
    message = rendered(segments, {"study": {"series": [{"uid": "1.2"}, {"uid": "1.3"}]}})
    assert [(s.raw(1), s.raw(4), s.raw(5)) for s in message.named("OBX")] == [
        ("1", "", ""),
        ("2", "1", "1.2"),
        ("3", "2", "1.3"),
    ]


def test_a_segment_without_values_is_not_written() -> None:
    message = rendered("  - segment: PV1\n    set: {19.1: order.visit_number}\n", {})
    assert message.named("PV1") == []


def test_times_are_written_as_hl7_has_them() -> None:
    at = datetime(2026, 4, 1, 10, 15, tzinfo=UTC)
    message = rendered("  - segment: OBR\n    set: {7: event.at}\n", {"event": {"at": at}})
    assert message.value("OBR-7") == "20260401101500+0000"


def test_nothing_in_a_fact_can_end_a_segment() -> None:
    message = rendered(
        "  - segment: OBR\n    set: {4.2: order.procedure_text}\n", {"order": {"procedure_text": "a|b\rMSH|^c"}}
    )
    assert len(message.segments) == 2
    assert message.value("OBR-4.2") == "a|b\nMSH|^c"


def test_a_required_field_without_value_refuses_the_message() -> None:
    text = HEAD + MSH + "  - segment: OBR\n    set: {18: {from: order.accession, required: true}}\n"
    catalogue, _ = Catalogue.load({"out.yaml": text.encode()})
    assert catalogue is not None
    mapping = catalogue.get("out")
    assert mapping is not None
    rejection = mapping.render({"order": {"accession": ""}}).rejections[0]
    assert (rejection.target, rejection.rule) == ("OBR-18", "mappings/out.yaml:9:11")


@pytest.mark.parametrize(
    ("segments", "code"),
    [
        ("  - segment: OBR\n    set: {4.2: order.procedure_txt}\n", "M045"),
        ("  - segment: OBR\n    set: {4.2: OBR-4.2}\n", "M040"),
        ("  - segment: OBR\n    set: {99: order.id}\n", "M042"),
        ("  - segment: OBQ\n    set: {1: order.id}\n", "M041"),
        ("  - segment: OBX\n    each: study.uid\n    set: {1: $n}\n", "M045"),
        ("  - segment: OBX\n    set: {x: $n}\n", "M014"),
        ("  - segment: OBX\n    set: {5: {from: event.at, as: {date: YYYY}}}\n", "M012"),
    ],
)
def test_mistakes(segments: str, code: str) -> None:
    problems = check({"out.yaml": (HEAD + MSH + segments).encode()})
    assert [problem.code for problem in problems if problem.is_error] == [code]


def as_json(members: str, facts: dict[str, Any]) -> Rendering:
    text = f"mapping: out\nfrom: broker/procedure.*\nto: mqtt/event\njson:\n{members}"
    catalogue, problems = Catalogue.load({"out.yaml": text.encode()})
    assert catalogue is not None, problems
    return catalogue.entries["out"].mapping.render(facts)


def test_json_has_an_object_for_each_dot_and_leaves_out_what_is_not_known() -> None:
    members = (
        "  a.b: order.accession\n  a.c: patient.name\n  n: {from: study.instances, as: number}\n  s: study.series\n"
    )
    facts = {"order": {"accession": "A1"}, "study": {"instances": 12, "series": [{"uid": "1.2"}]}}

    assert json.loads(as_json(members, facts).text) == {"a": {"b": "A1"}, "n": 12, "s": [{"uid": "1.2"}]}


SERIES = {"study": {"series": [{"uid": "1.2"}, {"uid": "1.3"}]}, "order": {"accession": "A1"}}


def test_json_has_a_list_with_an_object_for_each_of_a_list() -> None:
    members = (
        "  a: order.accession\n"
        "  study.series:\n    each: study.series\n"
        "    item: {uid: series.uid, at.place: {from: $n, as: number}, of: order.accession}\n"
    )

    assert json.loads(as_json(members, SERIES).text) == {
        "a": "A1",
        "study": {
            "series": [
                {"uid": "1.2", "at": {"place": 1}, "of": "A1"},
                {"uid": "1.3", "at": {"place": 2}, "of": "A1"},
            ]
        },
    }


def test_of_a_list_in_json_only_what_its_when_lets_through_is_written_and_an_empty_one_is_left_out() -> None:
    only = "  s: {each: study.series, when: 'series.uid = \"1.3\"', item: {uid: series.uid}}\n"
    none = "  s: {each: study.series, item: {uid: patient.id}}\n"

    assert json.loads(as_json(only, SERIES).text) == {"s": [{"uid": "1.3"}]}
    assert json.loads(as_json(none, SERIES).text) == {}


def test_a_required_list_or_a_required_member_of_an_item_refuses_the_event() -> None:
    (refused,) = as_json("  s: {each: study.series, required: true, item: {uid: series.uid}}\n", {}).rejections
    assert refused.target == "s"
    (refused, *_) = as_json(
        "  s:\n    each: study.series\n    item:\n      uid: {from: patient.id, required: true}\n", SERIES
    ).rejections
    assert (refused.target, refused.rule) == ("uid", "mappings/out.yaml:8:7")


def test_json_without_what_is_required_is_refused() -> None:
    (refused,) = as_json("  a: {from: order.accession, required: true}\n", {}).rejections

    assert (refused.target, refused.rule) == ("a", "mappings/out.yaml:5:3")


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: order.accession, a.b: order.id}", "M014"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a b: order.id}", "M014"),
        ("from: broker/procedure.*\nto: mqtt/event\nsegments: []\njson: {a: order.id}", "M012"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {from: order.id, as: date}}", "M012"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {uid_from: [order.id]}}", "M012"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {item: {b: order.id}}}", "M012"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {each: study.series}}", "M012"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {each: order.id, item: {b: order.id}}}", "M045"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {each: study.series, as: text, item: {b: $n}}}", "M012"),
        ("from: broker/procedure.*\nto: mqtt/event\njson: {a: {each: study.series, item: {b c: $n}}}", "M014"),
        (
            "from: broker/*\nto: mqtt/event\n"
            "json: {a: {each: study.series, item: {b: {each: study.series, item: {c: $n}}}}}",
            "M012",
        ),
        ("from: broker/order.noted\nto: mqtt/event\njson: {a: order.id}", "M014"),
        ("from: broker/*\nto: dicom/mwl\nset: {}", "M014"),
    ],
)
def test_mistakes_in_mappings_of_events(head: str, code: str) -> None:
    problems = check({"out.yaml": f"mapping: out\n{head}\n".encode()})

    assert code in [problem.code for problem in problems if problem.is_error]
