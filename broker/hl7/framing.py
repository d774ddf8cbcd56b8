"""MLLP frames out of a stream of bytes (HL7 transport specification, MLLP release 1): bytes in, events out, no sockets.

A frame is VT, payload, FS, CR. A frame without its CR is taken; bytes between frames are noise.
"""

from __future__ import annotations

from dataclasses import dataclass

VT = b"\x0b"
FS = b"\x1c"
CR = b"\x0d"
END = FS + CR

_PADDING = b"\r\n\x1c\x00 "

KEPT_BYTES = 4096
"""How much of a frame that is too large is kept: enough to read its MSH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole payload."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Bytes outside frames, or a frame that another one interrupted: *size* of them, *sample* the first few."""

    size: int
    sample: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLarge:
    """A frame has outgrown the limit; *head* is its beginning. The rest is dropped until the frame ends."""

    head: bytes


Received = Frame | Noise | TooLarge


def frame(payload: bytes) -> bytes:
    """Wrap *payload* for the wire."""
    return VT + payload + END


class Framer:
    """Cuts a stream into frames of at most *max_message* bytes, in linear time; keeps no more than one frame."""

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._body = bytearray()
        self._is_inside = False
        self._is_dropping = False

    @property
    def is_inside(self) -> bool:
        """Say whether a frame has begun and not ended."""
        return self._is_inside

    def feed(self, chunk: bytes) -> list[Received]:
        """Take what has arrived, in any portions; give what it completes, in order."""
        found: list[Received] = []
        place = 0
        while place < len(chunk):
            place = self._inside(chunk, place, found) if self._is_inside else self._outside(chunk, place, found)
        return found

    def _outside(self, chunk: bytes, place: int, found: list[Received]) -> int:
        start = chunk.find(VT, place)
        end = start if start >= 0 else len(chunk)
        noise = chunk[place:end].strip(_PADDING)
        if noise:
            found.append(Noise(size=len(noise), sample=noise[:32]))
        self._is_inside = start >= 0
        return end + 1

    def _inside(self, chunk: bytes, place: int, found: list[Received]) -> int:
        end = chunk.find(FS, place)
        stop = end if end >= 0 else len(chunk)
        if not self._is_dropping:
            self._take(chunk, place, stop, found)
        if end >= 0:
            if not self._is_dropping:
                self._finish(found)
            self._body.clear()
            self._is_inside = self._is_dropping = False
        return stop + 1

    def _take(self, chunk: bytes, place: int, stop: int, found: list[Received]) -> None:
        if len(self._body) + stop - place <= self._max_message:
            self._body += chunk[place:stop]
            return
        self._body += chunk[place : min(stop, place + KEPT_BYTES)]
        found.append(TooLarge(head=bytes(self._body[:KEPT_BYTES])))
        self._body.clear()
        self._is_dropping = True

    def _finish(self, found: list[Received]) -> None:
        """Give the frame. Where another one began inside it, its sender had broken off: the last one is whole."""
        payload = bytes(self._body)
        cut = payload.rfind(VT + b"MSH")
        if cut > 0:
            found.append(Noise(size=cut, sample=payload[: min(cut, 32)]))
        found.append(Frame(payload=payload[cut + 1 :]))
