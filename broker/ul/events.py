"""What an association tells its user."""

from __future__ import annotations

from dataclasses import dataclass

from broker.ul.dimse import Command
from broker.ul.negotiation import AcceptedContext
from broker.ul.pdu import AssociateAccept, AssociateReject, AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociationRequested:
    """The peer asks for an association: answer with `accept` or `reject`."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociationAccepted:
    """The peer has accepted; `Association.contexts` says what."""

    reply: AssociateAccept


@dataclass(frozen=True, slots=True)
class AssociationRejected:
    """The peer has refused; the connection is to be closed."""

    reject: AssociateReject


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A command set is whole; when *command* has a data set, `DataReceived` events follow, the last with *is_last*."""

    context: AcceptedContext
    command: Command


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A piece of the data set of the last command."""

    fragment: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer wants to end: finish what is in hand, then `confirm_release`."""


@dataclass(frozen=True, slots=True)
class Released:
    """The peer has confirmed the release; the connection is to be closed."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association is over, by the peer, by its connection, or (*is_ours*) because the peer broke the protocol."""

    text: str
    is_ours: bool = False


Event = (
    AssociationRequested
    | AssociationAccepted
    | AssociationRejected
    | CommandReceived
    | DataReceived
    | ReleaseRequested
    | Released
    | Aborted
)
