"""The state table of the upper layer (PS3.8 section 9.2, Table 9-10) as a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final


class State(IntEnum):
    """States Sta1 to Sta13 (PS3.8 Tables 9-1 to 9-5). ARTIM runs in the states AWAITING_REQUEST and AWAITING_CLOSE alone."""

    IDLE = 1
    AWAITING_REQUEST = 2
    AWAITING_LOCAL_ANSWER = 3
    AWAITING_CONNECTION = 4
    AWAITING_ANSWER = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_REPLY = 7
    AWAITING_LOCAL_RELEASE = 8
    COLLISION_REQUESTOR_LOCAL = 9
    COLLISION_ACCEPTOR_REPLY = 10
    COLLISION_REQUESTOR_REPLY = 11
    COLLISION_ACCEPTOR_LOCAL = 12
    AWAITING_CLOSE = 13


class Happening(StrEnum):
    """What happens to an association (the rows of Table 9-10): by the user, by the peer's PDU, by the transport, by the timer."""

    LOCAL_REQUEST = "A-ASSOCIATE request"
    CONNECTED = "transport connection confirmed"
    PEER_ACCEPT = "A-ASSOCIATE-AC"
    PEER_REJECT = "A-ASSOCIATE-RJ"
    CONNECTION_CAME = "transport connection indication"
    PEER_REQUEST = "A-ASSOCIATE-RQ"
    LOCAL_ACCEPT = "A-ASSOCIATE response, accept"
    LOCAL_REJECT = "A-ASSOCIATE response, reject"
    LOCAL_DATA = "P-DATA request"
    PEER_DATA = "P-DATA-TF"
    LOCAL_RELEASE = "A-RELEASE request"
    PEER_RELEASE = "A-RELEASE-RQ"
    PEER_RELEASED = "A-RELEASE-RP"
    LOCAL_RELEASED = "A-RELEASE response"
    LOCAL_ABORT = "A-ABORT request"
    PEER_ABORT = "A-ABORT"
    CONNECTION_LOST = "transport connection closed"
    ARTIM_EXPIRED = "ARTIM timer expired"
    INVALID_PDU = "unrecognized or invalid PDU"


class Action(StrEnum):
    """What is then done (PS3.8 Tables 9-6 to 9-9), by the standard's numbers."""

    CONNECT = "AE-1"
    SEND_REQUEST = "AE-2"
    CONFIRM_ACCEPT = "AE-3"
    CONFIRM_REJECT = "AE-4"
    AWAIT_REQUEST = "AE-5"
    INDICATE_REQUEST = "AE-6"
    SEND_ACCEPT = "AE-7"
    SEND_REJECT = "AE-8"
    SEND_DATA = "DT-1"
    INDICATE_DATA = "DT-2"
    SEND_RELEASE = "AR-1"
    INDICATE_RELEASE = "AR-2"
    CONFIRM_RELEASE = "AR-3"
    SEND_RELEASE_REPLY = "AR-4"
    STOP_WAITING = "AR-5"
    INDICATE_DATA_IN_RELEASE = "AR-6"
    SEND_DATA_IN_RELEASE = "AR-7"
    INDICATE_COLLISION = "AR-8"
    SEND_REPLY_IN_COLLISION = "AR-9"
    CONFIRM_IN_COLLISION = "AR-10"
    ABORT_AS_USER = "AA-1"
    CLOSE = "AA-2"
    INDICATE_ABORT = "AA-3"
    INDICATE_LOSS = "AA-4"
    FORGET = "AA-5"
    IGNORE = "AA-6"
    ABORT_AGAIN = "AA-7"
    ABORT_AS_PROVIDER = "AA-8"


AFTER: Final[Mapping[Action, State]] = {
    Action.CONNECT: State.AWAITING_CONNECTION,
    Action.SEND_REQUEST: State.AWAITING_ANSWER,
    Action.CONFIRM_ACCEPT: State.ESTABLISHED,
    Action.CONFIRM_REJECT: State.IDLE,
    Action.AWAIT_REQUEST: State.AWAITING_REQUEST,
    Action.INDICATE_REQUEST: State.AWAITING_LOCAL_ANSWER,
    Action.SEND_ACCEPT: State.ESTABLISHED,
    Action.SEND_REJECT: State.AWAITING_CLOSE,
    Action.SEND_DATA: State.ESTABLISHED,
    Action.INDICATE_DATA: State.ESTABLISHED,
    Action.SEND_RELEASE: State.AWAITING_RELEASE_REPLY,
    Action.INDICATE_RELEASE: State.AWAITING_LOCAL_RELEASE,
    Action.CONFIRM_RELEASE: State.IDLE,
    Action.SEND_RELEASE_REPLY: State.AWAITING_CLOSE,
    Action.STOP_WAITING: State.IDLE,
    Action.INDICATE_DATA_IN_RELEASE: State.AWAITING_RELEASE_REPLY,
    Action.SEND_DATA_IN_RELEASE: State.AWAITING_LOCAL_RELEASE,
    Action.INDICATE_COLLISION: State.COLLISION_ACCEPTOR_REPLY,
    Action.SEND_REPLY_IN_COLLISION: State.COLLISION_REQUESTOR_REPLY,
    Action.CONFIRM_IN_COLLISION: State.COLLISION_ACCEPTOR_LOCAL,
    Action.ABORT_AS_USER: State.AWAITING_CLOSE,
    Action.CLOSE: State.IDLE,
    Action.INDICATE_ABORT: State.IDLE,
    Action.INDICATE_LOSS: State.IDLE,
    Action.FORGET: State.IDLE,
    Action.IGNORE: State.AWAITING_CLOSE,
    Action.ABORT_AGAIN: State.AWAITING_CLOSE,
    Action.ABORT_AS_PROVIDER: State.AWAITING_CLOSE,
}
"""The state after each action; INDICATE_COLLISION leads the requestor to COLLISION_REQUESTOR_LOCAL instead."""

