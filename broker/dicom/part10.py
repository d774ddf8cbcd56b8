"""DICOM files (PS3.10 7.1): a preamble, the File Meta Information, and the data set exactly as it came."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from broker.errors import BrokerError

_PREAMBLE: Final = bytes(128) + b"DICM"
_META_LIMIT: Final = 64 * 1024
_SHORT: Final = struct.Struct("<HH2sH")
_LONG: Final = struct.Struct("<HH2sHI")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """The File Meta Information: what a data set is, how it is encoded, who wrote it and who sent it."""

    sop_class: str
    sop_uid: str
    transfer_syntax: str
    implementation_uid: str
    implementation_version: str
    source_ae: str

    def encode(self) -> bytes:
        """Write preamble and meta information: all that comes before the data set."""
        body = _LONG.pack(2, 1, b"OB", 0, 2) + b"\x00\x01"
        for number, vr, value in (
            (0x0002, b"UI", self.sop_class),
            (0x0003, b"UI", self.sop_uid),
            (0x0010, b"UI", self.transfer_syntax),
            (0x0012, b"UI", self.implementation_uid),
            (0x0013, b"SH", self.implementation_version),
            (0x0016, b"AE", self.source_ae),
        ):
            content = value.encode("ascii", "replace")[:64]
            content += (b"\0" if vr == b"UI" else b" ") * (len(content) % 2)
            body += _SHORT.pack(2, number, vr, len(content)) + content
        return _PREAMBLE + _SHORT.pack(2, 0, b"UL", 4) + struct.pack("<I", len(body)) + body


def read_meta(file: BinaryIO) -> FileMeta:
    """Read the head of *file* and leave it at the start of the data set.

    Raises BrokerError D030 when it is no DICOM file, or a meta element is cut.
    """
    head = file.read(len(_PREAMBLE) + 12)
    if len(head) < len(_PREAMBLE) + 12 or head[128:132] != b"DICM" or head[132:140] != _SHORT.pack(2, 0, b"UL", 4):
        raise _unreadable()
    (length,) = struct.unpack_from("<I", head, 140)
    body = file.read(min(length, _META_LIMIT))
    if len(body) < length:
        raise _unreadable()
    values = _values(body)
    return FileMeta(
        sop_class=values.get(0x0002, ""),
        sop_uid=values.get(0x0003, ""),
        transfer_syntax=values.get(0x0010, ""),
        implementation_uid=values.get(0x0012, ""),
        implementation_version=values.get(0x0013, ""),
        source_ae=values.get(0x0016, ""),
    )


def _values(body: bytes) -> dict[int, str]:
    values: dict[int, str] = {}
    at = 0
    try:
        while at < len(body):
            _, number, vr, length = _SHORT.unpack_from(body, at)
            at += 8
            if vr in (b"OB", b"UN"):
                (length,) = struct.unpack_from("<I", body, at)
                at += 4
            values[number] = body[at : at + length].decode("ascii", "replace").strip("\0 ")
            at += length
    except struct.error as fault:
        raise _unreadable() from fault
    return values


def _unreadable() -> BrokerError:
    return BrokerError("not a DICOM file, or cut off", code="D030", hint="look at it with dcmdump, then remove it")
