"""An MLLP listener: its settings, its connections, its start and end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog

from broker.errors import ConfigurationError
from broker.mllp.connection import Connection, Peer
from broker.ports import Clock, Ids

log = structlog.get_logger()

Handle = Callable[[bytes, Peer], Awaitable[bytes]]
"""Takes the payload of a frame, returns the answer's; ``b""`` closes the connection without an answer."""

_HANDSHAKE_SECONDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpListener:
    """Settings of one listener. Port 0 is any free one; *allow* without networks is everybody."""

    name: str
    host: str
    port: int
    handle: Handle
    clock: Clock
    ids: Ids
    tls: ssl.SSLContext | None = None
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    max_message: int = 10 * 1024 * 1024
    max_connections: int = 200
    frame_timeout_seconds: float = 30.0

    def allows(self, host: str) -> bool:
        """Say whether *host* may connect; an IPv4 address that came over IPv6 counts as IPv4."""
        if not self.allow or not host:
            return not self.allow
        address = ip_address(host.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self.allow)


class MllpServer:
    """Accepts connections and gives each message to ``settings.handle``, in order on each connection."""

    def __init__(self, settings: MllpListener) -> None:
        self.settings = settings
        self.is_stopping = False
        self._is_stopped = False
        self._server: asyncio.Server | None = None
        self._open: set[Connection] = set()
        self._working: dict[Connection, asyncio.Task[None]] = {}

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server and self._server.sockets else 0

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    async def start(self) -> None:
        """Listen; raise ConfigurationError N001 when the address cannot be had."""
        settings = self.settings
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self),
                settings.host,
                settings.port,
                ssl=settings.tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if settings.tls else None,
            )
        except OSError as fault:
            raise ConfigurationError(
                f"listener '{settings.name}' cannot listen on {settings.host}:{settings.port}: {fault.strerror}",
                code="N001",
                hint="stop the program that uses the port, or choose another port",
            ) from fault
        log.info("mllp.listening", listener=settings.name, host=settings.host, port=self.port)

    async def stop(self, grace: float) -> None:
        """Stop accepting and reading, finish what has arrived within *grace* seconds, close every connection."""
        if self._is_stopped:
            return
        self.is_stopping = True
        if self._server:
            self._server.close()
        for connection in list(self._open):
            connection.finish()
        if self._working:
            await asyncio.wait(self._working.values(), timeout=grace)
        unfinished = list(self._working.values())
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        for connection in list(self._open):
            connection.close()
        await asyncio.sleep(0)  # the loop takes leave of closed connections
        self._is_stopped = True
        log.info("mllp.stopped", listener=self.settings.name, unfinished=len(unfinished))

    def admit(self, connection: Connection, peer: Peer) -> bool:
        """Take *connection* in, or say no to it in the log."""
        settings = self.settings
        if self.is_stopping:
            reason = "the listener is stopping"
        elif not settings.allows(peer.host):
            reason = "not in the listener's allow list"
        elif len(self._open) >= settings.max_connections:
            reason = "max_connections reached"
        else:
            self._open.add(connection)
            log.info("mllp.connected", listener=settings.name, peer=peer.host)
            return True
        log.warning("mllp.connection_refused", listener=settings.name, peer=peer.host, reason=reason)
        return False

    def leave(self, connection: Connection, peer: Peer) -> None:
        """Forget *connection*: it is closed."""
        if connection in self._open:
            self._open.remove(connection)
            log.info("mllp.disconnected", listener=self.settings.name, peer=peer.host)

    def begin(self, connection: Connection) -> None:
        """Start working on what *connection* has received."""
        self._working[connection] = asyncio.get_running_loop().create_task(connection.work())

    def end(self, connection: Connection) -> None:
        """Forget the work of *connection*: there is none left."""
        self._working.pop(connection, None)
