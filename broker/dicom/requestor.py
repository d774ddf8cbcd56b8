"""The connection under an association that the broker opens: it gathers answers, and knows what went wrong."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Final

from broker.dicom.transport import Connection
from broker.errors import Unreachable
from broker.ul.association import Association
from broker.ul.dimse import Command
from broker.ul.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    CommandReceived,
    DataReceived,
    Event,
    Released,
    ReleaseRequested,
)
from broker.ul.pdu import AssociateReject, AssociateRequest, reject_words

MAX_ANSWER: Final = 16 * 1024 * 1024
MAX_WAITING_ANSWERS: Final = 256


class Rejected(Unreachable):
    """The peer answers, but does not want this association; *reject* has the standard's numbers."""

    def __init__(self, peer: str, reject: AssociateReject) -> None:
        super().__init__(
            f"{peer} refused the association: {reject_words(reject)}",
            code="D022",
            hint="compare the AE titles, and the peer's list of known callers, with the configuration",
        )
        self.reject = reject


class Requestor(Connection):
    """One connection that the broker opened to *peer* (words for errors)."""

    def __init__(self, peer: str, request: AssociateRequest, max_pdu: int, closing_seconds: float) -> None:
        super().__init__(
            Association(is_requestor=True, max_pdu=max_pdu),
            artim_timeout_seconds=closing_seconds,
            idle_timeout_seconds=None,
        )
        self.peer = peer
        self._request = request
        self._answers: deque[tuple[Command, bytes]] = deque()
        self._command: Command | None = None
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self._is_released = False
        self._fault: Unreachable | None = None
        self._news = asyncio.Event()

    @property
    def is_held(self) -> bool:
        """Say whether enough answers wait to be looked at."""
        return len(self._answers) >= MAX_WAITING_ANSWERS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the association."""
        self.association.request(self._request)
        super().connection_made(transport)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def take(self, event: Event) -> None:
        """Act on *event*."""
        match event:
            case CommandReceived(command=command):
                self._take_command(command)
            case DataReceived(fragment, is_last):
                self._take_data(fragment, is_last)
            case AssociationAccepted():
                pass
            case AssociationRejected(reject):
                self._fail(Rejected(self.peer, reject))
            case ReleaseRequested():
                self.association.confirm_release()
                self._fail(self._broken("ended the association"))
            case Released():
                self._is_released = True
            case Aborted(text):
                self._fail(self._broken(f"is gone: {text}"))
        self._news.set()

    def lost(self) -> None:
        """Wake whoever waits."""
        self._fail(self._broken("closed the connection"))
        self._news.set()

    def check(self) -> None:
        """Raise what went wrong, unless messages can be sent."""
        if self._fault is not None:
            raise self._fault
        if not self.association.is_established:
            raise self._broken("has no association any more")

    async def send(self, timeout_seconds: float) -> None:
        """Send what is queued, at the pace at which the peer takes it."""
        if not await self.drain(timeout_seconds):
            raise self._late("take what was sent", timeout_seconds)
        self.check()

    async def wait_until_accepted(self, timeout_seconds: float) -> None:
        """Wait for the peer's A-ASSOCIATE-AC. Raises Rejected or Unreachable."""
        while not self.association.is_established:
            if self._fault is not None:
                raise self._fault
            await self._wait(timeout_seconds, "answer the request for an association")

    async def next_answer(self, message_id: int, timeout_seconds: float) -> tuple[Command, bytes]:
        """Wait for the next answer to *message_id*, with its data set; answers to what was given up are dropped."""
        while True:
            while self._answers:
                was_held = self.is_held
                command, data_set = self._answers.popleft()
                if was_held:
                    self.pump()
                if command.responded_id == message_id:
                    return command, data_set
            self.check()
            await self._wait(timeout_seconds, "answer")

    async def release(self, timeout_seconds: float) -> None:
        """Release, or drop the connection of a peer that does not agree in time: everything asked is answered."""
        if not self.association.is_established:
            return
        self.association.release()
        self.flush()
        try:
            while not self._is_released and self._fault is None:
                await self._wait(timeout_seconds, "release")
        except Unreachable:
            self.cut()

    async def _wait(self, timeout_seconds: float, wish: str) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
        except TimeoutError as fault:
            raise self._late(wish, timeout_seconds) from fault

    def _take_command(self, command: Command) -> None:
        if not command.is_response:
            self._fail(self._broken("sent a request where only answers are expected"))
            self.cut()
            return
        self._command = command
        if not command.has_data_set:
            self._answers.append((command, b""))

    def _take_data(self, fragment: bytes, is_last: bool) -> None:
        self._pieces.append(fragment)
        self._pieces_size += len(fragment)
        if self._pieces_size > MAX_ANSWER:
            self._fail(self._broken(f"sent an answer of more than {MAX_ANSWER} bytes"))
            self.cut()
        elif is_last and self._command is not None:
            self._answers.append((self._command, b"".join(self._pieces)))
        if is_last or self._fault is not None:
            self._pieces.clear()
            self._pieces_size = 0

    def _late(self, wish: str, timeout_seconds: float) -> Unreachable:
        return Unreachable(
            f"{self.peer} did not {wish} within {timeout_seconds:g} s",
            code="D024",
            hint="look at the peer's log; a slow peer needs a longer time-out",
        )

    def _broken(self, what: str) -> Unreachable:
        return Unreachable(
            f"{self.peer} {what}",
            code="D023",
            hint="look at the peer's log at this moment",
        )

    def _fail(self, fault: Unreachable) -> None:
        if self._fault is None:
            self._fault = fault
