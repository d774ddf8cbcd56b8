"""What a change of mappings changes: outcomes that flip, attributes that differ."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.mapping.catalogue import Catalogue
from broker.mapping.compare import REASON, Comparison, Sample, compare

BEFORE = """\
mapping: a
from: hl7/ORM^O01
to: dicom/mwl
action: {from: ORC-1, map: {NW: create, CA: cancel}}
set:
  PatientID: PID-3.1
  PatientName: PID-5
  StudyInstanceUID: {uid_from: [ORC-2.1]}
  RequestedProcedureID: ORC-2.1
  ScheduledProcedureStepSequence: {item: {ScheduledProcedureStepID: ORC-2.1}}
"""
MESSAGE = (
    "MSH|^~\\&|RIS|NORTH|||20260401||{type}|{number}|P|2.5.1\rPID|1||77||DOE^JANE\r"
    "ORC|{control}|P{number}\rOBR|1|P{number}|F1|CTH^CT head^L\r"
)
CHILD = '\nmapping: b\nextends: a\nwhen: MSH-3 = "RIS"\nset: {PatientSex: PID-8}\n'


def loaded(*texts: str) -> Catalogue:
    catalogue, problems = Catalogue.load({f"{number}.yaml": text.encode() for number, text in enumerate(texts)})
    assert catalogue is not None, problems
    return catalogue


def samples(*controls: str, type: str = "ORM^O01") -> list[Sample]:
    at = datetime(2026, 4, 1, tzinfo=UTC)
    return [
        Sample(label=f"m{n}", raw=MESSAGE.format(number=n, control=control, type=type).encode(), received_at=at)
        for n, control in enumerate(controls, 1)
    ]


def compared(before: Catalogue, after: Catalogue, over: list[Sample], name: str = "") -> Comparison:
    return compare(before, after, over, ZoneInfo("UTC"), name)


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (("PID-3.1", "PID-4.1"), "order 1 create", "order 1 refused: PatientID"),
        (("NW: create", "XX: create"), "order 1 create", "order 1 has no effect (NW)"),
        (("NW: create", "NW: cancel"), "order 1 create", "order 1 cancel"),
        (("ORM^O01", "OMG^O19"), "order 1 create", "no mapping"),
    ],
)
def test_an_outcome_that_flips_comes_first(change: tuple[str, str], before: str, after: str) -> None:
    found = compared(loaded(BEFORE), loaded(BEFORE.replace(*change)), samples("NW"))

    (flip,) = found.flips
    assert flip.label == "m1"
    assert flip.before == before
    assert flip.after.startswith(after)
    assert not found.is_same


def test_an_attribute_that_differs_is_counted_with_its_first_example() -> None:
    after = BEFORE.replace("PID-5\n", "{value: X}\n  PatientSex: {value: F}\n").replace(
        "  RequestedProcedureID", "  # R", 1
    )

    found = compared(
        loaded(BEFORE), loaded(after.replace("# R: ORC-2.1", "RequestedProcedureID: OBR-2.1")), samples("NW", "NW")
    )

    assert (found.flipped, found.differing, found.compared) == (0, 2, 2)
    changes = {change.path: change for change in found.changes.values()}
    assert set(changes) == {"PatientName", "PatientSex"}
    name = changes["PatientName"]
    assert (name.kind, name.count, name.label, name.before, name.after) == ("changed", 2, "m1", "DOE^JANE", "X")
    assert changes["PatientSex"].kind == "added"


def test_another_reason_of_a_refusal_is_no_flip() -> None:
    wrong = BEFORE.replace("PID-3.1", "PID-4.1"), BEFORE.replace("PID-3.1", "PID-2.1")

    found = compared(loaded(wrong[0]), loaded(wrong[1]), samples("NW"))

    assert found.flips == []
    assert [change.path for change in found.changes.values()] == [REASON]


def test_the_same_mapping_twice_is_no_difference() -> None:
    found = compared(loaded(BEFORE), loaded(BEFORE), samples("NW", "CA", "ZZ"))

    assert found.is_same
    assert found.compared == 3


def test_only_messages_of_the_mapping_or_its_children_are_compared() -> None:
    before, after = loaded(BEFORE, CHILD), loaded(BEFORE.replace("PID-5", "PID-9"), CHILD)

    assert compared(before, after, samples("NW"), "a").differing == 1
    assert compared(before, after, samples("NW"), "b").differing == 1
    assert compared(before, after, samples("NW", type="ADT^A08"), "a").compared == 0
    assert compared(loaded(BEFORE), loaded(BEFORE.replace("PID-5", "PID-9")), samples("NW"), "b").compared == 0


def test_what_is_no_message_is_counted_apart() -> None:
    found = compared(loaded(BEFORE), loaded(BEFORE), [Sample(label="x", raw=b"\xff", received_at=datetime.now(UTC))])

    assert (found.unread, found.compared) == (1, 0)