_OPEN: Final = tuple(state for state in State if 5 <= state.value <= 12)


def _peer(awaiting_close: Action, **others: Action) -> dict[State, Action]:
    """A row of a peer's PDU: too early is an abort, out of place an abort by the provider, but where *others* say."""
    row = dict.fromkeys((State.AWAITING_LOCAL_ANSWER, *_OPEN), Action.ABORT_AS_PROVIDER)
    row[State.AWAITING_REQUEST] = Action.ABORT_AS_USER
    row[State.AWAITING_CLOSE] = awaiting_close
    return row | {State[name]: action for name, action in others.items()}


TABLE: Final[Mapping[Happening, Mapping[State, Action]]] = {
    Happening.LOCAL_REQUEST: {State.IDLE: Action.CONNECT},
    Happening.CONNECTED: {State.AWAITING_CONNECTION: Action.SEND_REQUEST},
    Happening.PEER_ACCEPT: _peer(Action.IGNORE, AWAITING_ANSWER=Action.CONFIRM_ACCEPT),
    Happening.PEER_REJECT: _peer(Action.IGNORE, AWAITING_ANSWER=Action.CONFIRM_REJECT),
    Happening.CONNECTION_CAME: {State.IDLE: Action.AWAIT_REQUEST},
    Happening.PEER_REQUEST: _peer(Action.ABORT_AGAIN, AWAITING_REQUEST=Action.INDICATE_REQUEST),
    Happening.LOCAL_ACCEPT: {State.AWAITING_LOCAL_ANSWER: Action.SEND_ACCEPT},
    Happening.LOCAL_REJECT: {State.AWAITING_LOCAL_ANSWER: Action.SEND_REJECT},
    Happening.LOCAL_DATA: {
        State.ESTABLISHED: Action.SEND_DATA,
        State.AWAITING_LOCAL_RELEASE: Action.SEND_DATA_IN_RELEASE,
    },
    Happening.PEER_DATA: _peer(
        Action.IGNORE,
        ESTABLISHED=Action.INDICATE_DATA,
        AWAITING_RELEASE_REPLY=Action.INDICATE_DATA_IN_RELEASE,
    ),
    Happening.LOCAL_RELEASE: {State.ESTABLISHED: Action.SEND_RELEASE},
    Happening.PEER_RELEASE: _peer(
        Action.IGNORE,
        ESTABLISHED=Action.INDICATE_RELEASE,
        AWAITING_RELEASE_REPLY=Action.INDICATE_COLLISION,
    ),
    Happening.PEER_RELEASED: _peer(
        Action.IGNORE,
        AWAITING_RELEASE_REPLY=Action.CONFIRM_RELEASE,
        COLLISION_ACCEPTOR_REPLY=Action.CONFIRM_IN_COLLISION,
        COLLISION_REQUESTOR_REPLY=Action.CONFIRM_RELEASE,
    ),
    Happening.LOCAL_RELEASED: {
        State.AWAITING_LOCAL_RELEASE: Action.SEND_RELEASE_REPLY,
        State.COLLISION_REQUESTOR_LOCAL: Action.SEND_REPLY_IN_COLLISION,
        State.COLLISION_ACCEPTOR_LOCAL: Action.SEND_RELEASE_REPLY,
    },
    Happening.LOCAL_ABORT: {
        State.AWAITING_LOCAL_ANSWER: Action.ABORT_AS_USER,
        State.AWAITING_CONNECTION: Action.CLOSE,
        **dict.fromkeys(_OPEN, Action.ABORT_AS_USER),
    },
    Happening.PEER_ABORT: {
        State.AWAITING_REQUEST: Action.CLOSE,
        State.AWAITING_LOCAL_ANSWER: Action.INDICATE_ABORT,
        **dict.fromkeys(_OPEN, Action.INDICATE_ABORT),
        State.AWAITING_CLOSE: Action.CLOSE,
    },
    Happening.CONNECTION_LOST: {
        State.AWAITING_REQUEST: Action.FORGET,
        State.AWAITING_LOCAL_ANSWER: Action.INDICATE_LOSS,
        State.AWAITING_CONNECTION: Action.INDICATE_LOSS,
        **dict.fromkeys(_OPEN, Action.INDICATE_LOSS),
        State.AWAITING_CLOSE: Action.STOP_WAITING,
    },
    Happening.ARTIM_EXPIRED: {State.AWAITING_REQUEST: Action.CLOSE, State.AWAITING_CLOSE: Action.CLOSE},
    Happening.INVALID_PDU: _peer(Action.ABORT_AGAIN),
}
"""Happening -> state -> action; what is not in it cannot happen."""
