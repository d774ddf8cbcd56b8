"""The seven protocol data units as values (PS3.8 9.3); `codec` takes them to bytes and back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from broker.ul.fault import AbortReason, AbortSource
from broker.ul.items import UserInformation

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
MAX_CONTEXTS: Final = 128


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
