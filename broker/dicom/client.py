"""Associations that the broker opens: one context manager, and the DIMSE services over it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from broker.dicom.requestor import Requestor
from broker.dicom.source import Source, pieces
from broker.dicom.transport import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from broker.errors import BrokerError, Unreachable
from broker.ul.association import DEFAULT_MAX_PDU
from broker.ul.dimse import VERIFICATION, Command, Kind, is_pending
from broker.ul.items import RoleSelection, UserInformation
from broker.ul.negotiation import AcceptedContext
from broker.ul.pdu import MAX_CONTEXTS, AssociateRequest, ProposedContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the peer may take: for the connection, to answer the association, to answer or take a message, to release."""

    connect_seconds: float = 10
    associate_seconds: float = 30
    answer_seconds: float = 60
    release_seconds: float = 5


DEFAULT_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The final answer to a request; *sop_instance* is the UID that the peer gave or repeats."""

    status: int
    comment: str = ""
    error_id: int | None = None
    sop_instance: str = ""
    data_set: bytes = b""

    @property
    def is_success(self) -> bool:
        """Say whether the request was done, perhaps with a warning (PS3.7 Annex C: 0000H, 0001H, 0107H, 0116H, Bxxx)."""
        return self.status in (0x0000, 0x0001, 0x0107, 0x0116) or self.status & 0xF000 == 0xB000


class NotAccepted(BrokerError):
    """The peer has accepted the association, but not what is to be sent over it."""

    def __init__(self, peer: str, abstract_syntax: str, transfer_syntax: str) -> None:
        super().__init__(
            f"{peer} does not take {abstract_syntax} in the transfer syntax {transfer_syntax}",
            code="D025",
            hint="look at the peer's list of SOP classes and transfer syntaxes",
        )


@asynccontextmanager
async def associate(
    host: str,
    port: int,
    *,
    calling: str,
    called: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    max_pdu: int = DEFAULT_MAX_PDU,
    tls: ssl.SSLContext | None = None,
    roles: Sequence[RoleSelection] = (),
) -> AsyncIterator[ClientAssociation]:
    """Open an association and release it at the end; an exception inside aborts it.

    *contexts* are proposed in order: (abstract syntax, transfer syntaxes), at most 128. Raises Unreachable when there
    is no connection or no answer in time, Rejected (an Unreachable) when the peer refuses.
    """
    if not 0 < len(contexts) <= MAX_CONTEXTS:
        raise ValueError(f"an association proposes 1 to {MAX_CONTEXTS} presentation contexts, not {len(contexts)}")
    request = AssociateRequest(
        called_ae=called,
        calling_ae=calling,
        contexts=tuple(
            ProposedContext(id=2 * index + 1, abstract_syntax=abstract, transfer_syntaxes=tuple(offered))
            for index, (abstract, offered) in enumerate(contexts)
        ),
        user=UserInformation(
            max_length=max_pdu,
            implementation_uid=IMPLEMENTATION_UID,
            implementation_version=IMPLEMENTATION_VERSION,
            roles=tuple(roles),
        ),
    )
    requestor = await _connect(host, port, request, max_pdu, tls, timeouts)
    try:
        await requestor.wait_until_accepted(timeouts.associate_seconds)
        yield ClientAssociation(requestor, timeouts)
        await requestor.release(timeouts.release_seconds)
    except BaseException:
        requestor.cut()
        raise


class ClientAssociation:
    """An open association: one request at a time, each answer with a deadline.

    Every method raises Unreachable when the peer aborts, closes or stays silent, and NotAccepted when no context fits.
    """

    def __init__(self, requestor: Requestor, timeouts: Timeouts) -> None:
        self.accepted: dict[tuple[str, str], AcceptedContext] = {
            (context.abstract_syntax, context.transfer_syntax): context
            for context in requestor.association.contexts.values()
        }
        self._requestor = requestor
        self._timeouts = timeouts
        self._last_id = 0
        self._search: tuple[int, int] | None = None

    def transfer_syntax_of(self, abstract_syntax: str) -> str | None:
        """Find the transfer syntax that the peer accepted for *abstract_syntax*; the first in the order proposed."""
        return next((transfer for abstract, transfer in self.accepted if abstract == abstract_syntax), None)

    async def echo(self) -> Answer:
        """Verify that the peer answers (C-ECHO)."""
        transfer_syntax = self.transfer_syntax_of(VERIFICATION) or ""
        context = self._context(VERIFICATION, transfer_syntax)
        return await self._ask(
            context, Command(kind=Kind.C_ECHO_RQ, message_id=self._next_id(), affected_class=VERIFICATION)
        )

    async def find(self, sop_class: str, identifier: bytes, transfer_syntax: str) -> AsyncIterator[tuple[int, bytes]]:
        """Search (C-FIND): yield (status, identifier) for each pending answer, then (final status, b"").

        Leaving the loop early sends C-CANCEL.
        """
        context = self._context(sop_class, transfer_syntax)
        message_id = self._next_id()
        command = Command(
            kind=Kind.C_FIND_RQ, message_id=message_id, affected_class=sop_class, priority=0, has_data_set=True
        )
        await self._send(context, command, identifier)
        self._search = context.id, message_id
        try:
            while True:
                answer, found = await self._requestor.next_answer(message_id, self._timeouts.answer_seconds)
                status = answer.status or 0
                if not is_pending(status):
                    self._search = None
                    yield status, b""
                    return
                yield status, found
        finally:
            if self._search == (context.id, message_id):
                self.cancel()
                self._search = None

    def abort(self) -> None:
        """Drop the association at once: its peer is not to be waited for."""
        self._requestor.cut()

    def cancel(self) -> None:
        """Ask the peer to end the search that is running (C-CANCEL); its last answer tells whether it did."""
        if self._search is None or not self._requestor.association.is_established:
            return
        context_id, message_id = self._search
        self._requestor.association.send_command(context_id, Command(kind=Kind.C_CANCEL_RQ, responded_id=message_id))
        self._requestor.flush()

    async def store(
        self,
        sop_class: str,
        sop_uid: str,
        transfer_syntax: str,
        source: Source,
        *,
        offset: int = 0,
    ) -> Answer:
        """Send one object (C-STORE), read piece by piece; *offset* is where the data set begins in a file.

        A source that cannot be read from the start raises OSError with nothing sent; later, the association is aborted.
        """
        context = self._context(sop_class, transfer_syntax)
        message_id = self._next_id()
        command = Command(
            kind=Kind.C_STORE_RQ,
            message_id=message_id,
            affected_class=sop_class,
            affected_instance=sop_uid,
            priority=0,
            has_data_set=True,
        )
        stream = pieces(source, offset)
        held = await anext(stream, b"")
        self._requestor.check()
        association = self._requestor.association
        association.send_command(context.id, command)
        try:
            async for piece in stream:
                association.send_data(context.id, held, is_last=False)
                await self._requestor.send(self._timeouts.answer_seconds)
                held = piece
            association.send_data(context.id, held, is_last=True)
            await self._requestor.send(self._timeouts.answer_seconds)
        except BaseException:
            # Half an object cannot be taken back: the association is of no more use.
            self._requestor.cut()
            raise
        return _answer_of(*await self._requestor.next_answer(message_id, self._timeouts.answer_seconds))

    async def n_create(self, sop_class: str, sop_uid: str, data_set: bytes, transfer_syntax: str) -> Answer:
        """Create a SOP instance (N-CREATE); with an empty *sop_uid* the peer makes one up."""
        command = Command(
            kind=Kind.N_CREATE_RQ,
            message_id=self._next_id(),
            affected_class=sop_class,
            affected_instance=sop_uid or None,
            has_data_set=True,
        )
        return await self._ask(self._context(sop_class, transfer_syntax), command, data_set)

    async def n_set(self, sop_class: str, sop_uid: str, data_set: bytes, transfer_syntax: str) -> Answer:
        """Change a SOP instance (N-SET)."""
        command = Command(
            kind=Kind.N_SET_RQ,
            message_id=self._next_id(),
            requested_class=sop_class,
            requested_instance=sop_uid,
            has_data_set=True,
        )
        return await self._ask(self._context(sop_class, transfer_syntax), command, data_set)

    def _next_id(self) -> int:
        self._last_id = self._last_id % 0xFFFF + 1
        return self._last_id

    def _context(self, abstract_syntax: str, transfer_syntax: str) -> AcceptedContext:
        context = self.accepted.get((abstract_syntax, transfer_syntax))
        if context is None:
            raise NotAccepted(self._requestor.peer, abstract_syntax, transfer_syntax)
        return context

    async def _ask(self, context: AcceptedContext, command: Command, data_set: bytes | None = None) -> Answer:
        await self._send(context, command, data_set)
        assert command.message_id is not None
        return _answer_of(*await self._requestor.next_answer(command.message_id, self._timeouts.answer_seconds))

    async def _send(self, context: AcceptedContext, command: Command, data_set: bytes | None) -> None:
        self._requestor.check()
        self._requestor.association.send_message(context.id, command, data_set)
        await self._requestor.send(self._timeouts.answer_seconds)


async def _connect(
    host: str,
    port: int,
    request: AssociateRequest,
    max_pdu: int,
    tls: ssl.SSLContext | None,
    timeouts: Timeouts,
) -> Requestor:
    peer = f"{request.called_ae} at {host}:{port}"
    try:
        async with asyncio.timeout(timeouts.connect_seconds):
            _, requestor = await asyncio.get_running_loop().create_connection(
                lambda: Requestor(peer, request, max_pdu, timeouts.release_seconds), host, port, ssl=tls
            )
    except TimeoutError as fault:
        raise Unreachable(
            f"{peer} did not take a connection within {timeouts.connect_seconds:g} s",
            code="D021",
            hint="is the host up, and does a firewall let the port through?",
        ) from fault
    except OSError as fault:
        raise Unreachable(
            f"cannot connect to {peer}: {fault.strerror or fault}",
            code="D020",
            hint="is the peer running, and are host and port right?",
        ) from fault
    return requestor


def _answer_of(command: Command, data_set: bytes) -> Answer:
    return Answer(
        status=command.status or 0,
        comment=command.error_comment or "",
        error_id=command.error_id,
        sop_instance=command.sop_instance,
        data_set=data_set,
    )
