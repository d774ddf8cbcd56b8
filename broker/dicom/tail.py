"""Does a data set end where an element ends? What follows its header is walked, and none of it held (PS3.5 7.1-7.5)."""

from __future__ import annotations

import struct
from typing import Final

LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED: Final = 0xFFFFFFFF
_DELIMITERS: Final = 0xFFFE
_ITEM: Final = 0xE000

ELEMENT_LIMIT: Final = 20_000
DEPTH_LIMIT: Final = 32


class Tail:
    """Walks the rest of a data set from an element at its top, in pieces of any size.

    What it cannot follow is no evidence: only a value or an element header that the end cuts off is.
    """

    def __init__(self, rest: bytes, *, is_implicit: bool, order: str) -> None:
        self._rest = b""
        self._to_skip = 0
        self._elements = 0
        self._is_lost = False
        self._encodings = [is_implicit]
        self._short = struct.Struct(order + "HH2sH").unpack_from
        self._long = struct.Struct(order + "I").unpack_from
        self.feed(rest)

    @property
    def is_cut_short(self) -> bool:
        """Say whether the end is in the middle of an element; one missing pad byte, and padding with zeros, are none."""
        return not self._is_lost and (self._to_skip > 1 or bool(self._rest.strip(b"\0")))

    def feed(self, fragment: bytes) -> None:
        """Take the next bytes."""
        if self._to_skip >= len(fragment):
            self._to_skip -= len(fragment)
            return
        if self._is_lost:
            return
        buffer = self._rest + fragment[self._to_skip :]
        at = 0
        while len(buffer) - at >= 8 and (size := self._element(buffer, at)):
            at += size
        self._to_skip = max(0, at - len(buffer))
        self._rest = buffer[at:]

    def _element(self, buffer: bytes, at: int) -> int:
        """Measure the element at *at*, of a sequence or an item that is open its header alone; 0: it is not all here."""
        group, number, vr, length = self._short(buffer, at)
        header = 8
        is_implicit = self._encodings[-1] or group == _DELIMITERS
        if is_implicit:
            (length,) = self._long(buffer, at + 4)
        elif vr in LONG_VRS:
            header = 12
            if len(buffer) < at + header:
                return 0
            (length,) = self._long(buffer, at + 8)
        self._elements += 1
        is_known = is_implicit or vr in LONG_VRS or vr in SHORT_VRS
        if not is_known or self._elements > ELEMENT_LIMIT or len(self._encodings) > DEPTH_LIMIT:
            return self._lose()
        if group == _DELIMITERS and number != _ITEM:
            self._encodings.pop()
            return header if self._encodings else self._lose()
        if length != _UNDEFINED:
            return header + int(length)
        self._encodings.append(self._encodings[-1] or (vr == b"UN" and group != _DELIMITERS))
        return header

    def _lose(self) -> int:
        self._is_lost = True
        return 0
