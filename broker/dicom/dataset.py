"""Small data sets (identifiers, MPPS, event reports) to items by keyword, and back (PS3.5 section 7).

Values of an item are Unicode text (numbers as decimal text), a list of texts, or a list of items; bytes where the
value representation is binary or unknown. Attributes that no dictionary knows have keys of the form ``(gggg,eeee)``.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

from broker.dicom import dictionary
from broker.dicom.charset import DEFAULT, CharacterSet, find_charset
from broker.dicom.dictionary import Attribute
from broker.domain.order import Item
from broker.errors import BrokerError

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
TRANSFER_SYNTAXES = (EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN)
"""Those that data sets without pixels come in."""

MAX_SIZE = 64 * 1024 * 1024
MAX_DEPTH = 32

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_OPEN = 0xFFFFFFFF
_CHARACTER_SET = 0x00080005
_KNOWN_TAGS, _KNOWN_KEYS = dictionary.BY_TAG, dictionary.BY_KEY


def read_item(raw: bytes, transfer_syntax: str) -> dict[str, Any]:
    """Read a whole data set; raise BrokerError D021 where it is broken, D022 for a transfer syntax with pixels."""
    if transfer_syntax == DEFLATED:
        raw = _inflate(raw)
    elif transfer_syntax not in TRANSFER_SYNTAXES:
        raise BrokerError(f"no data set is read in transfer syntax {transfer_syntax}", code="D022")
    order = ">" if transfer_syntax == BIG_ENDIAN else "<"
    reader = _Reader(raw, order, is_explicit=transfer_syntax != IMPLICIT)
    item, _ = reader.elements(0, len(raw), DEFAULT, 0)
    return item


def write_item(
    item: Item, transfer_syntax: str, charset: CharacterSet = DEFAULT, faults: list[str] | None = None
) -> bytes:
    """Write *item* with *charset* as its (0008,0005); text that does not fit is transliterated.

    Raise BrokerError D023 for a key or a value that cannot be written, D022 for a transfer syntax with pixels. With a
    list of *faults* the key goes in there instead, and its element stays empty or away.
    """
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise BrokerError(f"no data set is written in transfer syntax {transfer_syntax}", code="D022")
    order = ">" if transfer_syntax == BIG_ENDIAN else "<"
    writer = _Writer(order, charset, faults, is_explicit=transfer_syntax != IMPLICIT)
    raw = writer.elements(item, charset.terms)
    return _deflate(raw) if transfer_syntax == DEFLATED else raw


class _Reader:
    """Reads elements of one byte order, in implicit or explicit VR, from bytes that may be hostile."""

    __slots__ = ("_is_explicit", "_long", "_order", "_raw", "_short", "_tag_length")

    def __init__(self, raw: bytes, order: str, *, is_explicit: bool) -> None:
        self._raw = raw
        self._order = order
        self._is_explicit = is_explicit
        self._tag_length = struct.Struct(order + "HHI").unpack_from
        self._short = struct.Struct(order + "HH2sH").unpack_from
        self._long = struct.Struct(order + "I").unpack_from

    def elements(self, at: int, end: int, charset: CharacterSet, depth: int) -> tuple[dict[str, Any], int]:
        """Read elements up to *end* or an item's end delimiter; give them and the place after."""
        if depth > MAX_DEPTH:
            raise _broken(at, "sequences are nested too deeply")
        item: dict[str, Any] = {}
        header = self._explicit if self._is_explicit else self._implicit
        while at < end:
            attribute, vr, length, at = header(at, end)
            if not length and vr != "SQ":
                if attribute.tag == _ITEM_END:
                    break
                if attribute.tag & 0xFFFF:
                    item[attribute.key] = ""
                continue
            if vr == "SQ" or length == _OPEN or (vr == "UN" and attribute.vr == "SQ"):
                item[attribute.key], at = self._sequence(at, end, vr, length, charset, depth)
                continue
            stop = at + length
            if stop > end:
                raise _broken(at, f"{attribute.key} says {length} bytes, {end - at} are left")
            value = self._value(at, stop, attribute.vr if vr == "UN" else vr, charset)
            if attribute.tag == _CHARACTER_SET:
                charset = find_charset([value] if isinstance(value, str) else value)
            if attribute.tag & 0xFFFF:
                item[attribute.key] = value
            at = stop
        item.pop("DataSetTrailingPadding", None)
        return item, at

    def _implicit(self, at: int, end: int) -> tuple[Attribute, str, int, int]:
        if at + 8 > end:
            raise _broken(at, "an element is cut off")
        group, element, length = self._tag_length(self._raw, at)
        tag = group << 16 | element
        attribute = _KNOWN_TAGS.get(tag) or dictionary.find_by_tag(tag)
        return attribute, attribute.vr, length, at + 8

    def _explicit(self, at: int, end: int) -> tuple[Attribute, str, int, int]:
        attribute, vr, length, after = self._implicit(at, end)
        if attribute.tag == _ITEM_END:
            return attribute, vr, length, after
        _, _, code, length = self._short(self._raw, at)
        vr = code.decode("latin-1")
        if vr not in dictionary.KNOWN:
            raise _broken(at, f"{attribute.key} has no value representation")
        if vr in dictionary.LONG:
            if after + 4 > end:
                raise _broken(at, "an element is cut off")
            return attribute, vr, self._long(self._raw, after)[0], after + 4
        return attribute, vr, length, after

    def _sequence(
        self, at: int, end: int, vr: str, length: int, charset: CharacterSet, depth: int
    ) -> tuple[list[dict[str, Any]], int]:
        """Read the items of a sequence; one of undefined length that is no SQ is in implicit VR (PS3.5 6.2.2)."""
        if vr != "SQ" and self._is_explicit:
            inner = _Reader(self._raw, "<", is_explicit=False)
            return inner._sequence(at, end, "SQ", length, charset, depth)
        is_open = length == _OPEN
        stop = end if is_open else at + length
        if stop > end:
            raise _broken(at, "a sequence is longer than what holds it")
        items: list[dict[str, Any]] = []
        while at < stop:
            if at + 8 > stop:
                raise _broken(at, "an item is cut off")
            group, element, size = self._tag_length(self._raw, at)
            tag = group << 16 | element
            at += 8
            if tag == _SEQUENCE_END and is_open:
                return items, at
            if tag != _ITEM:
                raise _broken(at - 8, "an item of a sequence was expected")
            item_end = stop if size == _OPEN else at + size
            if item_end > stop:
                raise _broken(at, "an item is longer than its sequence")
            item, at = self.elements(at, item_end, charset, depth + 1)
            items.append(item)
        return items, at

    def _value(self, at: int, stop: int, vr: str, charset: CharacterSet) -> Any:
        raw = self._raw[at:stop]
        if vr in dictionary.TEXT:
            text = charset.decode(raw, vr == "PN")
        elif vr in dictionary.ASCII:
            text = raw.decode("ascii", "replace")
        elif vr in dictionary.NUMBERS or vr == "AT":
            numbers = dictionary.read_numbers(raw, vr, self._order)
            return numbers[0] if len(numbers) == 1 else numbers
        else:
            return raw
        if vr in dictionary.SINGLE_TEXT:
            return text.rstrip(" \0")
        if "\\" in text:
            return [value.strip(" \0") for value in text.split("\\")]
        return text.strip(" \0")


