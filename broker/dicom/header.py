"""What matching needs of an object's header, read by hand from its first fragments (PS3.5 7.1-7.5).

A data set is walked as a flat stream of element headers with a stack for what is open; values that nobody wants are
skipped, so that nothing but the element in hand is ever held.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Final, NamedTuple

from broker.dicom.charset import find_charset
from broker.dicom.tail import DEPTH_LIMIT, ELEMENT_LIMIT, LONG_VRS, SHORT_VRS, Tail
from broker.domain.order import Identity
from broker.domain.study import ObjectFacts

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"

_EXPLICIT: Final = {order: struct.Struct(order + "HH2sH") for order in "<>"}
_LENGTH: Final = {order: struct.Struct(order + "I") for order in "<>"}
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_PERFORMED, _REQUESTS, _ISSUER = 0x00081111, 0x00400275, 0x00080051
_SEQUENCES: Final = frozenset((_PERFORMED, _REQUESTS, _ISSUER))
_CHARSET, _ACCESSION, _NAME = 0x00080005, 0x00080050, 0x00100010
_STEP_ID, _PROCEDURE_ID, _REFERENCED = 0x00400009, 0x00401001, 0x00081155
_NAMESPACE, _UNIVERSAL = 0x00400031, 0x00400032
_CLASS, _INSTANCE, _MODALITY, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x00080060, 0x0020000D, 0x0020000E
_PATIENT_ID, _PATIENT_ISSUER, _BIRTH_DATE, _SEX = 0x00100020, 0x00100021, 0x00100030, 0x00100040
_OBJECT: Final = (_CHARSET, _CLASS, _INSTANCE, _MODALITY, _STUDY, _SERIES, _ACCESSION)
_TOP: Final = frozenset((*_OBJECT, _NAME, _PATIENT_ID, _PATIENT_ISSUER, _BIRTH_DATE, _SEX))
_NESTED: Final = frozenset((_STEP_ID, _PROCEDURE_ID, _ACCESSION, _REFERENCED, _NAMESPACE, _UNIVERSAL))
_WANTED: Final = _TOP | _SEQUENCES
_LAST: Final = _REQUESTS

_UID: Final = re.compile(r"[0-9.]{1,64}")

VALUE_LIMIT: Final = 1024
"""The longest value that is read; the standard allows 64 characters, with escapes and three name groups."""
ITEM_LIMIT: Final = 100
INFLATED_LIMIT: Final = 1024 * 1024


class _Unreadable(Exception):
    """The bytes are no data set."""


class _Element(NamedTuple):
    tag: int
    vr: bytes
    length: int
    body: int


@dataclass(frozen=True, slots=True)
class _Open:
    """A sequence or an item that is open: until absolute offset *end*, or until its delimiter when that is None.

    *kept* is the wanted sequence that it belongs to, 0 for any other. *outside* is the encoding around it.
    """

    end: int | None
    is_item: bool
    kept: int
    outside: tuple[bool, str]


class HeaderReader:
    """Reads a header from a data set that comes in pieces.

    *sop_class* and *sop_uid*, the command set's, stand where the data set has none; an object that names no study is
    a study of its own.
    """

    def __init__(self, transfer_syntax: str, sop_class: str, sop_uid: str) -> None:
        self._command = (sop_class, sop_uid)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if transfer_syntax == DEFLATED else None
        self._inflated = 0
        self._encoding = (transfer_syntax == IMPLICIT_LITTLE, ">" if transfer_syntax == EXPLICIT_BIG else "<")
        self._buffer = b""
        self._start = 0
        self._at = 0
        self._elements = 0
        self._stack: list[_Open] = []
        self._top: dict[int, bytes] = {}
        self._items: dict[int, list[dict[int, bytes]]] = {tag: [] for tag in _SEQUENCES}
        self._facts: ObjectFacts | None = None
        self._tail: Tail | None = None
        self._is_lost = False
        self._is_cut_short = False

    def feed(self, fragment: bytes) -> ObjectFacts | None:
        """Take the next bytes; give the facts as soon as all are known, or no more can be."""
        if self._facts is not None:
            if self._tail is not None:
                self._tail.feed(fragment)
            return self._facts
        try:
            self._buffer += self._inflate(fragment)
            is_over = self._walk() or self._is_inflated()
        except (_Unreadable, zlib.error):
            is_over, self._is_lost = True, True
        if not is_over:
            return None
        if not self._is_lost and self._inflater is None:
            is_implicit, order = self._encoding
            self._tail = Tail(self._buffer[self._at :], is_implicit=is_implicit, order=order)
        return self.finish()

    def finish(self) -> ObjectFacts:
        """Give what is known."""
        if self._facts is None:
            self._facts = _facts(self._top, self._items, *self._command)
            self._is_cut_short = self._is_unfinished()
            self._buffer = b""
        return self._facts

    @property
    def is_cut_short(self) -> bool:
        """Say whether the data set, which has ended, ended in the middle of an element; not known of a deflated one."""
        return self._is_cut_short if self._tail is None else self._tail.is_cut_short

    def _is_unfinished(self) -> bool:
        if self._is_lost or self._tail is not None or self._inflater is not None:
            return False
        missing = self._at - len(self._buffer)
        end = self._start + len(self._buffer)
        is_inside = any(one.end is not None and one.end > end for one in self._stack)
        return missing > 1 or is_inside or bool(self._buffer[self._at :].strip(b"\0"))

    def _inflate(self, fragment: bytes) -> bytes:
        if self._inflater is None:
            return fragment
        plain = self._inflater.decompress(self._inflater.unconsumed_tail + fragment, INFLATED_LIMIT - self._inflated)
        self._inflated += len(plain)
        return plain

    def _is_inflated(self) -> bool:
        """Say whether a deflated data set has ended, or is long enough."""
        return self._inflater is not None and (self._inflater.eof or self._inflated >= INFLATED_LIMIT)

    def _walk(self) -> bool:
        """Walk on through the elements at hand; say whether what follows is of no interest."""
        while (element := self._next()) is not None:
            if element.tag > _LAST and not self._stack and element.tag < _ITEM:
                return True
            if self._elements > ELEMENT_LIMIT:
                raise _Unreadable
            if not self._take(element):
                break
        dropped = min(self._at, len(self._buffer))
        self._buffer = self._buffer[dropped:]
        self._start += dropped
        self._at -= dropped
        return False

    def _next(self) -> _Element | None:
        """Find the next element that is of any interest, or none when it is not at hand.

        What nobody wants at the top is most of a header, hence one loop. The first element tells explicit from implicit
        VR: some senders negotiate the one and send the other.
        """
        self._close_ended()
        buffer, at, (is_implicit, order) = self._buffer, self._at, self._encoding
        unpack, unpack_length, is_inside = _EXPLICIT[order].unpack_from, _LENGTH[order].unpack_from, bool(self._stack)
        while len(buffer) >= at + 8:
            group, number, vr, length = unpack(buffer, at)
            tag = group << 16 | number
            if not self._elements:
                is_implicit = vr not in SHORT_VRS and vr not in LONG_VRS
                self._encoding = (is_implicit, order)
            self._elements += 1
            body = at + 8
            if is_implicit or group == 0xFFFE:
                (length,) = unpack_length(buffer, at + 4)
            elif vr in LONG_VRS:
                body = at + 12
                if len(buffer) < body:
                    break
                (length,) = unpack_length(buffer, at + 8)
            elif vr not in SHORT_VRS:
                raise _Unreadable
            if is_inside or tag in _WANTED or tag > _LAST or length == _UNDEFINED:
                self._at = at
                return _Element(tag, vr, length, body)
            at = body + length
        self._at = at
        return None

    def _close_ended(self) -> None:
        while self._stack and (end := self._stack[-1].end) is not None and self._start + self._at >= end:
            self._encoding = self._stack.pop().outside

    def _take(self, element: _Element) -> bool:
        """Enter, leave, read or skip *element*; False when its value is wanted and not at hand yet."""
        stack = self._stack
        if element.tag == _ITEM:
            self._enter_item(element)
        elif element.tag in (_ITEM_END, _SEQUENCE_END):
            if not stack or stack[-1].is_item is not (element.tag == _ITEM_END):
                raise _Unreadable
            self._encoding = stack.pop().outside
            self._at = element.body
        elif element.length == _UNDEFINED or (not stack and element.tag in _SEQUENCES):
            self._enter(element, is_item=False, kept=element.tag if not stack and element.tag in _SEQUENCES else 0)
        else:
            return self._read(element)
        return True

    def _enter_item(self, element: _Element) -> None:
        if not self._stack or self._stack[-1].is_item:
            raise _Unreadable
        kept = self._stack[-1].kept
        if not kept and element.length != _UNDEFINED:
            self._at = element.body + element.length
            return
        if kept:
            if len(self._items[kept]) >= ITEM_LIMIT:
                raise _Unreadable
            self._items[kept].append({})
        self._enter(element, is_item=True, kept=kept)

    def _enter(self, element: _Element, *, is_item: bool, kept: int) -> None:
        """Open a sequence or an item; one of VR UN and undefined length holds Implicit VR (PS3.5 6.2.2)."""
        if len(self._stack) >= DEPTH_LIMIT:
            raise _Unreadable
        end = None if element.length == _UNDEFINED else self._start + element.body + element.length
        self._stack.append(_Open(end=end, is_item=is_item, kept=kept, outside=self._encoding))
        if element.vr == b"UN" and element.length == _UNDEFINED:
            self._encoding = (True, "<")
        self._at = element.body

    def _read(self, element: _Element) -> bool:
        end = element.body + element.length
        values = self._wanted(element.tag) if element.length <= VALUE_LIMIT else None
        if values is not None:
            if len(self._buffer) < end:
                return False
            values.setdefault(element.tag, self._buffer[element.body : end])
        self._at = end
        return True

    def _wanted(self, tag: int) -> dict[int, bytes] | None:
        """Give the place for the value of *tag*, or none when nobody wants it here."""
        stack = self._stack
        if not stack:
            return self._top if tag in _TOP else None
        if len(stack) == 2 and stack[1].kept and tag in _NESTED:
            return self._items[stack[1].kept][-1]
        return None


def _facts(
    top: dict[int, bytes], items: dict[int, list[dict[int, bytes]]], sop_class: str, sop_uid: str
) -> ObjectFacts:
    charset = find_charset([term.decode("latin-1") for term in top.get(_CHARSET, b"").rstrip(b" \0").split(b"\\")])

    def text(values: dict[int, bytes], tag: int) -> str:
        return charset.decode(values.get(tag, b"").rstrip(b"\0"), tag == _NAME).strip()

    def uid(values: dict[int, bytes], tag: int) -> str:
        found = text(values, tag)
        return found if _UID.fullmatch(found) else ""

    issuers = [text(item, _NAMESPACE) or text(item, _UNIVERSAL) for item in items[_ISSUER]]
    performed = [one for item in items[_PERFORMED] if (one := uid(item, _REFERENCED))]
    requests = ((text(item, _STEP_ID), text(item, _PROCEDURE_ID), text(item, _ACCESSION)) for item in items[_REQUESTS])
    sop_uid = uid(top, _INSTANCE) or sop_uid
    return ObjectFacts(
        sop_class=uid(top, _CLASS) or sop_class,
        sop_uid=sop_uid,
        study_uid=uid(top, _STUDY) or sop_uid,
        series_uid=uid(top, _SERIES),
        modality=text(top, _MODALITY),
        accession=text(top, _ACCESSION),
        accession_issuer=issuers[0] if issuers else "",
        patient=Identity(
            patient_id=text(top, _PATIENT_ID),
            issuer=text(top, _PATIENT_ISSUER),
            name=text(top, _NAME),
            birth_date=text(top, _BIRTH_DATE),
            sex=text(top, _SEX),
        ),
        performed_uid=performed[0] if performed else "",
        references=tuple(reference for reference in requests if any(reference)),
    )
