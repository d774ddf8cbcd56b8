"""Texts, dates, names and codes as DICOM holds them."""

from __future__ import annotations

from uuid import uuid5
from zoneinfo import ZoneInfo

import pytest

from broker.mapping.convert import UID_NAMESPACE, Unfit, check_of, code_item, cut, stable_uid
from broker.mapping.moments import as_date, as_time, format_reader, read_calendar_date, read_moment
from broker.mapping.names import name_of, name_parts, name_reader

UTC, MADRID = ZoneInfo("UTC"), ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    ("vr", "text", "made"),
    [
        ("LO", " CT thorax ", "CT thorax"),
        ("SH", "A" * 16, "A" * 16),
        ("CS", "cr", "CR"),
        ("UI", "1.2.840.0.1", "1.2.840.0.1"),
        ("DS", "72,5", "72.5"),
        ("DS", "1234567.12345678901", "1234567.12"),
        ("IS", "007", "7"),
        ("US", "3", "3"),
        ("AS", "45Y", "045Y"),
        ("LT", "one\ntwo\x07", "one\r\ntwo"),
        ("AE", " CT_1 ", "CT_1"),
        ("PN", "DOE^JOHN", "DOE^JOHN"),
        ("LO", "山田", "山田"),
    ],
)
def test_what_fits(vr: str, text: str, made: str) -> None:
    assert check_of(vr)(text) == made


@pytest.mark.parametrize(
    ("vr", "text", "mended"),
    [
        ("SH", "2026040277TOOLONG", "2026040277TOOLON"),
        ("LO", "a\\b", "a/b"),
        ("LO", "two\r\nlines", "two  lines"),
        ("LO", "x" * 70, "x" * 64),
        ("UI", "1..840", ""),
        ("UI", "ZDS", ""),
        ("UI", "1." + "2" * 70, ""),
        ("DS", "heavy", ""),
        ("DS", "1,2,3", ""),
        ("IS", "3.5", ""),
        ("US", "70000", ""),
        ("CS", "Scanner-7", ""),
        ("AE", "A_VERY_LONG_STATION", ""),
        ("AE", "STATIÖN", ""),
        ("AS", "old", ""),
        ("PN", "A" * 70 + "^B", "A" * 64),
    ],
)
def test_what_does_not_fit_says_what_could_be_sent(vr: str, text: str, mended: str) -> None:
    with pytest.raises(Unfit) as raised:
        check_of(vr)(text)
    assert raised.value.mended == mended


def test_a_cut_never_parts_a_letter_from_its_accent() -> None:
    assert cut("abcde\u0301f", 5) == "abcd"


@pytest.mark.parametrize(
    ("text", "date", "time"),
    [
        ("20260401101500", "20260401", "101500"),
        ("202604011015", "20260401", "101500"),
        ("2026040110", "20260401", "100000"),
        ("20260401", "20260401", "000000"),
        ("20260401101500.25", "20260401", "101500.25"),
        ("20260401101500+0000", "20260401", "121500"),
        ("20260401233000-0000", "20260402", "013000"),
        ("20260401+0500", "20260401", "000000"),
    ],
)
def test_hl7_time_stamps_become_local_time(text: str, date: str, time: str) -> None:
    moment = read_moment(text, MADRID, MADRID)
    assert (as_date(moment), as_time(moment)) == (date, time)


def test_times_without_offset_are_of_the_senders_zone() -> None:
    moment = read_moment("20260401101500", ZoneInfo("Europe/London"), MADRID)
    assert as_time(moment) == "111500"


@pytest.mark.parametrize(
    "text", ["1980", "198002", "19800000", "soon", "20260230", "2026-04-01", "", "20260401101500+9900"]
)
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(Unfit):
        read_moment(text, UTC, UTC)


def test_an_impossible_time_leaves_the_date_and_begins_at_midnight() -> None:
    moment = read_moment("202604012575", UTC, UTC)
    assert as_date(moment) == "20260401"
    with pytest.raises(Unfit) as raised:
        as_time(moment)
    assert raised.value.mended == "000000"


