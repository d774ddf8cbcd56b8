"""One TCP connection around one association: bytes, timers and the pace of writing, for both sides."""

from __future__ import annotations

import asyncio
import socket
from typing import Final, cast

import structlog

from broker.ul.association import Association
from broker.ul.events import Event

_TCP_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)

log = structlog.get_logger()

IMPLEMENTATION_UID: Final = "2.25.310947085238390392917780979276594973161"
IMPLEMENTATION_VERSION: Final = "RADBROKER_0_1"
"""Who the broker says it is (PS3.7 D.3.3.2)."""
WRITE_LIMIT: Final = 65_536
"""The most bytes that are written before the peer must have taken them."""


class Connection(asyncio.Protocol):
    """Carries an association over a transport. Subclasses say what an event means, and what is lost with the connection."""

    def __init__(
        self, association: Association, *, artim_timeout_seconds: float, idle_timeout_seconds: float | None
    ) -> None:
        self.association = association
        self.peer_host = ""
        self._artim_timeout_seconds = artim_timeout_seconds
        self._idle_timeout_seconds = idle_timeout_seconds
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket
        self._has_sent = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_artim_timed: bool | None = None
        self._heard_at = self._loop.time()
        self._is_reading = True
        self._may_write = asyncio.Event()
        self._may_write.set()

    def take(self, event: Event) -> None:
        """Act on *event*."""
        raise NotImplementedError

    def lost(self) -> None:
        """Let go of what the connection held; called once."""
        raise NotImplementedError

    @property
    def is_busy(self) -> bool:
        """Say whether the peer waits for this side, so that its silence is no idleness."""
        return False

    @property
    def is_held(self) -> bool:
        """Say whether events are to wait until `pump` is called again; the socket is then not read."""
        return False

    @property
    def is_closed(self) -> bool:
        """Say whether the connection is gone, or never was."""
        return self._transport is None

    @property
    def is_peer_slow(self) -> bool:
        """Say whether the peer has not yet taken what was sent."""
        return not self._may_write.is_set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; part of asyncio.Protocol. The event loop has set TCP_NODELAY, as it does for every TCP connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self._socket = transport.get_extra_info("socket")
        peer = transport.get_extra_info("peername")
        self.peer_host = str(peer[0]) if peer else ""
        self.flush()

    def data_received(self, chunk: bytes) -> None:
        """Take bytes; part of asyncio.Protocol."""
        self._heard_at = self._loop.time()
        self.association.receive(chunk)
        self._has_sent = False
        self.pump()
        if not self._has_sent and not self.is_busy:
            self._acknowledge()

    def pause_writing(self) -> None:
        """Note that the peer is slow; part of asyncio.Protocol."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Note that the peer has caught up; part of asyncio.Protocol."""
        self._may_write.set()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the association and the subclass; part of asyncio.Protocol."""
        self._transport = None
        self._stop_timer()
        self._may_write.set()
        self.association.connection_lost()
        event = self.association.next_event()
        if event is not None:
            self.take(event)
        self.lost()

    def pump(self) -> None:
        """Act on the events at hand, and send what follows from them."""
        while not self.is_held and (event := self.association.next_event()) is not None:
            self.take(event)
        self._read(not self.is_held)
        self.flush()

    def flush(self) -> None:
        """Send what the association wants sent, in one write; close when it is over; keep the timer right."""
        outgoing = self.association.take_outgoing()
        if self._transport is None:
            return
        if outgoing:
            self._transport.write(outgoing)
            self._has_sent = True
        if self.association.is_over:
            self._close()
        elif self._is_artim_timed is not self.association.is_artim_running:
            self._start_timer()

    async def drain(self, timeout_seconds: float) -> bool:
        """Send, then wait until the peer has taken nearly all of it, and say whether it has; the loop gets a turn."""
        self.flush()
        if self._may_write.is_set():
            await asyncio.sleep(0)
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._may_write.wait()
        except TimeoutError:
            return False
        return True

    def cut(self) -> None:
        """Abort the association and drop the connection without waiting for the peer."""
        self.association.abort()
        self.flush()
        if self._transport is not None:
            self._transport.abort()

    def _acknowledge(self) -> None:
        # Most DICOM software leaves Nagle's algorithm on and sends a message in several writes: it waits for an
        # acknowledgement between them, which the kernel delays by 40 ms unless it is told so anew each time.
        if _TCP_QUICKACK is not None and self._transport is not None and not self._transport.is_closing():
            self._socket.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)

    def _close(self) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.close()
        self._stop_timer()
        # A peer that does not read keeps a closing transport alive.
        self._timer = self._loop.call_later(self._artim_timeout_seconds, self._transport.abort)

    def _read(self, is_reading: bool) -> None:
        if self._transport is None or self._is_reading is is_reading or self._transport.is_closing():
            return
        self._is_reading = is_reading
        if is_reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._is_artim_timed = self.association.is_artim_running
        seconds = self._artim_timeout_seconds if self._is_artim_timed else self._idle_timeout_seconds
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        if self._is_artim_timed:
            self.association.artim_expired()
            self.flush()
            return
        assert self._idle_timeout_seconds is not None
        left = self._heard_at + self._idle_timeout_seconds - self._loop.time()
        if self.is_busy or left > 0:
            wait = self._idle_timeout_seconds if self.is_busy else left
            self._timer = self._loop.call_later(wait, self._time_out)
            return
        log.info("dicom.association_idle", host=self.peer_host)
        self.cut()