class _Writer:
    """Writes elements of one byte order, in implicit or explicit VR, with lengths that are defined."""

    __slots__ = ("_charset", "_faults", "_is_explicit", "_order", "_pack")

    def __init__(self, order: str, charset: CharacterSet, faults: list[str] | None, *, is_explicit: bool) -> None:
        self._order = order
        self._charset = charset
        self._faults = faults
        self._is_explicit = is_explicit
        self._pack = struct.Struct(order + "HHI").pack

    def elements(self, item: Item, terms: tuple[str, ...] = ()) -> bytes:
        """Write the elements of *item*, sorted by tag, with *terms* as its character set: items inherit it."""
        found: list[tuple[Attribute, Any]] = []
        for key, value in item.items():
            attribute = _KNOWN_KEYS.get(key) or dictionary.find_by_key(key)
            if attribute is None:
                self._fault(key, "is no attribute of DICOM")
            elif attribute.tag != _CHARACTER_SET:
                found.append((attribute, value))
        if terms:
            found.append((_KNOWN_TAGS[_CHARACTER_SET], list(terms)))
        found.sort(key=lambda one: one[0].tag)
        return b"".join(self._element(attribute, value) for attribute, value in found)

    def _element(self, attribute: Attribute, value: Any) -> bytes:
        tag = attribute.tag
        vr = attribute.vr if attribute.vr != "UN" else _vr_of(value)
        is_short = self._is_explicit and vr not in dictionary.LONG
        try:
            raw = self._value(vr, value)
            if is_short and len(raw) > 0xFFFF:
                raise ValueError("too long")
        except (ValueError, TypeError, AttributeError, struct.error) as error:
            self._fault(attribute.key, f"has a value that {vr} cannot hold", error)
            raw = b""
        if not self._is_explicit:
            return self._pack(tag >> 16, tag & 0xFFFF, len(raw)) + raw
        if is_short:
            return struct.pack(self._order + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw
        return struct.pack(self._order + "HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, len(raw)) + raw

    def _fault(self, key: str, what: str, cause: Exception | None = None) -> None:
        if self._faults is None:
            raise BrokerError(f"{key} {what}", code="D023") from cause
        self._faults.append(key)

    def _value(self, vr: str, value: Any) -> bytes:
        if not value and value != 0:
            return b""
        if vr == "SQ":
            return b"".join(self._item(item) for item in value)
        if isinstance(value, bytes):
            return value + b"\0" * (len(value) % 2)
        if vr in dictionary.NUMBERS or vr == "AT":
            return dictionary.write_numbers(_texts(value), vr, self._order)
        text = value if value.__class__ is str else "\\".join(_texts(value))
        if text.isascii():
            raw = text.encode()
        elif vr in dictionary.TEXT:
            raw = self._charset.encode_plain(text, vr == "PN")
        else:
            raw = text.encode("ascii", "replace")
        return raw + (b"\0" if vr == "UI" else b" ") if len(raw) % 2 else raw

    def _item(self, item: Item) -> bytes:
        raw = self.elements(item)
        return self._pack(_ITEM >> 16, _ITEM & 0xFFFF, len(raw)) + raw


def _texts(value: Any) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list | tuple) else [str(value)]


def _vr_of(value: Any) -> str:
    """Choose the VR of an attribute that no dictionary knows, by its value."""
    if isinstance(value, list) and value and not isinstance(value[0], str):
        return "SQ"
    if not value or isinstance(value, bytes):
        return "UN"
    return "UC" if max(map(len, _texts(value))) > 64 else "LO"


def _inflate(raw: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(raw, MAX_SIZE)
    except zlib.error as error:
        raise _broken(0, "it cannot be inflated") from error
    if inflater.unconsumed_tail:
        raise _broken(0, "it is too large when inflated")
    return plain


def _deflate(raw: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflater.compress(raw) + deflater.flush()
    return packed + b"\0" * (len(packed) % 2)


def _broken(at: int, what: str) -> BrokerError:
    return BrokerError(f"the data set is broken at byte {at}: {what}", code="D021")