def test_a_birth_date_is_its_first_eight_digits_whatever_the_offset() -> None:
    assert as_date(read_calendar_date("19800214230000-1100", UTC, MADRID)) == "19800214"


@pytest.mark.parametrize(
    ("pattern", "text", "date", "time"),
    [
        ("DD.MM.YYYY", "14.02.1980", "19800214", "000000"),
        ("D.M.YYYY", "3.4.2026", "20260403", "000000"),
        ("DD.MM.YYYY HH:mm", "03.04.2026 10:30", "20260403", "103000"),
        ("MM/DD/YY", "02/14/80", "19800214", "000000"),
        ("YYYY-MM-DD HH:mm:ss", "2026-04-03 10:30:05", "20260403", "103005"),
    ],
)
def test_formats_of_dates(pattern: str, text: str, date: str, time: str) -> None:
    reader = format_reader(pattern)
    assert reader is not None
    moment = reader(text, UTC, UTC)
    assert (as_date(moment), as_time(moment)) == (date, time)


@pytest.mark.parametrize("text", ["02/14/1980", "14.13.1980", "14.02.80", "14.02.1980 10:00"])
def test_a_text_in_another_format_is_not_misread(text: str) -> None:
    reader = format_reader("DD.MM.YYYY")
    assert reader is not None
    with pytest.raises(Unfit, match=r"does not look like DD\.MM\.YYYY"):
        reader(text, UTC, UTC)


def test_names_swap_suffix_and_prefix() -> None:
    assert name_of(["DOE", "JANE", "ANN", "JR", "DR", "MD"], 0) == "DOE^JANE^ANN^DR^JR MD"
    assert name_of(["1001", "SMITH", "JOHN", "", "", "DR"], 1) == "SMITH^JOHN^^DR"
    assert name_parts("DOE^JANE^ANN^DR^JR", 0) == ["DOE", "JANE", "ANN", "JR", "DR"]
    assert name_parts("SMITH^JOHN^^DR", 1) == ["", "SMITH", "JOHN", "", "", "DR"]


def test_marks_of_a_name_inside_its_parts_are_replaced() -> None:
    assert name_of(["DOE=X", "JA^NE\\"], 0) == "DOE X^JA NE"


@pytest.mark.parametrize(
    ("pattern", "text", "name"),
    [
        ("Last, First", "DOE, JOHN", "DOE^JOHN"),
        ("Last, First", "DOE", "DOE"),
        ("First Last", "JOHN VAN DOE", "VAN DOE^JOHN"),
        ("Last First Middle", "DOE JOHN PAUL", "DOE^JOHN^PAUL"),
    ],
)
def test_names_in_one_field(pattern: str, text: str, name: str) -> None:
    reader = name_reader(pattern)
    assert reader is not None
    assert reader(text) == name


@pytest.mark.parametrize("pattern", ["", "surname", "Last Last"])
def test_what_is_no_format_of_a_name(pattern: str) -> None:
    assert name_reader(pattern) is None


def test_code_items() -> None:
    assert code_item("CTH", "CT head", "L") == {
        "CodeValue": "CTH",
        "CodingSchemeDesignator": "L",
        "CodeMeaning": "CT head",
    }
    assert code_item("CTH", "", "") == {"CodeValue": "CTH", "CodingSchemeDesignator": "L", "CodeMeaning": "CTH"}
    assert code_item("", "CT head", "L") is None
    long = code_item("X" * 20, "long", "L")
    assert long is not None
    assert long["LongCodeValue"] == "X" * 20


def test_a_stable_uid_is_the_same_every_time_and_fits() -> None:
    uid = stable_uid(["NORTH", "F1"])
    assert uid == stable_uid(["NORTH", "F1"]) != stable_uid(["NORTHF", "1"])
    assert uid == f"2.25.{uuid5(UID_NAMESPACE, chr(31).join(['NORTH', 'F1'])).int}"
    assert len(uid) <= 64


@pytest.mark.parametrize("pattern", ["", "??", "DD.DD.YYYY"])
def test_what_is_no_format_of_a_date(pattern: str) -> None:
    assert format_reader(pattern) is None
