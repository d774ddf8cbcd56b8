"""The one DICOM client of all measurements: PDUs made beforehand, answers only as far read as needed to know their end.

It is the same for every server, does little itself, and sets TCP_NODELAY.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from broker.ul.codec import encode_message, encode_pdu
from broker.ul.dimse import Command, encode_command
from broker.ul.items import UserInformation
from broker.ul.pdu import AssociateRequest, PduType, ProposedContext, ReleaseRequest

IMPLICIT = "1.2.840.10008.1.2"
CONTEXT = 1
TIMEOUT_SECONDS = 60.0

_HEAD = struct.Struct(">BxII")
_STATUS = b"\x00\x00\x00\x09\x02\x00\x00\x00"
_DATA = int(PduType.DATA)
_RELEASE = encode_pdu(ReleaseRequest())


class PeerFault(Exception):
    """A server did not answer as a server does."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one caller does over and over: *messages* of the turn's number, each answered before the next is sent.

    With *is_open* the association is kept from turn to turn, else the time holds connecting, negotiation and release.
    """

    abstract_syntax: str
    messages: Callable[[int, int], Sequence[bytes]]
    is_open: bool = False
    answers: int | None = None


def message(command: Command, data_set: bytes = b"") -> bytes:
    """Encode a message whose data set fits one PDU."""
    encoded = encode_command(command)
    whole = encode_message(CONTEXT, encoded, data_set)
    return whole if data_set else whole[: 12 + len(encoded)]


@dataclass(slots=True)
class Reader:
    """Takes what a server sends: knows when it has answered a request, whole."""

    max_pdu: int = 0
    status: int = 0
    answers: int = 0
    _pending: bytes = b""
    _command: bytes = b""

    def feed(self, chunk: bytes) -> bool:
        """Take bytes; say whether what was waited for is there. Raises PeerFault."""
        pending = self._pending = self._pending + chunk if self._pending else chunk
        offset, size, is_done = 0, len(pending), False
        while size - offset >= _HEAD.size:
            kind, length, value_length = _HEAD.unpack_from(pending, offset)
            end = offset + 6 + length
            if end > size:
                break
            if kind != _DATA:
                self._take(kind, pending[offset + 6 : end])
                is_done = True
            elif value_length + 4 != length:
                raise PeerFault("a PDU holds several values")
            elif (control := pending[offset + 11]) == 2:
                self.answers += 1
            elif control & 1:
                is_done = self._take_command(pending[offset + 12 : end], control) or is_done
            offset = end
        self._pending = pending[offset:]
        return is_done

    def _take(self, kind: int, body: bytes) -> None:
        if kind == PduType.ASSOCIATE_AC:
            self._take_accept(body)
        elif kind != PduType.RELEASE_RP:
            raise PeerFault(f"a PDU of type {kind} came: {body.hex()}")

    def _take_command(self, fragment: bytes, control: int) -> bool:
        command = self._command + fragment
        self._command = b"" if control & 2 else command
        if not control & 2:
            return False
        place = command.find(_STATUS)
        if place < 0:
            raise PeerFault("a command set came without a status")
        self.status = int.from_bytes(command[place + 8 : place + 10], "little")
        return self.status not in (0xFF00, 0xFF01)

    def _take_accept(self, body: bytes) -> None:
        place = body.find(b"\x21\x00", 68)
        if place < 0 or body[place + 6] != 0:
            raise PeerFault("the presentation context was not accepted")
        place = body.find(b"\x51\x00\x00\x04", place)
        self.max_pdu = int.from_bytes(body[place + 4 : place + 8]) or 131_072


class Caller:
    """One caller of a server: one association after another, or one for all turns."""

    def __init__(self, port: int, called: str, calling: str, work: Work) -> None:
        context = ProposedContext(CONTEXT, work.abstract_syntax, (IMPLICIT,))
        user = UserInformation(max_length=131_072, implementation_uid="2.25.1", implementation_version="BENCH")
        self._request = encode_pdu(
            AssociateRequest(called_ae=called, calling_ae=calling, contexts=(context,), user=user)
        )
        self._address = ("127.0.0.1", port)
        self._work = work
        self._reader = Reader()
        self._steps: Iterator[bytes] = iter(())
        self._unsent = memoryview(b"")
        self.socket: socket.socket | None = None
        self.started = 0.0

    @property
    def has_unsent(self) -> bool:
        """Say whether the server has not yet taken all."""
        return len(self._unsent) > 0

    def begin(self, turn: int) -> None:
        """Begin the turn of this number; `socket` is connected then."""
        self.started = time.perf_counter()
        self._steps = self._turn(turn)
        self._unsent = memoryview(next(self._steps))
        self.write()

    def write(self) -> None:
        """Send what the socket takes now."""
        assert self.socket is not None
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return

    def read(self) -> bool:
        """Read; say whether the turn is over. Raises PeerFault."""
        assert self.socket is not None
        chunk = self.socket.recv(1_048_576)
        if not chunk:
            raise PeerFault("the server closed the connection")
        if not self._reader.feed(chunk):
            return False
        following = next(self._steps, None)
        if following is None:
            return True
        self._unsent = memoryview(following)
        self.write()
        return False

    def open(self) -> None:
        """Open the association that is kept."""
        self._connect()
        self._ask_in_peace(self._request)

    def close(self) -> None:
        """End the association that was kept."""
        if self.socket is not None:
            self._ask_in_peace(_RELEASE)
            self.socket.close()
            self.socket = None

    def _turn(self, number: int) -> Iterator[bytes]:
        work = self._work
        if not work.is_open:
            self._connect()
            yield self._request
        reader = self._reader
        for one in work.messages(number, reader.max_pdu):
            reader.answers = 0
            yield one
            if reader.status != 0 or (work.answers is not None and reader.answers != work.answers):
                raise PeerFault(f"status {reader.status:04X}H after {reader.answers} answers")
        if not work.is_open:
            yield _RELEASE
            assert self.socket is not None
            self.socket.close()

    def _connect(self) -> None:
        self.socket = socket.create_connection(self._address, timeout=TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._reader = self._reader if self._work.is_open else Reader(max_pdu=self._reader.max_pdu)

    def _ask_in_peace(self, pdu: bytes) -> None:
        """Send outside the measured time, and wait for the answer."""
        assert self.socket is not None
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.sendall(pdu)
        while chunk := self.socket.recv(65_536):
            if self._reader.feed(chunk):
                break
        self.socket.setblocking(False)


def drive(callers: Sequence[Caller], first_turn: int, turns: int, seconds: float) -> tuple[list[float], float]:
    """Let every caller take turns until *turns* are begun or *seconds* are over, all of them in this one thread.

    Gives the time of each turn, and the time of all; in seconds. Raises PeerFault, also when nothing comes for long.
    """
    taken: list[float] = []
    begun = 0
    started = time.perf_counter()
    with selectors.DefaultSelector() as selector:

        def begin(caller: Caller) -> None:
            nonlocal begun
            caller.begin(first_turn + begun)
            begun += 1
            assert caller.socket is not None
            selector.register(caller.socket, _events(caller), caller)

        for caller in callers:
            begin(caller)
        while selector.get_map():
            ready = selector.select(TIMEOUT_SECONDS)
            if not ready:
                raise PeerFault(f"nothing came for {TIMEOUT_SECONDS:g} s")
            for key, events in ready:
                caller = key.data
                if events & selectors.EVENT_WRITE:
                    caller.write()
                if events & selectors.EVENT_READ and caller.read():
                    now = time.perf_counter()
                    taken.append(now - caller.started)
                    selector.unregister(key.fileobj)
                    if begun < turns and now - started < seconds:
                        begin(caller)
                elif key.events != _events(caller):
                    selector.modify(key.fileobj, _events(caller), caller)
    return taken, time.perf_counter() - started


def _events(caller: Caller) -> int:
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if caller.has_unsent else 0)
