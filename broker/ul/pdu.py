"""The seven protocol data units as values, to bytes and back (PS3.8 9.3). User information is in `items`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from broker.ul.fault import AbortReason, AbortSource, ProtocolError
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

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
HEADER: Final = struct.Struct(">BxI")
MAX_CONTEXTS: Final = 128
FRAGMENT_OVERHEAD: Final = 6
"""Bytes of a presentation data value besides its fragment: length, context ID, control header (PS3.8 9.3.5.1)."""

_ASSOCIATE = struct.Struct(">Hxx16s16s32s")
_FRAGMENT = struct.Struct(">BxIIBB")
_ANSWER = struct.Struct(">BxHBxBx")
_VALUE = struct.Struct(">IBB")


class PduType(IntEnum):
    """First byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class ContextResult(IntEnum):
    """What became of a proposed presentation context (PS3.8 9.3.3.2)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class RejectReason(Enum):
    """Why an association is refused: result, source, reason of PS3.8 Table 9-21."""

    NO_REASON = (1, 1, 1)
    APPLICATION_CONTEXT_NOT_SUPPORTED = (1, 1, 2)
    CALLING_AE_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_AE_NOT_RECOGNIZED = (1, 1, 7)
    PROTOCOL_VERSION_NOT_SUPPORTED = (1, 2, 2)
    TEMPORARY_CONGESTION = (2, 3, 1)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


class ProposedContext(NamedTuple):
    """A presentation context as proposed: odd ID of 1 to 255, transfer syntaxes in the order of preference."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class AnsweredContext(NamedTuple):
    """A presentation context as answered; *transfer_syntax* counts only when *result* is acceptance."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ. *protocol_version* is a set of bits; bit 0 is version 1."""

    called_ae: str
    calling_ae: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAccept:
    """A-ASSOCIATE-AC. The AE titles repeat the request's and mean nothing."""

    called_ae: str
    calling_ae: str
    contexts: tuple[AnsweredContext, ...]
    user: UserInformation
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ."""

    result: int
    source: int
    reason: int


class DataValue(NamedTuple):
    """One presentation data value: a piece of a command set or of a data set."""

    context_id: int
    is_command: bool
    is_last: bool
    fragment: bytes


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """P-DATA-TF."""

    values: tuple[DataValue, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """A-RELEASE-RP."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT."""

    source: int
    reason: int


Pdu = AssociateRequest | AssociateAccept | AssociateReject | DataTransfer | ReleaseRequest | ReleaseReply | Abort


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


def decode_pdu(pdu_type: int, body: bytes) -> Pdu:
    """Read the PDU of *pdu_type* whose bytes after the header are *body*. Raises ProtocolError."""
    match pdu_type:
        case PduType.DATA:
            return DataTransfer(tuple(_decode_values(body)))
        case PduType.ASSOCIATE_RQ:
            return _decode_request(body)
        case PduType.ASSOCIATE_AC:
            return _decode_accept(body)
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


def abort_words(source: int, reason: int) -> str:
    """Say in words who aborted and why."""
    if source == AbortSource.SERVICE_USER:
        return "the peer's application aborted the association"
    known = {member.value: member.name.replace("_", " ").lower() for member in AbortReason}
    return f"the peer's upper layer aborted the association: {known.get(reason, f'reason {reason}')}"


def reject_words(reject: AssociateReject) -> str:
    """Say in words why an association was refused."""
    key = (reject.result, reject.source, reject.reason)
    known = next((member for member in RejectReason if member.value[1:] == key[1:]), None)
    words = (
        known.name.replace("_", " ").lower().replace(" ae ", " AE title ")
        if known
        else f"source {key[1]}, reason {key[2]}"
    )
    return f"{words} ({'for now' if reject.result == 2 else 'permanently'})"


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


def _decode_values(body: bytes) -> Iterator[DataValue]:
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
        yield DataValue(context_id, bool(control & 1), bool(control & 2), body[start:offset])


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
