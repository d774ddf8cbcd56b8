"""Command sets: what is written is what others read, and nonsense is refused."""

from __future__ import annotations

import struct

import pytest

from broker.ul.dimse import Command, Kind, Status, decode_command, encode_command, is_pending, reply
from broker.ul.fault import ProtocolError

WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"


def element(number: int, content: bytes, group: int = 0) -> bytes:
    return struct.pack("<HHI", group, number, len(content)) + content


def test_a_command_has_its_group_length_first() -> None:
    encoded = encode_command(Command(kind=Kind.C_ECHO_RQ, message_id=7, affected_class="1.2.840.10008.1.1"))
    assert encoded[:12] == struct.pack("<HHII", 0, 0, 4, len(encoded) - 12)


def test_uids_are_padded_with_null_and_texts_with_a_space() -> None:
    encoded = encode_command(Command(kind=Kind.C_STORE_RSP, affected_class="1.2.3", error_comment="odd"))
    assert element(0x0002, b"1.2.3\0") in encoded
    assert element(0x0902, b"odd ") in encoded


def test_a_comment_is_cut_to_what_its_vr_holds_and_is_ascii() -> None:
    encoded = encode_command(Command(kind=Kind.C_FIND_RSP, error_comment="é" + "x" * 100))
    assert decode_command(encoded).error_comment == "?" + "x" * 63


def test_every_status_field_survives() -> None:
    command = Command(
        kind=Kind.N_SET_RSP,
        responded_id=65535,
        affected_class=MPPS,
        affected_instance="1.2.3.4",
        status=0x0110,
        offending_elements=(0x00400252, 0x00081120),
        error_comment="already COMPLETED",
        error_id=0xA710,
        attributes=(0x00400252,),
    )
    assert decode_command(encode_command(command)) == command


def test_unknown_elements_of_the_group_are_skipped() -> None:
    encoded = element(0x0001, b"\0\0\0\0") + element(0x0100, b"\x30\0") + element(0x5555, b"what")
    assert decode_command(encoded).kind == Kind.C_ECHO_RQ


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\0\0",
        element(0x0110, b"\1\0"),
        element(0x0100, b"\x30"),
        element(0x0100, b"\x30\0")[:-1],
        element(0x0100, b"\x30\0") + element(0x0010, b"DOE", group=0x0010),
        element(0x0100, b"\x30\0") + struct.pack("<HHI", 0, 0x0902, 0xFFFFFFFF),
        element(0x0100, b"\x30\0") + element(0x1005, b"\0\0\0"),
    ],
    ids=["empty", "cut header", "no kind", "short US", "cut value", "other group", "huge length", "odd AT"],
)
def test_what_is_no_command_set_is_refused(encoded: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_command(encoded)


def test_an_answer_repeats_class_instance_and_message_id() -> None:
    request = Command(
        kind=Kind.N_SET_RQ, message_id=5, requested_class=MPPS, requested_instance="1.9", has_data_set=True
    )
    answer = reply(request, Status.NO_SUCH_INSTANCE, comment="never created")
    assert (answer.kind, answer.responded_id) == (Kind.N_SET_RSP, 5)
    assert (answer.affected_class, answer.affected_instance) == (MPPS, "1.9")
    assert (answer.status, answer.error_comment, answer.has_data_set) == (0x0112, "never created", False)


def test_an_answer_names_the_instance_that_was_made_up() -> None:
    request = Command(kind=Kind.N_CREATE_RQ, message_id=5, affected_class=MPPS, has_data_set=True)
    assert reply(request, Status.SUCCESS, sop_instance="2.25.1").affected_instance == "2.25.1"


def test_an_answer_to_an_action_repeats_its_type() -> None:
    request = Command(
        kind=Kind.N_ACTION_RQ, message_id=1, requested_class="1.2", requested_instance="1.3", action_type=1
    )
    assert reply(request, Status.SUCCESS).action_type == 1


def test_a_search_is_answered_without_an_instance() -> None:
    request = Command(kind=Kind.C_FIND_RQ, message_id=5, affected_class=WORKLIST)
    assert reply(request, Status.PENDING, has_data_set=True).affected_instance is None


@pytest.mark.parametrize(("status", "expected"), [(0xFF00, True), (0xFF01, True), (0xFE00, False), (0, False)])
def test_only_two_statuses_promise_more(status: int, expected: bool) -> None:
    assert is_pending(status) is expected
