"""DIMSE command sets: group 0000, Implicit VR Little Endian, as values (PS3.7 section 9, 10 and Annex E)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import Any, Final, cast

from broker.ul.fault import ProtocolError

VERIFICATION: Final = "1.2.840.10008.1.1"
NO_DATA_SET: Final = 0x0101
DATA_SET: Final = 0x0001

_ELEMENT = struct.Struct("<HHI")
_GROUP_LENGTH = struct.Struct("<HHII")
_SHORT = struct.Struct("<H")


class Kind(IntEnum):
    """Command Field (0000,0100)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    C_CANCEL_RQ = 0x0FFF
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150


class Status(IntEnum):
    """Statuses that the broker uses itself (PS3.7 Annex C, PS3.4 B.2.3, K.4.1, F.7.2)."""

    SUCCESS = 0x0000
    PENDING = 0xFF00
    PENDING_WITHOUT_ALL_KEYS = 0xFF01
    CANCELLED = 0xFE00
    ATTRIBUTE_LIST_ERROR = 0x0107
    INVALID_ATTRIBUTE_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    NO_SUCH_INSTANCE = 0x0112
    NO_SUCH_CLASS = 0x0118
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    REFUSED = 0x0122
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC001


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command set. ``None`` is an element that is absent; *kind* is a plain number when the standard has no such kind."""

    kind: int
    message_id: int | None = None
    responded_id: int | None = None
    affected_class: str | None = None
    requested_class: str | None = None
    affected_instance: str | None = None
    requested_instance: str | None = None
    has_data_set: bool = False
    priority: int | None = None
    status: int | None = None
    offending_elements: tuple[int, ...] | None = None
    error_comment: str | None = None
    error_id: int | None = None
    move_destination: str | None = None
    event_type: int | None = None
    attributes: tuple[int, ...] | None = None
    action_type: int | None = None
    move_originator: str | None = None
    move_originator_id: int | None = None

    @property
    def is_response(self) -> bool:
        """Say whether this answers a request."""
        return bool(self.kind & 0x8000)

    @property
    def sop_class(self) -> str:
        """Affected or Requested SOP Class UID, or empty."""
        return self.affected_class or self.requested_class or ""

    @property
    def sop_instance(self) -> str:
        """Affected or Requested SOP Instance UID, or empty."""
        return self.affected_instance or self.requested_instance or ""


def is_pending(status: int) -> bool:
    """Say whether more answers follow one with *status* (PS3.7 C.1.3)."""
    return status in (Status.PENDING, Status.PENDING_WITHOUT_ALL_KEYS)


def encode_command(command: Command) -> bytes:
    """Write *command* with its group length; texts are cut to what their VR holds (LO 64, AE 16)."""
    parts = []
    for value, (element, write) in zip(_values(command), _WRITERS, strict=True):
        if value is not None:
            content = write(value)
            parts.append(_ELEMENT.pack(0, element, len(content)) + content)
    body = b"".join(parts)
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def decode_command(encoded: bytes) -> Command:
    """Read a command set; elements of no interest are skipped. Raises ProtocolError when it is none."""
    fields: dict[str, Any] = {}
    offset, end = 0, len(encoded)
    while offset < end:
        if end - offset < 8:
            raise ProtocolError("a command set ends inside an element's header")
        group, element, length = _ELEMENT.unpack_from(encoded, offset)
        start = offset + 8
        offset = start + length
        if group != 0 or offset > end:
            raise ProtocolError(f"a command set holds element ({group:04X},{element:04X}) of {length} bytes")
        known = _ELEMENTS.get(element)
        if known is not None and (length or known[0] == "has_data_set"):
            fields[known[0]] = known[2](encoded[start:offset])
    if "kind" not in fields:
        raise ProtocolError("a command set has no Command Field (0000,0100)")
    return Command(**fields)


def reply(
    request: Command,
    status: int,
    *,
    comment: str = "",
    error_id: int | None = None,
    sop_instance: str = "",
    has_data_set: bool = False,
    attributes: tuple[int, ...] | None = None,
    offending_elements: tuple[int, ...] | None = None,
) -> Command:
    """Make the response command to *request*: its kind, class, instance and message ID (PS3.7 9.3, 10.3)."""
    names_instance = request.kind not in (Kind.C_FIND_RQ, Kind.C_ECHO_RQ)
    return Command(
        kind=request.kind | 0x8000,
        responded_id=request.message_id or 0,
        affected_class=request.sop_class or None,
        affected_instance=(sop_instance or request.sop_instance or None) if names_instance else None,
        has_data_set=has_data_set,
        status=status,
        offending_elements=offending_elements,
        error_comment=comment or None,
        error_id=error_id,
        event_type=request.event_type,
        attributes=attributes,
        action_type=request.action_type,
    )


def _write_uid(value: str) -> bytes:
    content = value.encode("ascii", "replace")
    return content + b"\0" if len(content) & 1 else content


def _read_uid(content: bytes) -> str:
    return content.decode("ascii", "replace").strip("\0 ")


def _text_writer(limit: int) -> Callable[[str], bytes]:
    def write(value: str) -> bytes:
        content = value.encode("ascii", "replace")[:limit]
        return content + b" " if len(content) & 1 else content

    return write


def _read_text(content: bytes) -> str:
    return content.decode("latin-1").strip("\0 ")


def _write_short(value: int) -> bytes:
    return _SHORT.pack(value)


def _read_short(content: bytes) -> int:
    if len(content) != 2:
        raise ProtocolError(f"a command element of VR US has {len(content)} bytes")
    return cast(int, _SHORT.unpack(content)[0])


def _write_tags(value: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)


def _read_tags(content: bytes) -> tuple[int, ...]:
    if len(content) % 4:
        raise ProtocolError(f"a command element of VR AT has {len(content)} bytes")
    return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", content))


def _write_presence(value: bool) -> bytes:
    return _SHORT.pack(DATA_SET if value else NO_DATA_SET)


def _read_presence(content: bytes) -> bool:
    return _read_short(content) != NO_DATA_SET


_UID = (_write_uid, _read_uid)
_US = (_write_short, _read_short)
_AE = (_text_writer(16), _read_text)
_AT = (_write_tags, _read_tags)

_ELEMENTS: Final[dict[int, tuple[str, Callable[[Any], bytes], Callable[[bytes], Any]]]] = {
    0x0002: ("affected_class", *_UID),
    0x0003: ("requested_class", *_UID),
    0x0100: ("kind", *_US),
    0x0110: ("message_id", *_US),
    0x0120: ("responded_id", *_US),
    0x0600: ("move_destination", *_AE),
    0x0700: ("priority", *_US),
    0x0800: ("has_data_set", _write_presence, _read_presence),
    0x0900: ("status", *_US),
    0x0901: ("offending_elements", *_AT),
    0x0902: ("error_comment", _text_writer(64), _read_text),
    0x0903: ("error_id", *_US),
    0x1000: ("affected_instance", *_UID),
    0x1001: ("requested_instance", *_UID),
    0x1002: ("event_type", *_US),
    0x1005: ("attributes", *_AT),
    0x1008: ("action_type", *_US),
    0x1030: ("move_originator", *_AE),
    0x1031: ("move_originator_id", *_US),
}
"""Element of group 0000 -> attribute of Command, writer, reader; in the order in which they are written."""

_values: Callable[[Command], tuple[Any, ...]] = attrgetter(*(name for name, _, _ in _ELEMENTS.values()))
_WRITERS: Final = tuple((element, write) for element, (_, write, _) in _ELEMENTS.items())
