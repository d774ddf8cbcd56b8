"""Protocol data units: to bytes and back, and hostile bytes refused."""

from __future__ import annotations

import struct

import pytest

from broker.ul.codec import decode_pdu, encode_fragment, encode_pdu
from broker.ul.fault import AbortReason, ProtocolError
from broker.ul.items import ExtendedNegotiation, RoleSelection, UserIdentity, UserInformation, item
from broker.ul.pdu import (
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    DataValue,
    Pdu,
    ProposedContext,
    RejectReason,
    ReleaseReply,
    ReleaseRequest,
    abort_words,
    reject_words,
)

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
USER = UserInformation(
    max_length=16384,
    implementation_uid="1.2.3.4",
    implementation_version="TEST_1",
    asynchronous=(1, 1),
    roles=(RoleSelection(sop_class=VERIFICATION, scu=True, scp=True),),
    extended=(ExtendedNegotiation(sop_class="1.2.840.10008.5.1.4.31", information=b"\1\0\1"),),
    identity=UserIdentity(kind=2, is_answer_wanted=True, primary=b"user", secondary=b"secret"),
)
REQUEST = AssociateRequest(
    called_ae="BROKER",
    calling_ae="CT1",
    contexts=(
        ProposedContext(id=1, abstract_syntax=VERIFICATION, transfer_syntaxes=(IMPLICIT, "1.2.840.10008.1.2.1")),
    ),
    user=USER,
)
FIXED = struct.pack(">Hxx16s16s32s", 1, b"BROKER".ljust(16), b"CT1".ljust(16), b"")


@pytest.mark.parametrize(
    "pdu",
    [
        REQUEST,
        AssociateAccept(
            called_ae="BROKER",
            calling_ae="CT1",
            contexts=(AnsweredContext(id=1, result=0, transfer_syntax=IMPLICIT),),
            user=USER,
        ),
        AssociateReject(1, 1, 7),
        DataTransfer((DataValue(1, True, True, b"command"), DataValue(1, False, False, b""))),
        ReleaseRequest(),
        ReleaseReply(),
        Abort(2, 6),
    ],
    ids=lambda pdu: type(pdu).__name__,
)
def test_what_is_written_is_read_back(pdu: Pdu) -> None:
    encoded = encode_pdu(pdu)
    assert struct.unpack(">I", encoded[2:6])[0] == len(encoded) - 6
    assert decode_pdu(encoded[0], encoded[6:]) == pdu


def test_a_fragment_alone_is_a_whole_pdu() -> None:
    encoded = encode_fragment(5, False, True, b"abc")
    assert decode_pdu(encoded[0], encoded[6:]) == DataTransfer((DataValue(5, False, True, b"abc"),))


def test_unknown_items_are_skipped() -> None:
    body = FIXED + item(0x10, b"1.2") + item(0x99, b"new") + item(0x50, item(0x57, b"more") + item(0x51, b"\0\0\x40\0"))
    request = decode_pdu(1, body)
    assert isinstance(request, AssociateRequest)
    assert request.user.max_length == 16384


def test_uids_and_titles_are_read_without_padding() -> None:
    context = bytes((1, 0, 0, 0)) + item(0x30, b"1.2.3\0") + item(0x40, b"1.2 ")
    request = decode_pdu(1, FIXED + item(0x10, b"1.2") + item(0x20, context))
    assert isinstance(request, AssociateRequest)
    assert request.contexts == (ProposedContext(id=1, abstract_syntax="1.2.3", transfer_syntaxes=("1.2",)),)
    assert (request.called_ae, request.calling_ae) == ("BROKER", "CT1")


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(REQUEST)


@pytest.mark.parametrize(
    ("pdu_type", "body"),
    [
        (1, b""),
        (1, FIXED[:-1]),
        (1, FIXED + b"\x20\0\0"),
        (1, FIXED + struct.pack(">BxH", 0x20, 65535) + b"\1\0\0\0"),
        (1, FIXED + item(0x20, b"\1")),
        (1, FIXED + item(0x20, b"\1\0\0\0" + struct.pack(">BxH", 0x40, 9) + b"1.2")),
        (1, FIXED + item(0x20, b"\1\0\0\0\x40")),
        (1, FIXED + item(0x20, b"\1\0\0\0") * 129),
        (1, FIXED + item(0x50, item(0x51, b"\0\0"))),
        (1, FIXED + item(0x50, item(0x54, b"\0\x091.2"))),
        (1, FIXED + item(0x50, item(0x54, b"\0\x031.2\1"))),
        (1, FIXED + item(0x50, item(0x58, b"\1"))),
        (1, FIXED + item(0x50, item(0x58, b"\1\0\0\x09user"))),
        (2, FIXED + item(0x21, b"\1")),
        (3, b"\0\1\1"),
        (4, b""),
        (4, b"\0\0\0\2\1"),
        (4, b"\0\0\0\1\1\1"),
        (4, b"\xff\xff\xff\xff\1\1"),
        (5, b""),
        (7, b"\0\0\0\0\0"),
    ],
)
def test_hostile_lengths_are_refused(pdu_type: int, body: bytes) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode_pdu(pdu_type, body)
    assert refusal.value.reason is AbortReason.INVALID_PARAMETER


@pytest.mark.parametrize("pdu_type", [0, 8, 0x47, 255])
def test_an_unknown_type_has_a_reason_of_its_own(pdu_type: int) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode_pdu(pdu_type, b"")
    assert refusal.value.reason is AbortReason.UNRECOGNIZED_PDU


def test_rejections_are_told_in_words() -> None:
    assert reject_words(AssociateReject(*RejectReason.CALLED_AE_NOT_RECOGNIZED.value)) == (
        "called AE title not recognized (permanently)"
    )
    assert reject_words(AssociateReject(2, 3, 2)) == "local limit exceeded (for now)"
    assert reject_words(AssociateReject(1, 3, 9)) == "source 3, reason 9 (permanently)"


def test_aborts_are_told_in_words() -> None:
    assert abort_words(0, 0) == "the peer's application aborted the association"
    assert abort_words(2, 2) == "the peer's upper layer aborted the association: unexpected pdu"
    assert abort_words(2, 77).endswith("reason 77")
