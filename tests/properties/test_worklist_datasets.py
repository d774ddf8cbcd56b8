"""Data sets and character sets under any bytes: an item or a clear error; what is written is read again."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.dicom.charset import UTF_8, get_charset
from broker.dicom.dataset import EXPLICIT, IMPLICIT, TRANSFER_SYNTAXES, read_item, write_item
from broker.domain.query import read_query
from broker.errors import BrokerError

SYNTAXES = st.sampled_from(TRANSFER_SYNTAXES)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\\ \0"), max_size=8)
SETS = [
    ("ISO_IR 100",),
    ("ISO_IR 13",),
    ("ISO_IR 192",),
    ("GB18030",),
    ("", "ISO 2022 IR 87", "ISO 2022 IR 159"),
    ("ISO 2022 IR 13", "ISO 2022 IR 87"),
    ("", "ISO 2022 IR 149"),
    ("ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 58"),
]
VALUES: dict[str, Any] = {
    "PatientName": TEXTS,
    "PatientID": st.one_of(TEXTS, st.lists(TEXTS, min_size=2, max_size=3)),
    "PatientComments": TEXTS,
    "StudyInstanceUID": st.sampled_from(["", "1.2", "1.2.3"]),
    "PregnancyStatus": st.integers(0, 65535).map(str),
    "(0009,1001)": st.binary(max_size=4).map(lambda raw: raw + b"\0" * (len(raw) % 2) or ""),
}


def _items(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    sequences = {"ScheduledProcedureStepSequence": st.lists(children, max_size=2)}
    return st.fixed_dictionaries({}, optional=VALUES | sequences)


ITEMS = st.recursive(st.fixed_dictionaries({}, optional=VALUES), _items, max_leaves=4)


@given(ITEMS, SYNTAXES)
def test_an_item_comes_back(item: dict[str, Any], transfer_syntax: str) -> None:
    read = read_item(write_item(item, transfer_syntax, UTF_8), transfer_syntax)
    del read["SpecificCharacterSet"]
    assert read == item


@settings(max_examples=300)
@given(st.binary(max_size=200), SYNTAXES)
def test_any_bytes_are_an_item_or_a_clear_error(raw: bytes, transfer_syntax: str) -> None:
    with contextlib.suppress(BrokerError):
        read_query(read_item(raw, transfer_syntax))


@settings(max_examples=300)
@given(ITEMS, st.sampled_from([IMPLICIT, EXPLICIT]), st.integers(0, 300), st.binary(min_size=1, max_size=4))
def test_a_damaged_identifier_is_an_item_or_a_clear_error(
    item: dict[str, Any], transfer_syntax: str, at: int, damage: bytes
) -> None:
    raw = write_item(item, transfer_syntax, UTF_8)
    with contextlib.suppress(BrokerError):
        read_query(read_item(raw[:at] + damage + raw[at + len(damage) :], transfer_syntax))


@pytest.mark.parametrize("terms", SETS)
@given(text=st.text(max_size=12), is_name=st.booleans())
def test_text_that_fits_comes_back_and_other_text_is_written_anyhow(
    terms: tuple[str, ...], text: str, is_name: bool
) -> None:
    charset = get_charset(*terms)
    plain = text.replace("\x1b", "")
    raw = charset.encode_plain(plain, is_name)
    if charset.fits(plain):
        assert charset.decode(raw, is_name) == plain
    else:
        assert "\ufffd" not in charset.decode(raw, is_name)


@pytest.mark.parametrize("terms", SETS)
@given(raw=st.binary(max_size=40), is_name=st.booleans())
def test_any_bytes_are_text(terms: tuple[str, ...], raw: bytes, is_name: bool) -> None:
    assert isinstance(get_charset(*terms).decode(raw, is_name), str)
