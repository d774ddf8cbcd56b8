"""What a DICOM service sees of the network: requests, answers, and sinks for objects. Handlers import this alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from broker.errors import BrokerError
from broker.ul.dimse import Command, Status


def never() -> bool:
    """Say that nobody has cancelled."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One DIMSE request with its data set as it came (encoded in *transfer_syntax*; empty for C-STORE, which streams).

    *is_cancelled* tells whether the caller has sent C-CANCEL or has gone; a long search looks at it now and then.
    """

    command: Command
    abstract_syntax: str
    transfer_syntax: str
    calling_ae: str
    called_ae: str
    peer_host: str
    data_set: bytes = b""
    is_cancelled: Callable[[], bool] = never


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One DIMSE answer; *data_set* is encoded in the request's transfer syntax, ``None`` for an answer without one.

    *sop_instance* is the UID that N-CREATE made when the request named none; *comment* is ASCII, cut at 64.
    """

    status: int = Status.SUCCESS
    data_set: bytes | None = None
    comment: str = ""
    error_id: int | None = None
    sop_instance: str = ""
    attributes: tuple[int, ...] | None = None
    offending_elements: tuple[int, ...] | None = None


SUCCESS = Response()

Answer = Response | bytes | list[bytes]


class Failure(BrokerError):
    """A handler's way to answer *status* from anywhere, with *comment* for the peer's log."""

    def __init__(self, status: int, comment: str = "", *, error_id: int | None = None) -> None:
        super().__init__(comment or f"DIMSE status {status:04X}H", code="D010")
        self.response = Response(status=status, comment=comment, error_id=error_id)


class Handler(Protocol):
    """Answers the requests of an abstract syntax, whatever their kind; 0211H for a kind that it does not know.

    Either ``async def`` that returns one Response, or an async generator for C-FIND: a ``bytes`` is an identifier
    answered as pending (FF00H), a list holds several that are sent together; a Response with a pending status likewise;
    one with another status ends the search, and so does the generator's end (0000H). Others get a turn between lists.
    After C-CANCEL the generator is closed and FE00H is answered.
    """

    def __call__(self, request: Request, /) -> Awaitable[Response] | AsyncIterator[Answer]:
        """Answer *request*. Raise Failure for a status; anything else raised is answered as a processing failure."""


class Sink(Protocol):
    """Takes one object as it arrives. Exactly one of *finish* and *abandon* is called, once."""

    def write(self, fragment: bytes, /) -> None:
        """Take the next piece of the data set, on the loop and without waiting; raise Failure to refuse the object."""

    async def finish(self) -> Response:
        """Keep the object, which is whole now, and say with which status it is answered."""

    def abandon(self) -> None:
        """Forget the object: the association died, or *write* raised."""


@runtime_checkable
class StoreHandler(Protocol):
    """Takes the objects of a storage abstract syntax by C-STORE."""

    def begin(self, request: Request, /) -> Sink:
        """Open a sink for the object that *request* announces; raise Failure to refuse it before its data come."""
