"""Associations that others open: admission, negotiation, and the way of each request to its handler."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from broker.dicom.acceptor import Acceptor
from broker.dicom.exchange import Exchange, Line, MessageExchange, StoreExchange
from broker.dicom.service import Handler, Request, Response, StoreHandler
from broker.dicom.transport import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from broker.errors import ConfigurationError
from broker.ul.association import DEFAULT_MAX_PDU
from broker.ul.dimse import VERIFICATION, Status
from broker.ul.negotiation import Choice
from broker.ul.pdu import ContextResult, ProposedContext, RejectReason

log = structlog.get_logger()

Service = Handler | StoreHandler
Accepts = Callable[[str, tuple[str, ...], str], Choice]
"""(abstract syntax, offered transfer syntaxes, calling AE title) -> the chosen one, or why none."""
Admit = Callable[[str, str, str], RejectReason | None]
"""(calling AE title, called AE title, host of the peer) -> why the association is refused, or ``None``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of the acceptor. *ae_titles* are those it is called by, none is any; *max_pdu* and *max_message* in bytes.

    *max_waiting* limits the connections that are no association: not yet, refused, or ended and not closed by the peer.
    """

    ae_titles: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 11112
    tls: ssl.SSLContext | None = None
    max_associations: int = 500
    max_waiting: int = 1000
    max_pdu: int = DEFAULT_MAX_PDU
    max_message: int = 16 * 1024 * 1024
    artim_timeout_seconds: float = 30
    idle_timeout_seconds: float = 600
    implementation_uid: str = IMPLEMENTATION_UID
    implementation_version: str = IMPLEMENTATION_VERSION


def admit_all(calling: str, called: str, host: str) -> RejectReason | None:
    """Refuse nobody."""
    return None


class DicomServer:
    """Accepts associations for *services*: abstract syntax UID -> handler. Verification is built in.

    *accepts* is asked for each proposed context whose abstract syntax is served; *scp_classes* are those for which the
    caller may take the SCP role.
    """

    def __init__(
        self,
        settings: ServerSettings,
        services: Mapping[str, Service],
        accepts: Accepts,
        admit: Admit = admit_all,
        scp_classes: Collection[str] = (),
    ) -> None:
        self.settings = settings
        self.admit = admit
        self.scp_classes = scp_classes
        self.connections: set[Acceptor] = set()
        self.associations = 0
        self.is_stopping = False
        self._accepts = accepts
        self._openers = {uid: _opener(service, settings.max_message) for uid, service in services.items()}
        self._open_unserved = _opener(_no_service, settings.max_message)
        self._listener: asyncio.Server | None = None
        self._emptied = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on: the system's choice when the settings say 0."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises ConfigurationError when the address cannot be had."""
        settings = self.settings
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: Acceptor(self),
                settings.host,
                settings.port,
                ssl=settings.tls,
                ssl_handshake_timeout=settings.artim_timeout_seconds if settings.tls else None,
                backlog=512,
            )
        except OSError as fault:
            raise ConfigurationError(
                f"cannot listen for DICOM on {settings.host}:{settings.port}: {fault.strerror or fault}",
                code="D011",
                hint="another program may use the port; choose another, or stop it",
            ) from fault
        for listening in self._listener.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # what is accepted inherits it
        log.info("dicom.listening", ae=",".join(settings.ae_titles), host=settings.host, port=self.port)

    async def stop(self, grace_seconds: float = 10) -> None:
        """Stop accepting, let requests in hand end within *grace_seconds*, then abort what is left."""
        if self._listener is None:
            return
        self._listener.close()
        self.is_stopping = True
        for connection in tuple(self.connections):
            connection.end_when_idle()
        if self.connections:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self._emptied.wait()
        work = [connection.work for connection in self.connections if connection.work is not None]
        for connection in tuple(self.connections):
            connection.cut()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    def forget(self, connection: Acceptor) -> None:
        """Note that *connection* is gone."""
        self.connections.discard(connection)
        if not self.connections:
            self._emptied.set()

    def open(self, line: Line, request: Request) -> Exchange:
        """Take *request* in hand for the handler of its abstract syntax."""
        return self._openers.get(request.abstract_syntax, self._open_unserved)(line, request)

    def choose(self, context: ProposedContext, calling_ae: str) -> Choice:
        """Decide about one proposed context."""
        if not context.transfer_syntaxes:
            return None
        if context.abstract_syntax in self._openers:
            return self._accepts(context.abstract_syntax, context.transfer_syntaxes, calling_ae)
        if context.abstract_syntax == VERIFICATION:
            return context.transfer_syntaxes[0]
        return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def _opener(service: Service, limit: int) -> Callable[[Line, Request], Exchange]:
    if isinstance(service, StoreHandler):
        store = service
        return lambda line, request: StoreExchange(line, request, store)
    handler = service
    return lambda line, request: MessageExchange(line, request, handler, limit)


async def _no_service(request: Request) -> Response:
    """Answer what is asked on a Verification context besides C-ECHO."""
    return Response(status=Status.UNRECOGNIZED_OPERATION, comment="operation not supported")
