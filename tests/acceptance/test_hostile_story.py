"""Bad HL7 at one running broker: each is answered or closed, and what comes next is taken."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from peers.hospital import Hospital
from peers.waiting import eventually
from peers.withstanding import withstanding, works

HEADER = "MSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|X1|P|2.3\n"
LONG = "A2345678901234567"
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, new_database: Any) -> Iterator[Hospital]:
    """A broker that everything in this file comes to."""
    folder = tmp_path_factory.mktemp("hostile")
    with new_database(folder) as url:
        hospital = Hospital.planned(folder, url)
        hospital.configuration["hl7"]["listeners"]["his"]["frame_timeout"] = "2s"
        try:
            with withstanding(hospital):
                yield hospital
        finally:
            hospital.stop()


@pytest.fixture
def hospital(running: Hospital) -> Iterator[Hospital]:
    """The running broker; what follows must work."""
    yield running
    works(running, "NEXT")


def framed(text: str, codec: str = "utf-8") -> bytes:
    return b"\x0b" + text.replace("\n", "\r").encode(codec) + b"\x1c\r"


def last_message(hospital: Hospital) -> dict[str, Any]:
    """Give what the broker kept of the last message."""
    (kept,) = hospital.get("/api/v1/messages?limit=1")["items"]
    found: dict[str, Any] = kept
    return found


def refusals(hospital: Hospital) -> int:
    """Count the refused messages that the broker has kept."""
    return sum(kept["count"] for kept in hospital.get("/api/v1/messages?state=refused&limit=500")["items"])


REFUSED = {
    "no HL7 at all": (b"this is not HL7 at all", "AR", "MSH^1", "there is no readable MSH segment"),
    "nothing": (b"", "AR", "MSH^1", "begin the message with MSH"),
    "MSH alone": (b"MSH", "AR", "MSH^1", "there is no readable MSH segment"),
    "noise": (b"\x00\x01\x02\xff\xfe", "AR", "MSH^1", "there is no readable MSH segment"),
    "UTF-16": (HEADER.encode("utf-16"), "AR", "MSH^1^18", "send it in UTF-8"),
    "a header alone": (HEADER, "AE", "ORC^1^1^101", "no order control code"),
    "no patient segment": (HEADER + "ORC|NW", "AE", "PID^1^3^101", "no value for PatientID"),
    "no patient ID": ({"change": ("77041^^^GENERAL", "")}, "AE", "PID^1^3^101", "send PID-3 or PID-2"),
    "an unknown type": ({"change": ("ORM^O01", "XYZ^Z99")}, "AR", "MSH^1^9^200", "this listener takes orders"),
    "an unknown event": ({"change": ("ORM^O01", "ORM^Z99")}, "AR", "MSH^1^9^201", "no mapping takes ORM"),
    "an unknown order control": ({"change": ("ORC|NW", "ORC|ZZ")}, "AE", "ORC^1^1^103", "order control ZZ is not"),
    "no order control": ({"change": ("ORC|NW", "ORC|")}, "AE", "ORC^1^1^101", "no order control code"),
    "an accession number of 17": ({"accession": LONG}, "AE", "OBR^1^18^104", "has 17 characters, SH allows 16"),
    "a test message": ({"change": ("|P|2.3.1", "|T|2.3.1")}, "AR", "MSH^1^11^202", "add it to processing_ids"),
    "HL7 3": ({"change": ("|P|2.3.1", "|P|3.0")}, "AR", "MSH^1^12", "send HL7 2.1 to 2.8"),
    "Latin-1 in an accession number": (
        {"accession": "AÑ1", "codec": "latin-1"},
        "AE",
        "OBR^1^18^102",
        "send the message in the character set that its MSH-18 names",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_taken_is_refused_with_place_and_words_and_kept(
    hospital: Hospital, story: Any, name: str
) -> None:
    sent, code, place, words = REFUSED[name]
    if isinstance(sent, dict):
        text = story.orm(sent.get("accession", "B1")).replace(*sent.get("change", ("", "")))
        sent = framed(text, sent.get("codec", "utf-8"))
    else:
        sent = framed(sent) if isinstance(sent, str) else b"\x0b" + sent + b"\x1c\r"
    his, before = hospital.his(), refusals(hospital)

    his.send_raw(sent)
    answer = his.receive()

    assert story.msa(answer)[1] == code
    assert place in answer.replace("&", "^")
    assert words in answer
    assert refusals(hospital) == before + 1
    assert story.msa(his.send(story.orm("AFTER")))[1] == "AA"


MENDED = {
    "a month 13": ({"birth": "19991399"}, "birth_date", None, "PatientBirthDate"),
    "a year alone": ({"birth": "1980"}, "birth_date", None, "PatientBirthDate"),
    "a birth date with an offset": ({"birth": "19790312-0500"}, "birth_date", "1979-03-12", ""),
    "a birth time with an offset": ({"birth": "19790312233000+1400"}, "birth_date", "1979-03-12", ""),
    "an unknown character set": ({"set": "KLINGON", "name": "Ibáñez^Núria"}, "name", "Ibáñez^Núria", "KLINGON"),
    "Latin-1 in a name": ({"codec": "latin-1", "name": "Müller^Eva"}, "name", "M\ufffdller^Eva", "could not be read"),
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_no_identifier_never_refuses_an_order(hospital: Hospital, story: Any, name: str) -> None:
    values, attribute, shown, warning = MENDED[name]
    accession = f"M{list(MENDED).index(name)}"
    text = story.orm(accession, **{"patient": accession, **values}).replace(
        "UNICODE UTF-8", values.get("set", "UNICODE UTF-8")
    )
    his = hospital.his()

    his.send_raw(framed(text, values.get("codec", "utf-8")))

    assert story.msa(his.receive())[1] == "AA"
    order = hospital.order(accession)
    assert order["patient"][attribute] == shown
    told = "\n".join(last_message(hospital)["warnings"])
    assert warning in told
    assert bool(told) == bool(warning)
    assert warning in order["timeline"][0]["text"]


def test_a_text_that_is_too_long_is_cut(hospital: Hospital, story: Any) -> None:
    assert story.msa(hospital.send(story.orm("CUT", code=f"X^{'x' * 90}^L")))[1] == "AA"

    order = hospital.order("CUT")
    assert order["procedures"][0]["description"] == "x" * 64
    assert "LO allows 64" in order["timeline"][0]["text"]


def test_a_message_without_a_control_id_is_taken_as_often_as_it_comes(hospital: Hospital, story: Any) -> None:
    text = story.orm("NOID")
    control_id = text.split("|")[9]

    answers = [story.msa(hospital.send(text.replace(f"|{control_id}|", "||", 1))) for _ in range(2)]

    assert answers == [["MSA", "AA"]] * 2
    assert "MSH-10 is empty" in last_message(hospital)["warnings"][0]
    assert hospital.order("NOID")["status"] == "scheduled"


def test_a_frame_of_40_mb_is_answered_ar_and_closed(hospital: Hospital, story: Any) -> None:
    his = hospital.his()
    his.send_raw(b"\x0bMSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|BIG|P|2.3\rNTE|1||")
    for _ in range(40):
        his.send_raw(b"x" * 1_000_000)
    his.send_raw(b"\x1c\r")

    answer = his.receive()

    assert story.msa(answer)[1:3] == ["AR", "BIG"]
    assert "send a smaller one" in answer
    assert his.receive() == ""


def test_half_a_frame_is_given_up_after_its_time(hospital: Hospital) -> None:
    his = hospital.his()
    his.send_raw(b"\x0bMSH|^~\\&|HIS")

    assert his.receive() == ""
    assert eventually(lambda: "mllp.frame_timed_out" in hospital.read_log())


def test_a_tls_hello_on_the_plain_port_is_closed_and_told(hospital: Hospital) -> None:
    his = hospital.his()
    his.send_raw(TLS_HELLO + os.urandom(500))

    assert his.receive() == ""
    assert eventually(lambda: "the sender uses TLS, this listener does not" in hospital.read_log())


def test_300_half_open_connections_keep_nobody_out_for_long(hospital: Hospital, story: Any) -> None:
    opened = [hospital.his() for _ in range(300)]
    for his in opened[:200]:
        his.send_raw(b"\x0bMSH|")

    answer = eventually(lambda: answered(hospital, story))

    assert story.msa(answer)[1] == "AA"
    assert "max_connections reached" in hospital.read_log()


def answered(hospital: Hospital, story: Any) -> str:
    """Send an order; nothing when the broker has no place for the connection."""
    try:
        return str(hospital.send(story.orm("HALF")))
    except OSError:
        return ""


def test_any_chunking_and_several_messages_in_one_write(hospital: Hospital, story: Any) -> None:
    his = hospital.his()
    frames = b"".join(framed(story.orm(f"C{n}")) for n in range(3))
    for byte in frames[:40]:
        his.send_raw(bytes([byte]))
        time.sleep(0.001)
    his.send_raw(frames[40:])

    content = b""
    while content.count(b"\x1c\r") < 3:
        content += his.socket.recv(65536)
    assert content.count(b"MSA|AA|") == 3


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_line_end_and_a_missing_last_one(hospital: Hospital, story: Any, ending: str) -> None:
    his = hospital.his()
    his.send_raw(b"\x0b" + story.orm("E1").strip().replace("\n", ending).encode() + b"\x1c\r")

    assert story.msa(his.receive())[1] == "AA"


def test_text_between_frames_is_ignored(hospital: Hospital, story: Any) -> None:
    his = hospital.his()
    his.send_raw(b"\r\nhello\r\n")

    assert story.msa(his.send(story.orm("N1")))[1] == "AA"


@pytest.mark.parametrize("accept", ["AL|NE", "NE|AL", "NE|NE", "ER|SU"])
def test_a_sender_that_asks_for_enhanced_mode_gets_an_original_answer(
    hospital: Hospital, story: Any, accept: str
) -> None:
    answer = hospital.send(story.orm("ENHANCED", version="2.5.1").replace("|2.5.1|||", f"|2.5.1|||{accept}", 1))

    assert story.msa(answer)[1] == "AA"


def test_a_message_with_thousands_of_orders_keeps_nobody_waiting(hospital: Hospital, story: Any) -> None:
    groups = "\n".join(story.order_group(f"K{n}", number=f"K{n}") for n in range(2000))
    his = hospital.his()
    his.send_raw(framed(story.orm("K", group=groups)))

    works(hospital, "MEANWHILE")

    assert story.msa(his.receive())[1] == "AA"
    assert len(hospital.findscu("0008,0050=K1999")) == 1
