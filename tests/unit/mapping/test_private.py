"""Private attributes: their creator goes with them, and a block has one creator."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.dicom.dataset import EXPLICIT, read_item, write_item
from broker.mapping.catalogue import check
from broker.mapping.engine import Translation
from broker.mapping.types import find_attribute

Translate = Callable[..., Translation]

STEP = "ScheduledProcedureStepSequence"


def test_a_private_attribute_comes_with_its_creator_as_a_scanner_reads_it(translate: Translate) -> None:
    rules = "'[ACME 1.0](0029,xx01)': ORC-2.1\n'[ACME 1.0](0029,xx0A)': ORC-3.1\n'[OTHER](0029,1101)': OBR-18"
    item = translate(rules, steps="'[ACME 1.0](0031,xx02)': OBR-4.2").outputs[0].item

    read = read_item(write_item(item, EXPLICIT), EXPLICIT)

    said = {key: value for key, value in read.items() if key.startswith("(0029")}
    assert said == {
        "(0029,0010)": "ACME 1.0",
        "(0029,0011)": "OTHER",
        "(0029,1001)": "P1",
        "(0029,100a)": "F1",
        "(0029,1101)": "A1",
    }
    assert (read[STEP][0]["(0031,0010)"], read[STEP][0]["(0031,1002)"]) == ("ACME 1.0", "CT head")


@pytest.mark.parametrize(
    ("rules", "code", "words"),
    [
        ("(0029,1001): PID-3.1", "M010", "whose is it"),
        ("'[ACME](0028,xx01)': PID-3.1", "M010", "is not a DICOM attribute"),
        ("'[ACME](0029,xx01)': PID-3.1\n  '[OTHER](0029,xx02)': PID-3.1", "M003", "has the block 10"),
        ("'[ACME](0029,xx01)': PID-3.1\n  '[ACME](0029,1001)': PID-3.1", "M003", "already set"),
        ("'[ACME](0029,xx01)': PID-5", "M043", "needs LO"),
    ],
)
def test_mistakes_of_private_attributes(rules: str, code: str, words: str) -> None:
    text = f"mapping: m\nfrom: hl7/ORM^O01\nto: dicom/mwl\nset:\n  {rules}\n"

    assert any(one.code == code and words in one.message for one in check({"m.yaml": text.encode()}))


@pytest.mark.parametrize("name", ["[ACME](0029,xx01)", "[ACME](0029,1001)"])
def test_xx_is_the_first_block(name: str) -> None:
    attribute = find_attribute(name)

    assert attribute is not None
    assert (attribute.key, attribute.creator_key) == ("(0029,1001)", "(0029,0010)")
