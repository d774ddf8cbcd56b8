"""What a peer did wrong, as the A-ABORT that it gets for it."""

from __future__ import annotations

from enum import IntEnum

from broker.errors import BrokerError


class AbortSource(IntEnum):
    """Who aborted (PS3.8 9.3.8)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the provider aborted (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class ProtocolError(BrokerError):
    """Bytes that are not the protocol, or not at this moment; *reason* is for the A-ABORT."""

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(message, code="D001", hint="look at the peer's log: it does not speak DICOM as PS3.8 has it")
        self.reason = reason
