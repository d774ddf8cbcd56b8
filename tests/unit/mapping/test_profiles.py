"""The types of the worklist's attributes are those of PS3.4 Table K.6-1: the return key type of each row, by tag.

Taken from the text of edition 2017a. Nested rows (code items, references) are left out: they are the item's own affair.
"""

from __future__ import annotations

import pytest

from broker.mapping import types
from broker.mapping.profiles import MODALITY_WORKLIST, STEP

STEP_ROWS = {
    "(0040,0001)": "1", "(0040,0002)": "1", "(0040,0003)": "1", "(0008,0060)": "1", "(0040,0006)": "2",
    "(0040,0007)": "1C", "(0040,0010)": "2", "(0040,0011)": "2", "(0018,990C)": "3", "(0018,990D)": "3",
    "(0040,0008)": "1C", "(0040,0012)": "2C", "(0040,0009)": "1", "(0032,1070)": "2C", "(0040,0020)": "3",
}  # fmt: skip
"""In the Scheduled Procedure Step Sequence."""

ROWS = {
    "(0040,0100)": "1", "(0040,0500)": "3", "(2200,0005)": "3",
    "(0040,1001)": "1", "(0032,1060)": "1C", "(0032,1064)": "1C", "(0020,000D)": "1", "(0008,0020)": "3",
    "(0008,0030)": "3", "(0008,1110)": "2", "(0040,1003)": "2", "(0040,1004)": "2",
    "(0008,0050)": "2", "(0008,0051)": "3", "(0032,1032)": "2", "(0008,0090)": "2",
    "(0038,0010)": "2", "(0038,0014)": "3", "(0038,0300)": "2", "(0008,1120)": "2",
    "(0010,0010)": "1", "(0010,0020)": "1", "(0010,0021)": "3", "(0010,0024)": "3", "(0010,1002)": "3",
    "(0010,0030)": "2", "(0010,0040)": "2", "(0010,0101)": "3", "(0010,1030)": "2", "(0010,1020)": "3",
    "(0040,3001)": "2",
    "(0038,0500)": "2", "(0010,21C0)": "2", "(0010,2000)": "2", "(0010,2110)": "2", "(0038,0050)": "2",
    "(0038,0100)": "3",
}  # fmt: skip
"""Of the entry itself, module by module in the table's order."""

KEPT = {"1": "1", "2": "2", "1C": "2", "2C": None, "3": None}
"""What a row's type is to a mapping. 1C here is a description or a code: both are there, one may be empty."""


def tag_of(keyword: str) -> str:
    attribute = types.find_attribute(keyword)
    assert attribute is not None
    return str(attribute.tag).upper()


@pytest.mark.parametrize(("rows", "above"), [(STEP_ROWS, f"{STEP}."), (ROWS, "")], ids=["step", "entry"])
def test_every_row_of_the_table_has_its_type(rows: dict[str, str], above: str) -> None:
    found = {
        tag_of(path.removeprefix(above)): kind
        for path, kind in MODALITY_WORKLIST.types.items()
        if path.startswith(above) and "." not in path.removeprefix(above)
    }

    assert found == {tag: KEPT[kind] for tag, kind in rows.items() if KEPT[kind]}


def test_what_identifies_is_refused_only_where_it_is_asked_for() -> None:
    assert MODALITY_WORKLIST.indispensable <= MODALITY_WORKLIST.identifiers
    assert all(MODALITY_WORKLIST.types[path] == "1" for path in MODALITY_WORKLIST.indispensable)
