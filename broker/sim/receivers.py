"""Simulated receivers: an archive that takes every object, a RIS that takes every notice, neither remembers for ever."""

from __future__ import annotations

from collections.abc import Iterable

from broker.dicom.server import DicomServer, ServerSettings
from broker.dicom.service import SUCCESS, Request, Response
from broker.dicom.storage_classes import STORAGE_CLASSES
from broker.hl7.ack import acknowledge
from broker.hl7.charset import decode, encode
from broker.hl7.message import Message
from broker.mllp.connection import Peer
from broker.mllp.server import MllpListener, MllpServer
from broker.ports import Clock, Ids
from broker.ul.negotiation import Choice

REMEMBERED = 20_000


class Arrivals:
    """What has come, each thing counted once; the oldest are forgotten after a while, not uncounted."""

    def __init__(self) -> None:
        self.count = 0
        self._known: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Count *name* unless it has come before."""
        if name in self._known:
            return
        self.count += 1
        self._known[name] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def has(self, names: Iterable[str]) -> bool:
        """Say whether all *names* have come."""
        return all(name in self._known for name in names)


class SimulatedArchive:
    """Takes objects and knows which; keeps no bytes."""

    def __init__(self, ae: str) -> None:
        self.objects = Arrivals()
        services = dict.fromkeys(STORAGE_CLASSES, self)
        self.server = DicomServer(ServerSettings(ae_titles=(ae,), port=0), services, _first)

    def begin(self, request: Request) -> _Counted:
        """Open a sink (dicom.service.StoreHandler)."""
        return _Counted(self.objects, request.command.sop_instance)


class _Counted:
    def __init__(self, objects: Arrivals, uid: str) -> None:
        self._objects = objects
        self._uid = uid

    def write(self, fragment: bytes) -> None:
        """Let the bytes go."""

    async def finish(self) -> Response:
        self._objects.add(self._uid)
        return SUCCESS

    def abandon(self) -> None:
        """Nothing was kept."""


def _first(_abstract: str, offered: tuple[str, ...], _calling: str) -> Choice:
    return offered[0]


class SimulatedRis:
    """Takes notices; *told* is the accession numbers (OBR-18) that it has heard of."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.told = Arrivals()
        self._clock = clock
        self._ids = ids
        listener = MllpListener(name="ris", host="127.0.0.1", port=0, handle=self._handle, clock=clock, ids=ids)
        self.server = MllpServer(listener)

    async def _handle(self, raw: bytes, peer: Peer) -> bytes:
        decoded = decode(raw)
        message = Message.parse(decoded.text, decoded.codec)
        self.told.add(message.value("OBR-18"))
        text = acknowledge(message, "AA", control_id=self._ids()[-20:], at=self._clock())
        return encode(text, decoded.codec).raw
