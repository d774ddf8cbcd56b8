"""One association that somebody opened with the broker: from its request to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from broker.dicom.exchange import Exchange, Line
from broker.dicom.service import Request
from broker.dicom.transport import Connection
from broker.ul.association import Association
from broker.ul.dimse import Command, Kind, Status, reply
from broker.ul.events import (
    Aborted,
    AssociationRequested,
    CommandReceived,
    DataReceived,
    Event,
    ReleaseRequested,
)
from broker.ul.items import UserInformation
from broker.ul.negotiation import AcceptedContext, answer
from broker.ul.pdu import APPLICATION_CONTEXT, AssociateRequest, RejectReason

if TYPE_CHECKING:
    from broker.dicom.server import DicomServer

log = structlog.get_logger()


class Acceptor(Connection):
    """One connection that somebody opened; at most one request is in hand, the next waits unread."""

    def __init__(self, server: DicomServer) -> None:
        settings = server.settings
        super().__init__(
            Association(is_requestor=False, max_pdu=settings.max_pdu),
            artim_timeout_seconds=settings.artim_timeout_seconds,
            idle_timeout_seconds=settings.idle_timeout_seconds,
        )
        self.is_associated = False
        self.work: asyncio.Task[None] | None = None
        self._server = server
        self._request: AssociateRequest | None = None
        self._exchange: Exchange | None = None
        self._exchange_id: int | None = None
        self._held: Event | None = None

    @property
    def is_busy(self) -> bool:
        """Say whether a handler runs."""
        return self.work is not None

    @property
    def is_held(self) -> bool:
        """Say whether the next request waits: for the end of the one in hand, or for the peer to read its answers."""
        return self._held is not None or (self.work is None and self.is_peer_slow)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the server's connections, or end when there are too many that are no association."""
        server = self._server
        waiting = len(server.connections) - server.associations
        server.connections.add(self)
        super().connection_made(transport)
        if server.is_stopping or waiting >= server.settings.max_waiting:
            log.warning("dicom.connection_refused", host=self.peer_host, waiting=waiting)
            self.cut()

    def lost(self) -> None:
        """Leave the server's connections."""
        self._end_association()
        self._server.forget(self)

    def end_when_idle(self) -> None:
        """Cut the connection now, or as soon as the request in hand is answered."""
        if self._exchange is None:
            self.cut()

    def take(self, event: Event) -> None:
        """Act on *event*."""
        match event:
            case CommandReceived(command=command) if command.kind == Kind.C_CANCEL_RQ and not command.has_data_set:
                if self._exchange is not None and self._exchange_id == command.responded_id:
                    self._exchange.cancel()
            case CommandReceived() | ReleaseRequested() if self.work is not None:
                self._held = event
            case AssociationRequested(request):
                self._answer_association(request)
            case CommandReceived():
                self._begin(event)
            case DataReceived(fragment, is_last):
                assert self._exchange is not None
                self._exchange.take(fragment)
                if is_last:
                    self._launch(self._exchange)
            case ReleaseRequested():
                self.association.confirm_release()
                self._end_association()
            case Aborted(text, is_ours):
                self._report_abort(text, is_ours)
                self._end_association()

    def _answer_association(self, request: AssociateRequest) -> None:
        server, settings = self._server, self._server.settings
        reason = self._reason_to_reject(request)
        if reason is not None:
            self.association.reject(reason)
            log.warning(
                "dicom.association_rejected",
                calling=request.calling_ae,
                called=request.called_ae,
                host=self.peer_host,
                reason=reason.name.lower(),
            )
            return
        user = UserInformation(
            max_length=settings.max_pdu,
            implementation_uid=settings.implementation_uid,
            implementation_version=settings.implementation_version,
        )
        calling = request.calling_ae
        accept = answer(request, lambda context: server.choose(context, calling), user, server.scp_classes)
        self.association.accept(accept)
        log.debug("dicom.association_accepted", calling=calling, called=request.called_ae, host=self.peer_host)
        self._request = request
        self.is_associated = True
        server.associations += 1

    def _reason_to_reject(self, request: AssociateRequest) -> RejectReason | None:
        server = self._server
        if not request.protocol_version & 1:
            return RejectReason.PROTOCOL_VERSION_NOT_SUPPORTED
        if request.application_context != APPLICATION_CONTEXT:
            return RejectReason.APPLICATION_CONTEXT_NOT_SUPPORTED
        if server.settings.ae_titles and request.called_ae not in server.settings.ae_titles:
            return RejectReason.CALLED_AE_NOT_RECOGNIZED
        reason = server.admit(request.calling_ae, request.called_ae, self.peer_host)
        if reason is None and server.associations >= server.settings.max_associations:
            return RejectReason.LOCAL_LIMIT_EXCEEDED
        return reason

    def _begin(self, event: CommandReceived) -> None:
        command, context = event.command, event.context
        if command.is_response or command.kind == Kind.C_CANCEL_RQ:
            log.warning(
                "dicom.association_broken", host=self.peer_host, reason=f"command {command.kind:04X} out of place"
            )
            self.cut()
            return
        if command.kind == Kind.C_ECHO_RQ and not command.has_data_set:
            self.association.send_message(context.id, reply(command, Status.SUCCESS))
            return
        self._exchange_id = command.message_id
        self._exchange = self._open(context, command)
        if not command.has_data_set:
            self._launch(self._exchange)

    def _open(self, context: AcceptedContext, command: Command) -> Exchange:
        assert self._request is not None
        settings = self._server.settings
        request = Request(
            command=command,
            abstract_syntax=context.abstract_syntax,
            transfer_syntax=context.transfer_syntax,
            calling_ae=self._request.calling_ae,
            called_ae=self._request.called_ae,
            peer_host=self.peer_host,
        )
        line = Line(connection=self, context_id=context.id, patience_seconds=settings.idle_timeout_seconds)
        return self._server.open(line, request)

    def _launch(self, exchange: Exchange) -> None:
        self.work = self._loop.create_task(self._carry_out(exchange))

    async def _carry_out(self, exchange: Exchange) -> None:
        await exchange.run()
        self.work = self._exchange = None
        held, self._held = self._held, None
        if held is not None and self.association.is_established:
            self.take(held)
        self.pump()
        if self._server.is_stopping:
            self.end_when_idle()

    def _end_association(self) -> None:
        if self._exchange is not None:
            self._exchange.give_up()
        if self.work is None:
            self._exchange = None
        self._held = None
        if self.is_associated:
            self.is_associated = False
            self._server.associations -= 1

    def _report_abort(self, text: str, is_ours: bool) -> None:
        calling = self._request.calling_ae if self._request else ""
        if is_ours:
            log.warning("dicom.association_broken", calling=calling, host=self.peer_host, reason=text)
        elif self.is_associated:
            log.info("dicom.association_aborted", calling=calling, host=self.peer_host, reason=text)
