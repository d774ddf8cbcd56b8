"""One association, as acceptor or as requestor: feed it bytes, take its events, tell it what to send, take the bytes.

It holds at most one unfinished PDU and one unfinished command set: data sets are handed out piece by piece.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from broker.ul.assembly import Assembly
from broker.ul.codec import (
    FRAGMENT_OVERHEAD,
    HEADER,
    decode_pdu,
    encode_fragment,
    encode_message,
    encode_messages,
    encode_pdu,
)
from broker.ul.dimse import Command, encode_command
from broker.ul.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    Event,
    Released,
    ReleaseRequested,
)
from broker.ul.fault import AbortReason, AbortSource, ProtocolError
from broker.ul.negotiation import AcceptedContext, accepted
from broker.ul.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    DataValue,
    Pdu,
    PduType,
    RejectReason,
    ReleaseReply,
    ReleaseRequest,
    abort_words,
)
from broker.ul.states import AFTER, TABLE, Action, Happening, State

DEFAULT_MAX_PDU: Final = 131_072
MAX_ASSOCIATE_PDU: Final = 1_048_576
SMALLEST_PEER_PDU: Final = 128
_TLS_HANDSHAKE: Final = 0x16


class Association:
    """The upper layer's state machine for one connection.

    After every call: send what `take_outgoing` gives, keep the ARTIM timer running while `is_artim_running`, and close
    the connection once `is_over`.
    """

    def __init__(self, *, is_requestor: bool, max_pdu: int = DEFAULT_MAX_PDU) -> None:
        self.state = State.IDLE
        self.contexts: dict[int, AcceptedContext] = {}
        self._is_requestor = is_requestor
        self._max_pdu = max_pdu
        self._max_fragment = DEFAULT_MAX_PDU - FRAGMENT_OVERHEAD
        self._request: AssociateRequest | None = None
        self._incoming = bytearray()
        self._is_deaf = False
        self._events: deque[Event] = deque()
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self._assembly = Assembly()
        if not is_requestor:
            self._happen(Happening.CONNECTION_CAME)

    @property
    def is_established(self) -> bool:
        """Say whether messages may be sent."""
        return self.state is State.ESTABLISHED or self.state is State.AWAITING_LOCAL_RELEASE

    @property
    def is_artim_running(self) -> bool:
        """Say whether the time for the peer's next step is limited by ARTIM (PS3.8 9.1.5)."""
        return self.state is State.AWAITING_REQUEST or self.state is State.AWAITING_CLOSE

    @property
    def is_over(self) -> bool:
        """Say whether the connection is to be closed."""
        return self.state is State.IDLE

    @property
    def outgoing_size(self) -> int:
        """Count the bytes that wait to be sent."""
        return self._outgoing_size

    @property
    def max_fragment(self) -> int:
        """The most bytes of a data set that go into one PDU to this peer."""
        return self._max_fragment

    def receive(self, chunk: bytes) -> None:
        """Take bytes as they come, cut anywhere; then ask `next_event` until it has none."""
        if not self._is_deaf:
            self._incoming += chunk

    def next_event(self) -> Event | None:
        """Hand out the next event, or ``None`` when more bytes are needed. A peer's fault is an `Aborted` event."""
        while not self._events:
            try:
                pdu = self._next_pdu()
                if pdu is None:
                    return None
                self._take(pdu)
            except ProtocolError as fault:
                self._break_off(Happening.INVALID_PDU, fault)
        return self._events.popleft()

    def take_outgoing(self) -> bytes:
        """Hand out all bytes that are to be sent, many PDUs in one piece."""
        if not self._outgoing:
            return b""
        outgoing = b"".join(self._outgoing)
        self._outgoing.clear()
        self._outgoing_size = 0
        return outgoing

    def request(self, request: AssociateRequest) -> None:
        """Ask for an association over a connection that has just been made."""
        self._happen(Happening.LOCAL_REQUEST)
        self._happen(Happening.CONNECTED)
        self._request = request
        self._send(encode_pdu(request))

    def accept(self, reply: AssociateAccept) -> None:
        """Accept the peer's request with *reply*."""
        assert self._request is not None
        self._happen(Happening.LOCAL_ACCEPT)
        self.contexts = accepted(self._request, reply)
        self._send(encode_pdu(reply))

    def reject(self, reason: RejectReason) -> None:
        """Refuse the peer's request."""
        self._happen(Happening.LOCAL_REJECT)
        self._send(encode_pdu(AssociateReject(*reason.value)))

    def send_message(self, context_id: int, command: Command | bytes, data_set: bytes | None = None) -> None:
        """Send a whole message; *command* may be encoded already. Its command set and data set never share a PDU."""
        encoded = command if isinstance(command, bytes) else encode_command(command)
        if data_set is None or len(encoded) > self._max_fragment or len(data_set) > self._max_fragment:
            self.send_command(context_id, encoded)
            if data_set is not None:
                self.send_data(context_id, data_set, is_last=True)
            return
        self._check_sending()
        self._send(encode_message(context_id, encoded, data_set))

    def send_messages(self, context_id: int, command: bytes, data_sets: Sequence[bytes]) -> None:
        """Send a whole message for each data set, all with the same *command*."""
        if len(command) > self._max_fragment or max(map(len, data_sets), default=0) > self._max_fragment:
            for data_set in data_sets:
                self.send_message(context_id, command, data_set)
            return
        self._check_sending()
        self._send(encode_messages(context_id, command, data_sets))

    def send_command(self, context_id: int, command: Command | bytes) -> None:
        """Send a command set; when it announces a data set, `send_data` must follow."""
        self._check_sending()
        encoded = command if isinstance(command, bytes) else encode_command(command)
        self._send_fragments(context_id, encoded, is_command=True, is_last=True)

    def send_data(self, context_id: int, piece: bytes, *, is_last: bool) -> None:
        """Send a piece of a data set of any size, in PDUs that the peer takes; the last piece may be empty."""
        self._check_sending()
        self._send_fragments(context_id, piece, is_command=False, is_last=is_last)

    def release(self) -> None:
        """Ask the peer to end."""
        self._happen(Happening.LOCAL_RELEASE)
        self._send(encode_pdu(ReleaseRequest()))

    def confirm_release(self) -> None:
        """Agree to the peer's wish to end."""
        self._happen(Happening.LOCAL_RELEASED)
        self._send(encode_pdu(ReleaseReply()))

    def abort(self) -> None:
        """End at once, and drop the events that nobody has taken; without effect when there is nothing to end."""
        if self.state in TABLE[Happening.LOCAL_ABORT]:
            action = self._happen(Happening.LOCAL_ABORT)
            self._is_deaf = True
            self._events.clear()
            if action is Action.ABORT_AS_USER:
                self._send(encode_pdu(Abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)))

    def connection_lost(self) -> None:
        """Note that the connection is gone, and with it the events that nobody has taken."""
        self._events.clear()
        if self.state is not State.IDLE and self._happen(Happening.CONNECTION_LOST) is Action.INDICATE_LOSS:
            self._events.append(Aborted("the connection was closed"))

    def artim_expired(self) -> None:
        """Note that ARTIM has run out; without effect when it does not run."""
        if self.is_artim_running:
            self._happen(Happening.ARTIM_EXPIRED)

    def _happen(self, happening: Happening) -> Action:
        action = TABLE[happening].get(self.state)
        if action is None:
            raise ProtocolError(f"{happening.value} in the state {self.state.name}", AbortReason.UNEXPECTED_PDU)
        self.state = AFTER[action]
        if action is Action.INDICATE_COLLISION and self._is_requestor:
            self.state = State.COLLISION_REQUESTOR_LOCAL
        return action

    def _check_sending(self) -> None:
        # The two states in which data may be sent stay as they are (DT-1, AR-7): no step for each of many answers.
        if not self.is_established:
            self._happen(Happening.LOCAL_DATA)

    def _send(self, pdu: bytes) -> None:
        self._outgoing.append(pdu)
        self._outgoing_size += len(pdu)

    def _send_fragments(self, context_id: int, content: bytes, *, is_command: bool, is_last: bool) -> None:
        size, step = len(content), self._max_fragment
        if size <= step:
            self._send(encode_fragment(context_id, is_command, is_last, content))
            return
        for start in range(0, size, step):
            piece = content[start : start + step]
            self._send(encode_fragment(context_id, is_command, is_last and start + step >= size, piece))

    def _next_pdu(self) -> Pdu | None:
        incoming = self._incoming
        if not incoming or self._is_deaf or self.is_over:
            return None
        pdu_type = incoming[0]
        if not PduType.ASSOCIATE_RQ <= pdu_type <= PduType.ABORT:
            is_tls = pdu_type == _TLS_HANDSHAKE
            what = "the peer speaks TLS, this port does not" if is_tls else f"there is no PDU of type {pdu_type:02X}H"
            raise ProtocolError(what, AbortReason.UNRECOGNIZED_PDU)
        if len(incoming) < HEADER.size:
            return None
        length = HEADER.unpack_from(incoming)[1]
        if length > self._limit(pdu_type):
            limit = self._limit(pdu_type)
            raise ProtocolError(f"a PDU of type {pdu_type:02X}H has {length:,} bytes, more than {limit:,}")
        end = HEADER.size + length
        if len(incoming) < end:
            return None
        with memoryview(incoming) as view, view[HEADER.size : end] as body:
            pdu = decode_pdu(pdu_type, body)
        del incoming[:end]
        return pdu

    def _limit(self, pdu_type: int) -> int:
        if pdu_type == PduType.DATA:
            return self._max_pdu
        return MAX_ASSOCIATE_PDU if pdu_type <= PduType.ASSOCIATE_AC else 4

    def _take(self, pdu: Pdu) -> None:
        happening = _HAPPENINGS[type(pdu)]
        if TABLE[happening][self.state] in _BREAKS:
            text = f"{happening.value} in the state {self.state.name}"
            self._break_off(happening, ProtocolError(text, AbortReason.UNEXPECTED_PDU))
            return
        match self._happen(happening), pdu:
            case ((Action.INDICATE_DATA | Action.INDICATE_DATA_IN_RELEASE), DataTransfer(values)):
                for value in values:
                    event = self._assembly.take(self._context_of(value), value)
                    if event is not None:
                        self._events.append(event)
            case Action.INDICATE_REQUEST, AssociateRequest() as request:
                self._learn(request, request.user.max_length)
                self._events.append(AssociationRequested(request))
            case Action.CONFIRM_ACCEPT, AssociateAccept() as reply:
                assert self._request is not None
                self._learn(self._request, reply.user.max_length)
                self.contexts = accepted(self._request, reply)
                self._events.append(AssociationAccepted(reply))
            case Action.CONFIRM_REJECT, AssociateReject() as reject:
                self._events.append(AssociationRejected(reject))
            case ((Action.INDICATE_RELEASE | Action.CONFIRM_IN_COLLISION), _):
                self._events.append(ReleaseRequested())
            case Action.INDICATE_COLLISION, _ if self._is_requestor:
                # The acceptor agrees only after the peer's reply: CONFIRM_IN_COLLISION (PS3.8 9.2.2, Sta10).
                self._events.append(ReleaseRequested())
            case Action.CONFIRM_RELEASE, _:
                self._events.append(Released())
            case ((Action.INDICATE_ABORT | Action.CLOSE), Abort(source, reason)):
                self._events.append(Aborted(abort_words(source, reason)))

    def _context_of(self, value: DataValue) -> AcceptedContext:
        context = self.contexts.get(value.context_id)
        if context is None:
            raise ProtocolError(f"presentation context {value.context_id} is used but was not accepted")
        return context

    def _break_off(self, happening: Happening, fault: ProtocolError) -> None:
        action = self._happen(happening)
        self._is_deaf = True
        self._incoming = bytearray()
        if action is Action.ABORT_AS_USER:
            self._send(encode_pdu(Abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)))
        else:
            self._send(encode_pdu(Abort(AbortSource.SERVICE_PROVIDER, fault.reason)))
        if action is not Action.ABORT_AGAIN:
            self._events.append(Aborted(fault.message, is_ours=True))

    def _learn(self, request: AssociateRequest, max_length: int) -> None:
        if 0 < max_length < SMALLEST_PEER_PDU:
            raise ProtocolError(f"the peer takes PDUs of {max_length} bytes at most, which is too few to work with")
        self._request = request
        self._max_fragment = min(max_length or DEFAULT_MAX_PDU, DEFAULT_MAX_PDU) - FRAGMENT_OVERHEAD


_BREAKS: Final = frozenset({Action.ABORT_AS_USER, Action.ABORT_AS_PROVIDER, Action.ABORT_AGAIN})
_HAPPENINGS: Final[dict[type, Happening]] = {
    AssociateRequest: Happening.PEER_REQUEST,
    AssociateAccept: Happening.PEER_ACCEPT,
    AssociateReject: Happening.PEER_REJECT,
    DataTransfer: Happening.PEER_DATA,
    ReleaseRequest: Happening.PEER_RELEASE,
    ReleaseReply: Happening.PEER_RELEASED,
    Abort: Happening.PEER_ABORT,
}
