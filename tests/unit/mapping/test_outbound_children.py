"""What a child changes of a parent that writes HL7 or JSON: fields, segments and members one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broker.mapping.catalogue import Catalogue, check
from broker.mapping.resolved import lines, resolved

PARENT = """\
mapping: parent
from: broker/study.available
to: hl7/ORU^R01
segments:
  - segment: MSH
    set: {9.1: {value: ORU}, 12: {value: 2.5.1}}
  - segment: OBR
    when: order.accession is present
    set: {4.1: order.procedure_code, 4.2: order.procedure_text, 18: order.accession, 25: {value: R}}
  - segment: OBX
    set: {1: $count, 5: study.uid}
  - segment: OBX
    set: {1: $count, 5: study.modality}
  - segment: OBX
    each: study.series
    set: {1: $count, 4: $n, 5: series.uid}
"""
CHILD = "mapping: child\nextends: parent\n"
FACTS = {
    "order": {"accession": "A1", "procedure_code": "CTH", "procedure_text": "CT head"},
    "study": {"uid": "1.2", "modality": "CT", "series": [{"uid": "1.3"}, {"uid": "1.4"}]},
}


def load(child: str, parent: str = PARENT) -> Catalogue:
    catalogue, problems = Catalogue.load({"parent.yaml": parent.encode(), "child.yaml": (CHILD + child).encode()})
    assert catalogue is not None
    assert [problem for problem in problems if problem.is_error] == []
    return catalogue


def written(catalogue: Catalogue, facts: dict[str, Any]) -> str:
    rendering = catalogue.entries["child"].mapping.render(facts)
    assert rendering.rejections == ()
    return rendering.text


def segments(child: str, facts: dict[str, Any] = FACTS) -> list[str]:
    catalogue = load(child)
    text = written(catalogue, facts)
    entry = catalogue.entries["child"]
    whole = "\n".join(line.text for line in lines(resolved(entry, catalogue.files)))
    alone, problems = Catalogue.load({"child.yaml": whole.encode()})
    assert alone is not None, problems
    assert written(alone, facts) == text, whole
    return [segment for segment in text.split("\r") if segment]


UNCHANGED = segments("")


def changed(number: int, *written: str) -> list[str]:
    return [*UNCHANGED[:number], *written, *UNCHANGED[number + 1 :]]


def test_a_child_without_segments_writes_what_its_parent_does() -> None:
    assert [one[:3] for one in UNCHANGED] == ["MSH", "OBR", "OBX", "OBX", "OBX", "OBX"]


def test_a_child_changes_one_field_of_a_segment_and_keeps_the_rest() -> None:
    child = "segments:\n  - segment: OBR\n    set: {25: {value: F}}\n"

    assert segments(child) == changed(1, UNCHANGED[1][:-1] + "F")
    assert len(segments(child, {**FACTS, "order": {}})) == 5


def test_a_field_says_inherited_for_what_the_parent_would_write() -> None:
    child = "segments:\n  - segment: OBR\n    set: {4.2: {first_of: [order.reason, $inherited]}}\n"

    assert segments(child) == UNCHANGED
    assert "|CTH^fall|" in segments(child, {**FACTS, "order": {**FACTS["order"], "reason": "fall"}})[1]


def test_segments_of_one_name_meet_in_their_order_and_those_for_each_of_a_list_by_the_list() -> None:
    second = "segments:\n  - segment: OBX\n  - segment: OBX\n    set: {11: {value: F}}\n"
    of_list = "segments:\n  - segment: OBX\n    each: study.series\n    set: {11: {value: F}}\n"

    assert segments(second) == changed(3, "OBX|2||||CT||||||F")
    assert segments(of_list) == [*UNCHANGED[:4], "OBX|3|||1|1.3||||||F", "OBX|4|||2|1.4||||||F"]


@pytest.mark.parametrize(
    ("child", "order"),
    [
        ("  - segment: OBR\n  - {segment: NTE, set: {3: {value: x}}}\n", "MSH OBR NTE OBX OBX OBX OBX"),
        ("  - {segment: NTE, set: {3: {value: x}}}\n", "MSH OBR OBX OBX OBX OBX NTE"),
        ("  - segment: OBX\n  - {segment: NTE, set: {3: {value: x}}}\n", "MSH OBR OBX NTE OBX OBX OBX"),
    ],
)
def test_a_new_segment_goes_behind_the_one_that_stands_before_it_in_the_child_else_to_the_end(
    child: str, order: str
) -> None:
    assert [one[:3] for one in segments(f"segments:\n{child}")] == order.split()


@pytest.mark.parametrize(
    ("dropped", "left"),
    [
        ("OBX", UNCHANGED[:2]),
        ("'OBX[2]'", [*UNCHANGED[:3], "OBX|2|||1|1.3", "OBX|3|||2|1.4"]),
        ("'OBX[1]', 'OBX[2]'", [*UNCHANGED[:2], "OBX|1|||1|1.3", "OBX|2|||2|1.4"]),
        ("OBR-4", changed(1, UNCHANGED[1].replace("CTH^CT head", ""))),
        ("OBR-4.2", changed(1, UNCHANGED[1].replace("^CT head", ""))),
        ("'OBX[3]-4'", [*UNCHANGED[:4], "OBX|3||||1.3", "OBX|4||||1.4"]),
    ],
)
def test_segments_and_fields_are_dropped_by_name_and_number(dropped: str, left: list[str]) -> None:
    assert segments(f"drop: [{dropped}]\n") == left


def test_a_when_of_the_child_stands_in_for_the_parents() -> None:
    child = "segments:\n  - segment: OBR\n    when: study.uid is present\n"

    assert [one[:3] for one in segments(child, {"study": {"uid": "1"}})][:2] == ["MSH", "OBR"]


@pytest.mark.parametrize("dropped", ["NTE", "OBR-5", "'OBX[4]'", "PatientID", "OBR-45"])
def test_nothing_to_drop_is_told(dropped: str) -> None:
    files = {"parent.yaml": PARENT.encode(), "child.yaml": f"{CHILD}drop: [{dropped}]\n".encode()}

    assert "M020" in [problem.code for problem in check(files)]


JSON = """\
mapping: parent
from: broker/study.available
to: mqtt/event
json:
  order.number: order.accession
  order.exam: order.procedure_code
  series:
    each: study.series
    item: {uid: series.uid, place: $n}
"""


def as_json(child: str) -> Any:
    catalogue = load(child, JSON)
    text = written(catalogue, FACTS)
    whole = "\n".join(line.text for line in lines(resolved(catalogue.entries["child"], catalogue.files)))
    alone, problems = Catalogue.load({"child.yaml": whole.encode()})
    assert alone is not None, problems
    assert written(alone, FACTS) == text, whole
    return json.loads(text)


def test_a_child_changes_members_and_those_of_a_lists_items_one_by_one() -> None:
    found = as_json("json:\n  order.exam: '$inherited or \"none\"'\n  series: {item: {place: {value: x}}}\n")

    assert found == {
        "order": {"number": "A1", "exam": "CTH"},
        "series": [{"uid": "1.3", "place": "x"}, {"uid": "1.4", "place": "x"}],
    }


def test_members_are_dropped_by_their_name_or_that_of_what_holds_them() -> None:
    assert as_json("drop: [order, series.place]\n") == {"series": [{"uid": "1.3"}, {"uid": "1.4"}]}
