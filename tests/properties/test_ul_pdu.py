"""Any PDU, any command set, any bytes."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from broker.ul.codec import decode_pdu, encode_pdu
from broker.ul.dimse import Command, decode_command, encode_command
from broker.ul.fault import ProtocolError
from broker.ul.items import ExtendedNegotiation, RoleSelection, UserIdentity, UserInformation
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
    ReleaseReply,
    ReleaseRequest,
)

BYTE = st.integers(0, 255)
SHORT = st.integers(0, 65535)
UID = st.from_regex(r"[0-9]+(\.[0-9]+){0,8}", fullmatch=True)
TITLE = st.from_regex(r"[A-Z0-9_]{0,16}", fullmatch=True)
TEXT = st.from_regex(r"[A-Za-z0-9_]{0,16}", fullmatch=True)
ROLES = st.builds(RoleSelection, sop_class=UID, scu=st.booleans(), scp=st.booleans())
EXTENDED = st.builds(ExtendedNegotiation, sop_class=UID, information=st.binary(max_size=20))
IDENTITY = st.builds(
    UserIdentity,
    kind=BYTE,
    is_answer_wanted=st.booleans(),
    primary=st.binary(max_size=20),
    secondary=st.binary(max_size=20),
)
USER = st.builds(
    UserInformation,
    max_length=st.integers(0, 2**32 - 1),
    implementation_uid=UID,
    implementation_version=TEXT,
    asynchronous=st.none() | st.tuples(SHORT, SHORT),
    roles=st.lists(ROLES, max_size=3).map(tuple),
    extended=st.lists(EXTENDED, max_size=3).map(tuple),
    identity=st.none() | IDENTITY,
)
PROPOSED = st.builds(
    ProposedContext, id=BYTE, abstract_syntax=UID, transfer_syntaxes=st.lists(UID, max_size=4).map(tuple)
)
ANSWERED = st.builds(AnsweredContext, id=BYTE, result=BYTE, transfer_syntax=UID)
VALUES = st.builds(DataValue, BYTE, st.booleans(), st.booleans(), st.binary(max_size=50))


def associate(kind: type, context: st.SearchStrategy[object]) -> st.SearchStrategy[Pdu]:
    return st.builds(
        kind,
        called_ae=TITLE,
        calling_ae=TITLE,
        contexts=st.lists(context, max_size=5).map(tuple),
        user=USER,
        application_context=UID,
        protocol_version=SHORT,
    )


PDUS: st.SearchStrategy[Pdu] = st.one_of(
    associate(AssociateRequest, PROPOSED),
    associate(AssociateAccept, ANSWERED),
    st.builds(AssociateReject, BYTE, BYTE, BYTE),
    st.builds(DataTransfer, st.lists(VALUES, min_size=1, max_size=5).map(tuple)),
    st.builds(ReleaseRequest),
    st.builds(ReleaseReply),
    st.builds(Abort, BYTE, BYTE),
)
TAGS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4).map(tuple)
COMMANDS = st.builds(
    Command,
    kind=SHORT,
    has_data_set=st.booleans(),
    affected_class=st.none() | UID,
    requested_instance=st.none() | UID,
    message_id=st.none() | SHORT,
    responded_id=st.none() | SHORT,
    status=st.none() | SHORT,
    offending_elements=st.none() | TAGS,
    error_comment=st.none() | st.from_regex(r"[A-Za-z0-9]{1,64}", fullmatch=True),
    error_id=st.none() | SHORT,
    attributes=st.none() | TAGS,
    move_originator=st.none() | st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True),
    move_originator_id=st.none() | SHORT,
)


@given(PDUS)
def test_a_pdu_survives_the_wire(pdu: Pdu) -> None:
    encoded = encode_pdu(pdu)
    assert decode_pdu(encoded[0], encoded[6:]) == pdu


@given(COMMANDS)
def test_a_command_survives_the_wire(command: Command) -> None:
    assert decode_command(encode_command(command)) == command


@given(st.integers(0, 255), st.binary(max_size=300))
def test_arbitrary_bytes_are_a_pdu_or_a_protocol_error(pdu_type: int, body: bytes) -> None:
    with suppress(ProtocolError):
        decode_pdu(pdu_type, body)


@given(st.sampled_from([1, 2]), st.binary(max_size=300))
def test_arbitrary_items_are_read_or_a_protocol_error(pdu_type: int, items: bytes) -> None:
    with suppress(ProtocolError):
        decode_pdu(pdu_type, bytes(68) + items)


@given(PDUS, st.data())
def test_a_damaged_pdu_is_read_or_a_protocol_error(pdu: Pdu, data: st.DataObject) -> None:
    encoded = bytearray(encode_pdu(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(BYTE)
    with suppress(ProtocolError):
        decode_pdu(encoded[0], bytes(encoded[6:]))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_command_or_a_protocol_error(encoded: bytes) -> None:
    with suppress(ProtocolError):
        decode_command(encoded)
