"""An MLLP client with one lasting connection: one message out, its answer back, checked."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast

import structlog

from broker.errors import BrokerError, Unreachable
from broker.hl7.charset import decode
from broker.hl7.framing import Frame, Framer, frame
from broker.hl7.message import Message
from broker.mllp.sockets import tune

log = structlog.get_logger()

NO_CONNECTION = "N010"
_MAX_ANSWER = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver said: MSA-1, its words, the code of ERR-3.1 (before 2.5 ERR-1.4.1), the answer's own MSH-10.

    *code* is empty when what came is no answer to the message; *text* then says why. *raw* is the answer as received.
    """

    code: str
    text: str = ""
    error_code: str = ""
    control_id: str = ""
    raw: bytes = b""

    @property
    def is_accepted(self) -> bool:
        """Say whether the receiver has taken the message."""
        return self.code in ("AA", "CA")


class MllpClient:
    """Sends to one receiver over one connection, opened when needed and kept; a broken one is opened anew."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 10.0,
        answer_timeout: float = 30.0,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._answer_timeout = answer_timeout
        self._link: _Link | None = None
        self._turn = asyncio.Lock()

    async def send(self, payload: bytes, control_id: str) -> Answer:
        """Send *payload*, whose MSH-10 is *control_id*, and wait for its answer; one at a time.

        A link that breaks under a message is opened anew once, and the message sent again under the same control id.
        Raise Unreachable: N010 no connection, N011 no answer in time, N012 the receiver closed instead of answering.
        """
        async with self._turn:
            reused = self._link if self._link and self._link.is_open else None
            raw = await self._exchange(reused, payload) if reused else None
            if raw is None:
                raw = await self._exchange(await self._connected(), payload)
            if raw is None:
                raise self._unreachable("closed the connection without an answer", "N012", "see the receiver's log")
            answer = read_answer(raw, control_id)
            if not answer.code:
                self._drop()
            return answer

    async def connect(self) -> None:
        """Open the connection if there is none; raise Unreachable N010."""
        async with self._turn:
            if self._link is None or not self._link.is_open:
                await self._connected()

    async def close(self) -> None:
        """Close the connection, after the message that is under way."""
        async with self._turn:
            self._drop()

    async def _connected(self) -> _Link:
        self._drop()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, self._link = await loop.create_connection(_Link, self._host, self._port, ssl=self._tls)
        except OSError as fault:
            reason = getattr(fault, "strerror", None) or str(fault) or "no answer in time"
            hint = "check host, port and that the receiver listens"
            raise self._unreachable(f"cannot be connected: {reason}", NO_CONNECTION, hint) from fault
        return self._link

    async def _exchange(self, link: _Link, payload: bytes) -> bytes | None:
        """Give the answer's payload; None when the link broke first."""
        try:
            async with asyncio.timeout(self._answer_timeout):
                return await link.exchange(payload)
        except TimeoutError as fault:
            reason = f"gave no answer within {self._answer_timeout:g} s"
            raise self._unreachable(reason, "N011", "see the receiver's log, or allow it more time") from fault
        finally:
            if not link.is_settled:
                self._drop()

    def _drop(self) -> None:
        if self._link is not None:
            self._link.abort()
            self._link = None

    def _unreachable(self, what: str, code: str, hint: str) -> Unreachable:
        return Unreachable(f"{self._host}:{self._port} {what}", code=code, hint=hint, ack="AR")


class _Link(asyncio.Protocol):
    """One connection: notices at once when the other end closes."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._framer = Framer(_MAX_ANSWER)
        self._answer: asyncio.Future[bytes | None] | None = None
        self.is_settled = True
        """Nothing is owed by the other end."""

    @property
    def is_open(self) -> bool:
        """Say whether a message may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, payload: bytes) -> bytes | None:
        if self._transport is None:
            return None
        self.is_settled = False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(frame(payload))
        return await self._answer

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        tune(transport)

    def data_received(self, data: bytes) -> None:
        for received in self._framer.feed(data):
            if not isinstance(received, Frame):
                log.warning("mllp.answer_unreadable", size=len(data))
            elif self._answer is not None and self._answer.cancelled():
                self.is_settled = True  # whoever asked has gone in this very moment
            elif self._answer is None or self._answer.done():
                log.warning("mllp.answer_unexpected", size=len(received.payload))
            else:
                self.is_settled = True
                self._answer.set_result(received.payload)

    def eof_received(self) -> None:
        """The other end sends no more: asyncio closes."""
        self._settle_as_lost()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._settle_as_lost()

    def _settle_as_lost(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


def read_answer(raw: bytes, control_id: str) -> Answer:
    """Read an acknowledgement to the message *control_id*."""
    try:
        decoded = decode(raw)
        message = Message.parse(decoded.text, decoded.codec)
    except BrokerError as fault:
        return Answer(code="", text=f"the answer cannot be read: {fault.message}", raw=raw)
    answered = message.value("MSA-2")
    if message.first("MSA") is None:
        return Answer(code="", text=f"the answer ({message.type}) has no MSA segment", raw=raw)
    if answered != control_id:
        text = f"MSA-2 is '{answered[:40]}', the message's control id is '{control_id}'"
        return Answer(code="", text=text, control_id=message.control_id, raw=raw)
    return Answer(
        code=message.value("MSA-1"),
        text=_first(message, "MSA-3", "ERR-8", "ERR-7", "ERR-3.2", "ERR-1.4.2"),
        error_code=_first(message, "ERR-3.1", "ERR-1.4.1"),
        control_id=message.control_id,
        raw=raw,
    )


def _first(message: Message, *paths: str) -> str:
    return next((text for path in paths if (text := message.value(path))), "")
