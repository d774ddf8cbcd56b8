"""Character sets of HL7 messages: MSH-18 by table 0211 and by what senders write for it, bytes to text and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from broker.errors import BrokerError

REPLACEMENT = "\ufffd"
"""Stands in the text for what could not be read; an identifier that holds it must be refused."""

_JAPANESE = "iso2022_jp_ext"

_HALF_WIDTH = bytes(octet if octet < 0x80 or 0xA1 <= octet <= 0xDF else 0xFF for octet in range(256))
"""Leaves no lead byte of Shift JIS that would swallow a delimiter."""

_NAMES: Mapping[str, str] = {
    "ascii": "ASCII USASCII ISOIR6 7BIT",
    "utf-8": "UTF8 UNICODEUTF8 UNICODE ISOIR192",
    "cp1252": "88591 LATIN1 L1 ISOIR100 WINDOWS1252 CP1252 WIN1252 ANSI",
    "iso8859_2": "88592 LATIN2 ISOIR101",
    "iso8859_3": "88593 LATIN3 ISOIR109",
    "iso8859_4": "88594 LATIN4 ISOIR110",
    "iso8859_5": "88595 ISOIR144",
    "iso8859_6": "88596 ISOIR127",
    "iso8859_7": "88597 ISOIR126",
    "iso8859_8": "88598 ISOIR138",
    "iso8859_9": "88599 LATIN5 ISOIR148",
    "iso8859_15": "885915 LATIN9 ISOIR203",
    "tis_620": "885911 TIS620 ISOIR166",
    _JAPANESE: "IR87 IR159 IR14 IR13 ISO2022IR87 ISO2022IR159 ISO2022JP ISO2022JPEXT JISX0208 JISX0212 JISX0201",
    "shift_jis": "SHIFTJIS SJIS",
    "cp932": "CP932 WINDOWS31J MS932",
    "euc_jp": "EUCJP",
    "cp949": "KSX1001 ISO2022IR149 IR149 EUCKR CP949",
    "gb18030": "GB180302000 GB18030 GBK GB2312",
    "big5": "BIG5",
    "big5hkscs": "BIG5HKSCS",
    "cp1250": "WINDOWS1250 CP1250",
    "cp1251": "WINDOWS1251 CP1251",
    "cp1253": "WINDOWS1253 CP1253",
    "cp1254": "WINDOWS1254 CP1254",
    "cp1255": "WINDOWS1255 CP1255",
    "cp1256": "WINDOWS1256 CP1256",
    "cp1257": "WINDOWS1257 CP1257",
    "cp1258": "WINDOWS1258 CP1258",
    "koi8_r": "KOI8R",
    "koi8_u": "KOI8U",
    "cp437": "CP437",
    "cp850": "CP850",
}
CODECS: Mapping[str, str] = {key: codec for codec, keys in _NAMES.items() for key in keys.split()}
"""Python codecs by name, capital letters and digits alone, without a leading ISO."""
_ENCODERS: Mapping[str, str] = {
    "88591": "iso8859_1",
    "LATIN1": "iso8859_1",
    "ISOIR100": "iso8859_1",
    "KSX1001": "euc_kr",
}
"""Sets of which more is read than written: what a receiver may not know is not sent."""

_LATIN = frozenset({"cp1252", "iso8859_2", "iso8859_9", "iso8859_15"})
_NO_CODEC = frozenset({"CNS116431992", "CNS11643"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text of a message, the Python codec that its bytes were read with, warnings in words, characters lost."""

    text: str
    codec: str
    warnings: tuple[str, ...] = ()
    replaced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Bytes of a text, and warnings in words."""

    raw: bytes
    warnings: tuple[str, ...] = ()


def find_codec(name: str) -> str | None:
    """Find the Python codec of a character set as MSH-18, a configuration or a codec's own name says it."""
    return CODECS.get(_key(name))


@lru_cache(maxsize=512)
def _key(name: str) -> str:
    key = re.sub(r"[^A-Z0-9]", "", name.upper()[:40])
    return key if key in CODECS else key.removeprefix("ISO")


def decode(raw: bytes, fallback: Sequence[str] = ("UTF-8", "windows-1252")) -> Decoded:
    """Read the bytes of a message by its MSH-18, or by *fallback* in turn where that is empty, ASCII or unknown.

    What cannot be read becomes U+FFFD, is counted and told by place. 8859/1 is read as its superset windows-1252. Latin
    sets whose bytes form UTF-8 throughout are UTF-8. Raise BrokerError H020 (AR, 100) for UTF-16 and UTF-32.
    """
    _refuse_wide(raw)
    declared = _declared(raw)
    codec = _declared_codec(declared)
    if codec == "ascii" or not codec:
        return _by_list(raw, declared, fallback)
    if codec in _LATIN and not raw.isascii() and _is_readable(raw, "utf-8"):
        return _result(raw, "utf-8", f"MSH-18 says {_shown(declared)}, but the text is UTF-8 and was read so")
    return _result(raw, codec)


