"""Bad input: answered or closed, and the next order works."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def works(hospital: Any, story: Any) -> None:
    """Send an order and see it on the list."""
    assert story.msa(hospital.send(story.orm("OK1")))[1] == "AA"
    assert len(hospital.findscu("0008,0050=OK1")) == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"this is not HL7 at all", "AR"),
        (b"MSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|X1|P|2.3\r", "AE"),
        (b"MSH", "AR"),
        (b"", "AR"),
        (b"\x00\x01\x02\xff\xfe", "AR"),
        (b"MSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|X1|P|2.3\rORC|NW\r", "AE"),
        (b"MSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|X1|P|2.3\rPID|1||7\rORC|ZZ|P1\r", "AE"),
    ],
)
def test_what_cannot_be_taken_is_answered(hospital: Any, story: Any, payload: bytes, code: str) -> None:
    hospital.start()
    his = hospital.his()

    his.send_raw(b"\x0b" + payload + b"\x1c\r")

    assert story.msa(his.receive())[1] == code
    works(hospital, story)


def test_a_frame_of_40_mb_is_answered_ar_and_closed(hospital: Any, story: Any) -> None:
    hospital.start()
    his = hospital.his()
    his.send_raw(b"\x0bMSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|BIG|P|2.3\rNTE|1||")

    try:
        for _ in range(40):
            his.send_raw(b"x" * 1_000_000)
        his.send_raw(b"\x1c\r")
    except OSError:
        pass
    answer = his.receive()

    assert story.msa(answer)[1:3] == ["AR", "BIG"]
    assert his.receive() == ""
    works(hospital, story)


def test_any_chunking_and_several_messages_in_one_write(hospital: Any, story: Any) -> None:
    hospital.start()
    his = hospital.his()
    frames = b"".join(b"\x0b" + story.orm(f"C{n}").replace("\n", "\r").encode() + b"\x1c\r" for n in range(3))

    for byte in frames[:40]:
        his.send_raw(bytes([byte]))
        time.sleep(0.001)
    his.send_raw(frames[40:])

    content = b""
    while content.count(b"\x1c\r") < 3:
        content += his.socket.recv(65536)
    assert content.count(b"MSA|AA|") == 3


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_line_end_and_a_missing_last_one(hospital: Any, story: Any, ending: str) -> None:
    hospital.start()
    his = hospital.his()

    his.send_raw(b"\x0b" + story.orm("E1").strip().replace("\n", ending).encode() + b"\x1c\r")

    assert story.msa(his.receive())[1] == "AA"


def test_text_between_frames_is_ignored(hospital: Any, story: Any) -> None:
    hospital.start()
    his = hospital.his()

    his.send_raw(b"\r\nhello\r\n")

    assert story.msa(his.send(story.orm("N1")))[1] == "AA"


def test_random_bytes_on_the_dicom_port_close_that_connection_alone(hospital: Any, story: Any) -> None:
    hospital.start()
    for content in (
        os.urandom(500),
        b"\x04\x00\xff\xff\xff\xff",
        b"\x01\x00\x00\x00\x00\x04abcd",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", hospital.dicom_port), timeout=10) as peer:
            peer.sendall(content)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass

    works(hospital, story)


def test_half_a_frame_is_given_up_after_its_time(hospital: Any, story: Any) -> None:
    hospital.configuration["hl7"]["listeners"]["his"]["frame_timeout"] = "1s"
    hospital.start()
    his = hospital.his()

    his.send_raw(b"\x0bMSH|^~\\&|HIS")

    his.receive()
    works(hospital, story)


def test_a_wrong_called_ae_title_is_rejected(hospital: Any, story: Any) -> None:
    from pynetdicom import AE

    hospital.start()
    entity = AE(ae_title="CT1")
    entity.add_requested_context("1.2.840.10008.1.1")

    association = entity.associate("127.0.0.1", hospital.dicom_port, ae_title="WRONG")

    assert association.is_rejected
    works(hospital, story)


def test_an_unknown_caller_is_rejected_where_only_known_ones_may_call(hospital: Any, story: Any) -> None:
    from pynetdicom import AE

    hospital.configuration["dicom"] |= {"callers": "known", "nodes": {"CT1": {"role": "modality"}}}
    hospital.start()
    entity = AE(ae_title="STRANGER")
    entity.add_requested_context("1.2.840.10008.1.1")

    association = entity.associate("127.0.0.1", hospital.dicom_port, ae_title="BROKER")

    assert association.is_rejected
    works(hospital, story)


def test_a_spool_that_cannot_be_written_answers_a700h_and_the_association_lives_on(
    hospital: Any, story: Any, tmp_path: Any
) -> None:
    from pynetdicom import AE

    hospital.start()
    incoming = hospital.folder / "var" / "spool" / "incoming"
    incoming.rename(incoming.with_name("away"))
    incoming.write_text("in the way")
    image = story.ct_images({"0010,0020": "1"}, 1)[0]
    entity = AE(ae_title="CT1")
    entity.add_requested_context(story.CT_IMAGE, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", hospital.dicom_port, ae_title="BROKER")

    refused = association.send_c_store(image).Status
    incoming.unlink()
    incoming.with_name("away").rename(incoming)
    stored = association.send_c_store(image).Status
    association.release()

    assert (refused, stored) == (0xA700, 0x0000)


def test_healthz_readyz_and_metrics_answer(hospital: Any) -> None:
    hospital.start()

    assert [hospital.get_status(path) for path in ("/healthz", "/readyz", "/metrics", "/")] == [200] * 4


@contextmanager
def no_room(hospital: Any) -> Iterator[None]:
    """The broker can write to no file, its log included."""
    pid = hospital.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(("transient", "code"), [("AR", "AR"), ("AE", "AE"), ("close", "")])
def test_a_store_that_cannot_write_refuses_for_now_and_recovers(
    hospital: Any, story: Any, transient: str, code: str
) -> None:
    hospital.configuration["hl7"]["listeners"]["his"]["transient"] = transient
    hospital.start()
    hospital.send(story.orm("A1"))

    with no_room(hospital):
        answers = [hospital.send(story.orm(f"B{n}")) for n in range(3)]
        states = [hospital.get_status(path) for path in ("/readyz", "/healthz")]
        seen = hospital.findscu("0008,0050=A1")

    assert [(story.msa(answer) or ["", ""])[1] for answer in answers] == [code] * 3
    assert not code or "207" in answers[0]
    assert states == [503, 200]
    assert len(seen) == 1
    story.eventually(lambda: hospital.get_status("/readyz") == 200)
    works(hospital, story)
    assert story.all_orders(hospital) == {"A1", "OK1"}


def test_a_message_with_thousands_of_orders_keeps_nobody_waiting(hospital: Any, story: Any) -> None:
    hospital.start()
    groups = "\n".join(story.order_group(f"K{n}", number=f"K{n}") for n in range(2000))
    his = hospital.his()
    his.send_raw(b"\x0b" + story.orm("K", group=groups).replace("\n", "\r").encode() + b"\x1c\r")

    works(hospital, story)

    assert story.msa(his.receive())[1] == "AA"
    assert len(hospital.findscu("0008,0050=K1999")) == 1


@pytest.mark.parametrize("accept", ["AL|NE", "NE|AL", "NE|NE", "ER|SU"])
def test_a_sender_that_asks_for_enhanced_mode_gets_an_original_answer(hospital: Any, story: Any, accept: str) -> None:
    hospital.start()

    answer = hospital.send(story.orm("M1", version="2.5.1").replace("|2.5.1|||", f"|2.5.1|||{accept}", 1))

    assert story.msa(answer)[1] == "AA"
