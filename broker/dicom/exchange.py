"""One request of a peer in hand: its data set is taken, its handler runs, its answers are sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from broker.dicom.service import Answer, Failure, Handler, Request, Response, Sink, StoreHandler
from broker.dicom.transport import WRITE_LIMIT, Connection
from broker.ul.dimse import Kind, Status, encode_command, is_pending, reply

log = structlog.get_logger()

_UNKNOWN_KIND: Final = Response(status=Status.UNRECOGNIZED_OPERATION, comment="operation not supported")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where an exchange's answers go: *context_id* of *connection*; a peer may take *patience_seconds* to read them."""

    connection: Connection
    context_id: int
    patience_seconds: float

    @property
    def is_open(self) -> bool:
        """Say whether anybody still listens."""
        return self.connection.association.is_established

    def send(self, request: Request, response: Response) -> None:
        """Queue *response*, unless nobody listens any more."""
        if not self.is_open:
            return
        command = reply(
            request.command,
            response.status,
            comment=response.comment,
            error_id=response.error_id,
            sop_instance=response.sop_instance,
            has_data_set=response.data_set is not None,
            attributes=response.attributes,
            offending_elements=response.offending_elements,
        )
        self.connection.association.send_message(self.context_id, command, response.data_set)

    async def drain(self) -> None:
        """Let the peer catch up; one that reads nothing loses its connection."""
        if not await self.connection.drain(self.patience_seconds):
            log.warning("dicom.association_broken", host=self.connection.peer_host, reason="the peer does not read")
            self.connection.cut()


class Exchange(Protocol):
    """What the acceptor needs of a request in hand."""

    def take(self, fragment: bytes, /) -> None:
        """Take the next piece of the data set."""

    async def run(self) -> None:
        """Answer; the data set is whole. Never raises but for cancellation."""

    def cancel(self) -> None:
        """Note that the answers are not wanted any more."""

    def give_up(self) -> None:
        """Note that the association is gone."""


class MessageExchange:
    """A request whose data set is small: gathered whole, up to *limit* bytes, before its handler sees it."""

    def __init__(self, line: Line, request: Request, handler: Handler, limit: int) -> None:
        self._line = line
        self._handler = handler
        self._left = limit
        self._pieces: list[bytes] = []
        self._is_cancelled = False
        self._request = replace(request, is_cancelled=self._is_unwanted)

    def take(self, fragment: bytes) -> None:
        """Keep *fragment*, unless the message has become too large."""
        self._left -= len(fragment)
        if self._left >= 0:
            self._pieces.append(fragment)
        else:
            self._pieces.clear()

    async def run(self) -> None:
        """Run the handler and send its answers."""
        request = self._request = replace(self._request, data_set=b"".join(self._pieces))
        self._pieces.clear()
        try:
            response = await self._ask()
        except Exception as fault:
            response = _failed(request, fault)
        self._line.send(request, response)

    def cancel(self) -> None:
        """End a search at its next answer."""
        self._is_cancelled = True

    def give_up(self) -> None:
        """End a search at its next answer; a handler that changes something runs to its end."""
        self._is_cancelled = True

    def _is_unwanted(self) -> bool:
        return self._is_cancelled or not self._line.is_open

    async def _ask(self) -> Response:
        if self._left < 0:
            return Response(status=_too_large(self._request), comment="the data set is too large")
        answer = self._handler(self._request)
        if isinstance(answer, AsyncIterator):
            return await self._send_pending(answer)
        return await answer

    async def _send_pending(self, answers: AsyncIterator[Answer]) -> Response:
        association, context_id = self._line.connection.association, self._line.context_id
        pending = encode_command(reply(self._request.command, Status.PENDING, has_data_set=True))
        try:
            async for answer in answers:
                if association.outgoing_size >= WRITE_LIMIT or (association.outgoing_size and isinstance(answer, list)):
                    await self._line.drain()
                if self._is_cancelled or not association.is_established:
                    return Response(status=Status.CANCELLED)
                if isinstance(answer, list):
                    association.send_messages(context_id, pending, answer)
                elif isinstance(answer, bytes):
                    association.send_message(context_id, pending, answer)
                elif is_pending(answer.status):
                    self._line.send(self._request, answer)
                else:
                    return answer
        finally:
            close = getattr(answers, "aclose", None)
            if close is not None:
                await close()
        return Response(status=Status.CANCELLED if self._is_unwanted() else Status.SUCCESS)


class StoreExchange:
    """A C-STORE: its data set goes to a sink piece by piece and is never held."""

    def __init__(self, line: Line, request: Request, handler: StoreHandler) -> None:
        self._line = line
        self._request = request
        self._sink: Sink | None = None
        self._failure = _UNKNOWN_KIND
        if request.command.kind != Kind.C_STORE_RQ:
            return
        if not request.command.has_data_set:
            self._failure = Response(status=Status.CANNOT_UNDERSTAND, comment="no data set")
            return
        try:
            self._sink = handler.begin(request)
        except Exception as fault:
            self._failure = _failed(request, fault)

    def take(self, fragment: bytes) -> None:
        """Write *fragment* to the sink; after a failure the rest of the object is read and dropped."""
        if self._sink is None:
            return
        try:
            self._sink.write(fragment)
        except Exception as fault:
            self._failure = _failed(self._request, fault)
            self.give_up()

    async def run(self) -> None:
        """Finish the object and answer."""
        sink, self._sink = self._sink, None
        response = self._failure
        if sink is not None:
            try:
                response = await sink.finish()
            except Exception as fault:
                response = _failed(self._request, fault)
        self._line.send(self._request, response)

    def cancel(self) -> None:
        """Do nothing: C-STORE cannot be cancelled (PS3.7 9.3.2.3 is for C-FIND, C-GET and C-MOVE)."""

    def give_up(self) -> None:
        """Abandon an object that is not whole."""
        if self._sink is not None:
            self._sink.abandon()
            self._sink = None


def _too_large(request: Request) -> Status:
    is_search = request.command.kind == Kind.C_FIND_RQ
    return Status.OUT_OF_RESOURCES if is_search else Status.RESOURCE_LIMITATION


def _failed(request: Request, fault: Exception) -> Response:
    """Make the answer to a request whose handler raised *fault*."""
    if isinstance(fault, Failure):
        return fault.response
    log.error(
        "dicom.request_failed",
        calling=request.calling_ae,
        kind=f"{request.command.kind:04X}",
        sop_class=request.abstract_syntax,
        exc_info=fault,
    )
    is_search = request.command.kind == Kind.C_FIND_RQ
    status = Status.UNABLE_TO_PROCESS if is_search else Status.PROCESSING_FAILURE
    return Response(status=status, comment="internal error, see the broker's log")
