"""Protocol data units to bytes and back (PS3.8 9.3); user information is in `items`."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from broker.ul.fault import AbortReason, ProtocolError
from broker.ul.items import (
    UserInformation,
    decode_ae,
    decode_uid,
    decode_user_information,
    encode_ae,
    encode_user_information,
    item,
    items,
    uid_item,
)
from broker.ul.pdu import (
    MAX_CONTEXTS,
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    DataValue,
    Pdu,
    PduType,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
)

HEADER: Final = struct.Struct(">BxI")
FRAGMENT_OVERHEAD: Final = 6
"""Bytes of a presentation data value besides its fragment: length, context ID, control header (PS3.8 9.3.5.1)."""

_DATA: Final = int(PduType.DATA)
_ASSOCIATE = struct.Struct(">Hxx16s16s32s")
_FRAGMENT = struct.Struct(">BxIIBB")
_ANSWER = struct.Struct(">BxHBxBx")
_VALUE = struct.Struct(">IBB")


def encode_pdu(pdu: Pdu) -> bytes:
    """Write *pdu* with its header."""
    match pdu:
        case AssociateRequest():
            contexts = b"".join(_encode_proposed(context) for context in pdu.contexts)
            return _encode_associate(PduType.ASSOCIATE_RQ, pdu, contexts)
        case AssociateAccept():
            contexts = b"".join(_encode_answered(context) for context in pdu.contexts)
            return _encode_associate(PduType.ASSOCIATE_AC, pdu, contexts)
        case AssociateReject():
            return _frame(PduType.ASSOCIATE_RJ, bytes((0, pdu.result, pdu.source, pdu.reason)))
        case DataTransfer():
            return _frame(PduType.DATA, b"".join(_encode_value(value) for value in pdu.values))
        case ReleaseRequest():
            return _frame(PduType.RELEASE_RQ, bytes(4))
        case ReleaseReply():
            return _frame(PduType.RELEASE_RP, bytes(4))
        case Abort():
            return _frame(PduType.ABORT, bytes((0, 0, pdu.source, pdu.reason)))


def encode_fragment(context_id: int, is_command: bool, is_last: bool, fragment: bytes) -> bytes:
    """Write a P-DATA-TF PDU that holds *fragment* alone: the one form in which the broker sends data."""
    size = len(fragment)
    control = is_command | is_last << 1
    return _FRAGMENT.pack(PduType.DATA, size + FRAGMENT_OVERHEAD, size + 2, context_id, control) + fragment


def encode_message(context_id: int, command: bytes, data_set: bytes) -> bytes:
    """Write two P-DATA-TF PDUs: a whole command set, and its whole data set."""
    size, data_size = len(command), len(data_set)
    head = _FRAGMENT.pack(PduType.DATA, size + FRAGMENT_OVERHEAD, size + 2, context_id, 3)
    data_head = _FRAGMENT.pack(PduType.DATA, data_size + FRAGMENT_OVERHEAD, data_size + 2, context_id, 2)
    return b"".join((head, command, data_head, data_set))


def encode_messages(context_id: int, command: bytes, data_sets: Iterable[bytes]) -> bytes:
    """Write for each data set two PDUs, as `encode_message` does: all with the same command set."""
    size = len(command)
    head = _FRAGMENT.pack(PduType.DATA, size + FRAGMENT_OVERHEAD, size + 2, context_id, 3) + command
    parts: list[bytes] = []
    for data_set in data_sets:
        size = len(data_set)
        parts += head, _FRAGMENT.pack(_DATA, size + FRAGMENT_OVERHEAD, size + 2, context_id, 2), data_set
    return b"".join(parts)


def decode_pdu(pdu_type: int, body: bytes | memoryview) -> Pdu:
    """Read the PDU of *pdu_type* whose bytes after the header are *body*, which is copied once. Raises ProtocolError."""
    match pdu_type:
        case PduType.DATA:
            return DataTransfer(tuple(_decode_values(body)))
        case PduType.ASSOCIATE_RQ:
            return _decode_request(bytes(body))
        case PduType.ASSOCIATE_AC:
            return _decode_accept(bytes(body))
    if not PduType.ASSOCIATE_RJ <= pdu_type <= PduType.ABORT:
        raise ProtocolError(f"there is no PDU of type {pdu_type:02X}H", AbortReason.UNRECOGNIZED_PDU)
    if len(body) != 4:
        raise ProtocolError(f"a PDU of type {pdu_type:02X}H has {len(body)} bytes instead of 4")
    match pdu_type:
        case PduType.ASSOCIATE_RJ:
            return AssociateReject(body[1], body[2], body[3])
        case PduType.RELEASE_RQ:
            return ReleaseRequest()
        case PduType.RELEASE_RP:
            return ReleaseReply()
    return Abort(body[2], body[3])


def _frame(pdu_type: int, body: bytes) -> bytes:
    return HEADER.pack(pdu_type, len(body)) + body


def _encode_associate(pdu_type: int, pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    titles = encode_ae(pdu.called_ae), encode_ae(pdu.calling_ae)
    fixed = _ASSOCIATE.pack(pdu.protocol_version, *titles, b"")
    application = uid_item(0x10, pdu.application_context)
    return _frame(pdu_type, fixed + application + contexts + encode_user_information(pdu.user))


def _encode_proposed(context: ProposedContext) -> bytes:
    offered = b"".join([uid_item(0x40, syntax) for syntax in context.transfer_syntaxes])
    return item(0x20, bytes((context.id, 0, 0, 0)) + uid_item(0x30, context.abstract_syntax) + offered)


def _encode_answered(context: AnsweredContext) -> bytes:
    chosen = uid_item(0x40, context.transfer_syntax)
    return _ANSWER.pack(0x21, len(chosen) + 4, context.id, context.result) + chosen


def _encode_value(value: DataValue) -> bytes:
    control = value.is_command | value.is_last << 1
    return _VALUE.pack(len(value.fragment) + 2, value.context_id, control) + value.fragment


def _decode_values(body: bytes | memoryview) -> Iterator[DataValue]:
    offset, end = 0, len(body)
    if not end:
        raise ProtocolError("a P-DATA-TF PDU is empty")
    while offset < end:
        if end - offset < FRAGMENT_OVERHEAD:
            raise ProtocolError("a P-DATA-TF PDU ends inside the header of a data value")
        length, context_id, control = _VALUE.unpack_from(body, offset)
        start = offset + FRAGMENT_OVERHEAD
        offset += 4 + length
        if length < 2 or offset > end:
            raise ProtocolError(f"a data value of {length} bytes does not fit its P-DATA-TF PDU")
        yield DataValue(context_id, bool(control & 1), bool(control & 2), bytes(body[start:offset]))


def _decode_request(body: bytes) -> AssociateRequest:
    contexts: list[ProposedContext] = []
    application, user = "", UserInformation()
    version, called, calling = _associate_head(body)
    for kind, content in items(body, _ASSOCIATE.size):
        if kind == 0x20:
            contexts.append(_decode_proposed(content))
        elif kind == 0x10:
            application = decode_uid(content)
        elif kind == 0x50:
            user = decode_user_information(content)
    if len(contexts) > MAX_CONTEXTS:
        raise ProtocolError(f"{len(contexts)} presentation contexts are proposed; there are {MAX_CONTEXTS} IDs")
    return AssociateRequest(
        called_ae=called,
        calling_ae=calling,
        contexts=tuple(contexts),
        user=user,
        application_context=application,
        protocol_version=version,
    )


def _decode_accept(body: bytes) -> AssociateAccept:
    contexts: list[AnsweredContext] = []
    application, user = "", UserInformation()
    version, called, calling = _associate_head(body)
    for kind, content in items(body, _ASSOCIATE.size):
        if kind == 0x21:
            contexts.append(_decode_answered(content))
        elif kind == 0x10:
            application = decode_uid(content)
        elif kind == 0x50:
            user = decode_user_information(content)
    return AssociateAccept(
        called_ae=called,
        calling_ae=calling,
        contexts=tuple(contexts),
        user=user,
        application_context=application,
        protocol_version=version,
    )


def _associate_head(body: bytes) -> tuple[int, str, str]:
    if len(body) < _ASSOCIATE.size:
        raise ProtocolError(f"an A-ASSOCIATE PDU has {len(body)} bytes instead of at least {_ASSOCIATE.size}")
    version, called, calling, _ = _ASSOCIATE.unpack_from(body)
    return version, decode_ae(called), decode_ae(calling)


def _decode_proposed(content: bytes) -> ProposedContext:
    if len(content) < 4:
        raise ProtocolError("a presentation context item has no ID")
    abstract, offered, offset, end = "", [], 4, len(content)
    # Spelled out instead of `items`: with 128 contexts this loop is most of the time that an association takes.
    while offset < end - 3:
        kind, start = content[offset], offset + 4
        offset = start + (content[start - 2] << 8 | content[start - 1])
        if kind == 0x40:
            offered.append(decode_uid(content[start:offset]))
        elif kind == 0x30:
            abstract = decode_uid(content[start:offset])
    if offset != end:
        raise ProtocolError("a syntax item does not end where its presentation context does")
    return ProposedContext(content[0], abstract, tuple(offered))


def _decode_answered(content: bytes) -> AnsweredContext:
    if len(content) < 4:
        raise ProtocolError("a presentation context item has no ID")
    chosen = next((decode_uid(value) for kind, value in items(content, 4) if kind == 0x40), "")
    return AnsweredContext(id=content[0], result=content[2], transfer_syntax=chosen)
