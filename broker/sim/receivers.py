"""Simulated receivers: an archive that takes every object, a RIS that takes every notice."""

from __future__ import annotations

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


class SimulatedArchive:
    """Takes objects and counts them by SOP Instance UID; keeps no bytes."""

    def __init__(self, ae: str) -> None:
        self.sizes: dict[str, int] = {}
        services = dict.fromkeys(STORAGE_CLASSES, self)
        self.server = DicomServer(ServerSettings(ae_titles=(ae,), port=0), services, _first)

    def begin(self, request: Request) -> _Counted:
        """Open a sink (dicom.service.StoreHandler)."""
        return _Counted(self, request.command.sop_instance)


class _Counted:
    def __init__(self, archive: SimulatedArchive, uid: str) -> None:
        self._archive = archive
        self._uid = uid
        self._size = 0

    def write(self, fragment: bytes) -> None:
        self._size += len(fragment)

    async def finish(self) -> Response:
        self._archive.sizes[self._uid] = self._size
        return SUCCESS

    def abandon(self) -> None:
        self._size = 0


def _first(_abstract: str, offered: tuple[str, ...], _calling: str) -> Choice:
    return offered[0]


class SimulatedRis:
    """Takes notices; *told* is the accession numbers (OBR-18) of the ORU messages."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self.told: list[str] = []
        self._clock = clock
        self._ids = ids
        listener = MllpListener(name="ris", host="127.0.0.1", port=0, handle=self._handle, clock=clock, ids=ids)
        self.server = MllpServer(listener)

    async def _handle(self, raw: bytes, peer: Peer) -> bytes:
        decoded = decode(raw)
        message = Message.parse(decoded.text, decoded.codec)
        self.told.append(message.value("OBR-18"))
        text = acknowledge(message, "AA", control_id=self._ids()[-20:], at=self._clock())
        return encode(text, decoded.codec).raw
