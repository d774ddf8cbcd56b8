"""One MLLP connection: frames in, answers out, in order, with bounded memory and no silence."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import structlog

from broker.errors import BrokerError
from broker.hl7.ack import SALVAGED, AckError, refuse_unreadable
from broker.hl7.charset import encode
from broker.hl7.framing import Frame, Framer, Noise, TooLarge, frame
from broker.mllp.sockets import tune

if TYPE_CHECKING:
    from broker.mllp.server import MllpServer

log = structlog.get_logger()

_TLS_HELLO = b"\x16\x03"
CONTROL_ID_LENGTH = 20
"""MSH-10 before HL7 2.7; of our identifiers the end is unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end."""

    host: str
    port: int


class Connection(asyncio.Protocol):
    """Reads frames, has them handled one after another, writes the answers.

    The socket is not read while a second frame waits or answers pile up. There is no idle limit: only a frame that
    has begun must end within ``frame_timeout_seconds``.
    """

    def __init__(self, server: MllpServer) -> None:
        self._server = server
        self._settings = server.settings
        self._framer = Framer(self._settings.max_message)
        self._queue: deque[Frame | TooLarge] = deque()
        self._transport: asyncio.Transport | None = None
        self._peer = Peer(host="", port=0)
        self._deadline: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_working = False
        self._is_paused = False
        self._is_first = True
        self._is_noise_told = False
        self._is_last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the peer in, or close."""
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername") or ("", 0)
        self._peer = Peer(host=address[0], port=address[1])
        if not self._server.admit(self, self._peer):
            self._transport.abort()
            return
        tune(transport)

    def data_received(self, data: bytes) -> None:
        """Cut what has arrived into frames; start or keep the deadline of one that has not ended."""
        if self._is_first:
            self._is_first = False
            if data.startswith(_TLS_HELLO) and self._settings.tls is None:
                self._close("mllp.tls_refused", hint="the sender uses TLS, this listener does not")
                return
        for received in self._framer.feed(data):
            if isinstance(received, Noise):
                self._tell_noise(received)
            elif not self._is_last:
                self._queue.append(received)
                self._is_last = isinstance(received, TooLarge)
        if self._queue and not self._is_working:
            self._is_working = True
            self._server.begin(self)
        self._mind_reading()

    def _mind_reading(self) -> None:
        """Stop reading while more than one frame waits; watch a frame that has begun while it may be read."""
        if self._transport is None or self._transport.is_closing():
            return
        must_wait = len(self._queue) > 1 or self._server.is_stopping
        if must_wait and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not must_wait:
            self._transport.resume_reading()
        self._is_paused = must_wait
        if self._deadline and (must_wait or not self._framer.is_inside):
            self._deadline.cancel()
            self._deadline = None
        if self._framer.is_inside and not must_wait and self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._settings.frame_timeout_seconds, self._time_out)
        if self._is_last and not self._is_working and not self._framer.is_inside:
            self._transport.close()

    def _time_out(self) -> None:
        self._deadline = None
        self._close("mllp.frame_timed_out", hint="a frame was begun and not ended in time")

    def _tell_noise(self, noise: Noise) -> None:
        if not self._is_noise_told:
            self._is_noise_told = True
            log.warning(
                "mllp.noise_ignored",
                listener=self._settings.name,
                peer=self._peer.host,
                size=noise.size,
                hint="bytes outside VT ... FS CR; told once per connection",
            )

    async def work(self) -> None:
        """Answer what is waiting, in order, until nothing is."""
        try:
            while self._queue:
                received = self._queue.popleft()
                answer = await self._answer(received)
                self._mind_reading()
                if not self._write(answer):
                    return
                if self._drained is not None:
                    async with asyncio.timeout(self._settings.frame_timeout_seconds):
                        await self._drained
        except TimeoutError:
            self._close("mllp.answer_timed_out", hint="the sender does not read its answers")
        finally:
            self._is_working = False
            self._server.end(self)
            self._rest()

    def _rest(self) -> None:
        """Nothing is waiting: go on reading, or close when nothing more is to come."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._server.is_stopping:
            self._transport.close()
        else:
            self._mind_reading()

    async def _answer(self, received: Frame | TooLarge) -> bytes:
        if isinstance(received, TooLarge):
            limit = self._settings.max_message
            log.warning("mllp.frame_too_large", listener=self._settings.name, peer=self._peer.host, limit=limit)
            text = f"the message is larger than {limit} bytes"
            return self._refuse(received.head, AckError(text=text, hint="send a smaller one", problem="N002"))
        try:
            return await self._settings.handle(received.payload, self._peer)
        except Exception as fault:
            return self._refuse(received.payload, self._fault(fault))

    def _fault(self, fault: Exception) -> AckError:
        """Log where it happened, without the words of the exception: they may name a patient."""
        place = fault.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        log.error(
            "mllp.handler_failed",
            listener=self._settings.name,
            peer=self._peer.host,
            error=type(fault).__name__,
            where=where,
        )
        if isinstance(fault, BrokerError):
            return AckError.of(fault)
        return AckError(text="the broker could not process the message", hint="send it again", problem="N003")

    def _refuse(self, raw: bytes, error: AckError) -> bytes:
        settings = self._settings
        control_id = settings.ids()[-CONTROL_ID_LENGTH:]
        return encode(refuse_unreadable(raw, error, control_id=control_id, at=settings.clock()), SALVAGED).raw

    def _write(self, answer: bytes) -> bool:
        if self._transport is None or self._transport.is_closing():
            log.warning("mllp.answer_undelivered", listener=self._settings.name, peer=self._peer.host)
            return False
        if not answer:
            self._transport.close()
            return False
        self._transport.write(frame(answer))
        return True

    def pause_writing(self) -> None:
        """Wait with further answers: the peer does not read."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Go on with answers."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def eof_received(self) -> bool:
        """Answer what has arrived whole before closing (TLS cannot be half open); the rest is lost."""
        self._is_last = True
        self._framer = Framer(self._settings.max_message)
        return self._is_working and self._settings.tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what has not begun; what is being handled is finished."""
        self._queue.clear()
        self._transport = None
        if self._deadline:
            self._deadline.cancel()
        self.resume_writing()
        self._server.leave(self, self._peer)

    def finish(self) -> None:
        """Read no more; close when what has arrived is answered."""
        self._mind_reading()
        if not self._is_working:
            self.close()

    def close(self) -> None:
        """Close; what has been written is still sent."""
        if self._transport is not None:
            self._transport.close()

    def _close(self, event: str, *, hint: str) -> None:
        log.warning(event, listener=self._settings.name, peer=self._peer.host, hint=hint)
        if self._transport is not None:
            self._transport.abort()