def encode(text: str, name: str) -> Encoded:
    """Write *text* in the set *name* (as in MSH-18, empty is ASCII); what it cannot hold becomes ``?`` with a warning."""
    key = _key(name)
    codec = _ENCODERS.get(key) or CODECS.get(key) or "ascii"
    try:
        return Encoded(raw=text.encode(codec))
    except UnicodeEncodeError as fault:
        lost = f"{_place(text, fault.start)} holds characters that {name or 'ASCII'} does not have; sent as ?"
        return Encoded(raw=text.encode(codec, "replace"), warnings=(lost,))


def _refuse_wide(raw: bytes) -> None:
    head = raw[:16]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"M\x00S\x00H" in head or b"M\x00\x00\x00S" in head:
        raise BrokerError(
            "the message is in UTF-16 or UTF-32",
            code="H020",
            hint="send it in UTF-8, with UNICODE UTF-8 in MSH-18",
            ack="AR",
            hl7_code="100",
            location="MSH^1^18",
        )


def _declared(raw: bytes) -> tuple[str, ...]:
    """Give the repetitions of MSH-18, read from the bytes: nothing else is known yet."""
    header = raw[:4096].lstrip(b"\xef\xbb\xbf\x00\x0b \t\r\n").partition(b"\r")[0].partition(b"\n")[0]
    fields = header.split(header[3:4], 18) if header[3:4] else []
    if header[:3] != b"MSH" or len(fields) < 18:
        return ()
    return _names(fields[17], header[4:5] or b"^", header[5:6] or b"~")


@lru_cache(maxsize=512)
def _names(field: bytes, component: bytes, repetition: bytes) -> tuple[str, ...]:
    repetitions = field[:200].split(repetition)
    return tuple(one.split(component)[0].decode("ascii", "replace").strip() for one in repetitions)


@lru_cache(maxsize=512)
def _declared_codec(declared: tuple[str, ...]) -> str | None:
    """Choose by the first set named; Japanese senders name theirs second, after an empty first (``~ISO IR87``)."""
    codecs = [find_codec(name) for name in declared if name]
    if _JAPANESE in codecs:
        return _JAPANESE
    if declared and _key(declared[0]) in _NO_CODEC:
        return _UNREADABLE
    return codecs[0] if codecs else None


_UNREADABLE = "us-ascii"
"""ASCII for a set that has no codec: its other characters are replaced, never guessed."""


def _by_list(raw: bytes, declared: Sequence[str], fallback: Sequence[str]) -> Decoded:
    codecs = [codec for codec in map(find_codec, fallback) if codec] or ["utf-8"]
    unknown = [name for name in declared if name and not find_codec(name)]
    what = f"MSH-18 names the unknown character set {_shown(unknown)}" if unknown else "MSH-18 names no character set"
    if raw.isascii():
        return _result(raw, codecs[0], what) if unknown else _result(raw, codecs[0])
    what = "MSH-18 says ASCII, the text is not" if declared[:1] and not unknown and declared[0] else what
    codec = next((codec for codec in codecs if _is_readable(raw, codec)), codecs[-1])
    return _result(raw, codec, f"{what}; read as {codec}")


def _is_readable(raw: bytes, codec: str) -> bool:
    try:
        _read(raw, codec, "strict")
    except UnicodeDecodeError:
        return False
    return True


def _read(raw: bytes, codec: str, errors: str) -> str:
    """Decode, with variants that Python's codecs do not know: JIS X 0201 in 8 bits, KS X 1001 with its designation."""
    if codec == _JAPANESE and not raw.isascii():
        return "".join(_read_japanese(piece, errors) for piece in re.split(rb"(?=\x1b)", raw))
    return (raw.replace(b"\x1b$)C", b"") if codec == "cp949" else raw).decode(codec, errors)


def _read_japanese(piece: bytes, errors: str) -> str:
    """Decode what follows one designation. Half-width katakana in 8 bits are the single bytes of Shift JIS."""
    if piece.isascii() or piece.startswith(b"\x1b$"):
        return piece.decode(_JAPANESE, errors)
    body = piece[3:] if piece.startswith(b"\x1b") else piece
    return body.translate(_HALF_WIDTH).decode("shift_jis", errors)


def _result(raw: bytes, codec: str, *warnings: str) -> Decoded:
    text = _read(raw, codec, "replace")
    replaced = text.count(REPLACEMENT)
    if replaced:
        place = _place(text, text.index(REPLACEMENT))
        lost = f"{replaced} characters could not be read as {codec}, the first in {place}; shown as {REPLACEMENT}"
        warnings = (*warnings, lost)
    return Decoded(text=text, codec=codec, warnings=warnings, replaced=replaced)


def _place(text: str, position: int) -> str:
    """Name the segment and field at *position*, as ``PID-5``."""
    start = max(text.rfind("\r", 0, position), text.rfind("\n", 0, position)) + 1
    header = text.find("MSH")
    mark = text[header + 3 : header + 4] or "|"
    field = text.count(mark, start, position)
    name = text[start : start + 3].partition(mark)[0]
    if not re.fullmatch("[A-Z][A-Z0-9]{2}", name):
        return "a segment without a name"
    return f"{name}-{field + 1 if name == 'MSH' else field}"


def _shown(names: Sequence[str]) -> str:
    return "~".join(names)[:40]
