"""MPPS: N-CREATE and N-SET of the Modality Performed Procedure Step (PS3.4 F.7.2)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Protocol

import structlog

from broker.dicom.dataset import read_item
from broker.dicom.service import Request, Response
from broker.domain.performed import Answer, CreateRequest, SetRequest
from broker.errors import BrokerError
from broker.ul.dimse import Kind, Status

log = structlog.get_logger()

PERFORMED_STEP: Final = "1.2.840.10008.3.1.2.3.3"


class Performed(Protocol):
    """The use cases behind MPPS."""

    async def create(self, request: CreateRequest, raw: bytes, transfer_syntax: str) -> Answer:
        """Keep a new performed step, with the data set as it came. Raises BrokerError when nothing can be written."""

    async def set(self, request: SetRequest, raw: bytes, transfer_syntax: str) -> Answer:
        """Keep what an N-SET changes. Raises BrokerError when nothing can be written."""


class MppsHandler:
    """Answers the requests of a Modality Performed Procedure Step context."""

    def __init__(self, performed: Performed) -> None:
        self._performed = performed

    async def __call__(self, request: Request) -> Response:
        """Answer one request; what cannot be read or written is a processing failure, 0110H."""
        if request.command.kind not in (Kind.N_CREATE_RQ, Kind.N_SET_RQ):
            return Response(status=Status.UNRECOGNIZED_OPERATION, comment="only N-CREATE and N-SET")
        try:
            attributes = read_item(request.data_set, request.transfer_syntax)
            if request.command.kind == Kind.N_CREATE_RQ:
                uid = request.command.sop_instance or _uid_for(request)
                create = CreateRequest(uid=uid, ae=request.calling_ae, attributes=attributes)
                answer = await self._performed.create(create, request.data_set, request.transfer_syntax)
            else:
                uid = request.command.sop_instance
                change = SetRequest(uid=uid, ae=request.calling_ae, attributes=attributes)
                answer = await self._performed.set(change, request.data_set, request.transfer_syntax)
        except BrokerError as fault:
            log.error("mpps.failed", calling=request.calling_ae, reason=str(fault))
            return Response(status=Status.PROCESSING_FAILURE, comment=fault.message)
        if answer.faults:
            event = "mpps.refused" if answer.performed is None else "mpps.accepted_with_faults"
            log.warning(event, calling=request.calling_ae, status=f"{answer.status:04X}", faults=answer.faults)
        return Response(
            status=answer.status, comment=answer.comment, error_id=answer.error_id or None, sop_instance=uid
        )


def _uid_for(request: Request) -> str:
    """Make the UID of a step whose N-CREATE names none: from its content, so that a repeat is one (PS3.5 B.2)."""
    content = request.calling_ae.encode() + b"\0" + request.data_set
    return f"2.25.{int.from_bytes(blake2b(content, digest_size=16).digest())}"
