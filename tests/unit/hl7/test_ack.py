"""Answers: who, what, where, in the sender's own delimiters."""

from datetime import datetime, timedelta, timezone

import pytest

from broker.errors import BrokerError
from broker.hl7.ack import AckError, acknowledge, refuse_unreadable, salvage_header
from broker.hl7.message import Message

AT = datetime(2026, 4, 2, 10, 15, tzinfo=timezone(timedelta(hours=2)))
FAULT = AckError(location="OBR^1^18^1", code="101", text="OBR-18 is empty", hint="send the | number", problem="R031")


def _received(version: str, separators: str = "^~\\&") -> Message:
    header = (
        f"MSH|{separators}|RIS^1.2^ISO|NORTH|BROKER|RAD|20260402||ORM^O01|C\\T\\1|T^a|{version}||||||8859/1~UNICODE"
    )
    return Message.parse(header)


def test_an_answer_goes_back_to_the_sender_with_all_components() -> None:
    answer = acknowledge(_received("2.5.1"), "AA", control_id="X1", at=AT)
    assert answer == (
        "MSH|^~\\&|BROKER|RAD|RIS^1.2^ISO|NORTH|20260402101500+0200||ACK^O01^ACK|X1|T^a|2.5.1||||||8859/1~UNICODE\r"
        "MSA|AA|C\\T\\1\r"
    )


def test_an_error_is_told_by_place_code_and_what_to_do() -> None:
    lines = acknowledge(_received("2.5.1"), "AE", control_id="X1", at=AT, errors=[FAULT]).split("\r")
    assert lines[1] == "MSA|AE|C\\T\\1|OBR-18 is empty; send the \\F\\ number"
    assert lines[2] == (
        "ERR||OBR^1^18^1^1|101^Required field missing^HL70357|E|R031^^L||OBR-18 is empty|send the \\F\\ number"
    )


def test_every_error_is_told() -> None:
    other = AckError(text="full")
    assert acknowledge(_received("2.5"), "AR", control_id="X", at=AT, errors=[FAULT, other]).count("ERR|") == 2
    old = acknowledge(_received("2.3.1"), "AR", control_id="X", at=AT, errors=[FAULT, other])
    first = "OBR^1^18^101&Required field missing&HL70357&R031&OBR-18 is empty; send the \\F\\ number&L"
    assert f"ERR|{first}~^^^207&Application internal error&HL70357&&full&L\r" in old


def test_errors_of_an_accepted_message_are_warnings() -> None:
    answer = acknowledge(_received("2.5"), "AA", control_id="X", at=AT, errors=[FAULT])
    assert "|101^Required field missing^HL70357|W|" in answer


@pytest.mark.parametrize(
    ("version", "kind", "is_old"),
    [
        ("2.1", "ACK", True),
        ("2.3.1", "ACK", True),
        ("2.4", "ACK^O01^ACK", True),
        ("2.5", "ACK^O01^ACK", False),
        ("2.8.2", "ACK^O01^ACK", False),
        ("", "ACK^O01^ACK", False),
        ("2.5^DEU", "ACK^O01^ACK", False),
    ],
)
def test_the_form_follows_the_version(version: str, kind: str, is_old: bool) -> None:
    answer = acknowledge(_received(version), "AE", control_id="X", at=AT, errors=[FAULT])
    assert answer.split("\r")[0].split("|")[8] == kind
    assert ("ERR|OBR^1^18^101&Required" in answer) is is_old


def test_the_text_of_an_old_version_is_cut_at_eighty_characters() -> None:
    fault = AckError(text="x" * 200)
    answer = Message.parse(acknowledge(_received("2.3"), "AE", control_id="X", at=AT, errors=[fault]))
    assert answer.value("MSA-3") == "x" * 80


def test_the_senders_delimiters_are_kept() -> None:
    received = Message.parse("MSH$%!?*$A%1$B$C$D$$$ORM%O01$7$P$2.5")
    answer = Message.parse(acknowledge(received, "AE", control_id="X$1", at=AT, errors=[FAULT]))
    assert answer.header.text.startswith("MSH$%!?*$C$D$A%1$B$")
    assert (answer.control_id, answer.value("MSA-2"), answer.value("ERR-2.1")) == ("X$1", "7", "OBR")
    assert answer.value("ERR-8") == "send the | number"


@pytest.mark.parametrize(
    ("raw", "control_id"),
    [
        (b"", ""),
        (b"hello", ""),
        (b"MSH", ""),
        (b"MSH|HIS|NORTH|x", ""),
        (b"\xff" * 5000, ""),
        (b"FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|A|B|C|D|||ORM^O01|77|P|2.5\rPID|1", "77"),
        (b"MSH|^~\\&|A|\xfc|C|D|||ORM^O01|77|P|2.5", "77"),
        ("MSH|^~\\&|A|B|C|D|||ORM^O01|77|P|2.5".encode("utf-16"), "77"),
        (b"MSH|^~\\&|A|B|C|D|||ORM^O01|77|P|2.5" + b"|x" * 4_000_000, "77"),
    ],
)
def test_whatever_cannot_be_taken_gets_an_answer(raw: bytes, control_id: str) -> None:
    answer = Message.parse(refuse_unreadable(raw, FAULT, control_id="X1", at=AT))
    assert answer.value("MSA-1") == "AR"
    assert (answer.value("MSA-2"), answer.value("MSH-10")) == (control_id, "X1")
    assert answer.value("ERR-3.1") == "101"


def test_a_header_is_read_from_a_broken_message() -> None:
    assert salvage_header(b"\xef\xbb\xbfMSH|^~\\&|A\r\x00\xff").sending_application == "A"


def test_control_characters_of_the_header_do_not_reach_the_answer() -> None:
    received = Message.parse("MSH|^~\\&|A\x0b\x1c|B|||||ORM|1\nx|P|2.5\rPID|1")
    answer = acknowledge(received, "AA", control_id="X", at=AT)
    assert "|A|B|" in answer
    assert answer.endswith("MSA|AA|1x\r")


def test_an_error_of_the_broker_is_told_in_full() -> None:
    error = BrokerError("PID-3 is empty", code="R001", hint="send it", hl7_code="101", location="PID^1^3")
    assert AckError.of(error) == AckError(
        location="PID^1^3", code="101", text="PID-3 is empty", hint="send it", problem="R001"
    )
