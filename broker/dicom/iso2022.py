"""Code extension: text in several character sets with escape sequences between them (PS3.5 6.1.2.4, 6.1.2.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

ESC = b"\x1b"
CONTROLS = "\t\n\f\r"
"""Characters that bring the first set back, beside the backslash and, in names, ``^`` and ``=``."""


@dataclass(frozen=True, slots=True)
class Element:
    """A code element: the *escape* that designates it and its Python *codec*; *is_g0*: two bytes of 7 bits each."""

    escape: bytes
    codec: str
    is_g0: bool = False

    @property
    def is_multibyte(self) -> bool:
        """Say whether its characters have several bytes: then it is never the first of a character set."""
        return b"$" in self.escape


ASCII = Element(b"(B", "ascii")
KATAKANA = Element(b")I", "shift_jis")
KANJI = Element(b"$B", "iso2022_jp", is_g0=True)
MORE_KANJI = Element(b"$(D", "iso2022_jp_2", is_g0=True)
ELEMENTS = {
    "6": ASCII,
    "13": KATAKANA,
    "100": Element(b"-A", "latin_1"),
    "101": Element(b"-B", "iso8859_2"),
    "109": Element(b"-C", "iso8859_3"),
    "110": Element(b"-D", "iso8859_4"),
    "126": Element(b"-F", "iso8859_7"),
    "127": Element(b"-G", "iso8859_6"),
    "138": Element(b"-H", "iso8859_8"),
    "144": Element(b"-L", "iso8859_5"),
    "148": Element(b"-M", "iso8859_9"),
    "166": Element(b"-T", "tis_620"),
    "203": Element(b"-b", "iso8859_15"),
    "58": Element(b"$)A", "gb2312"),
    "149": Element(b"$)C", "euc_kr"),
    "87": KANJI,
    "159": MORE_KANJI,
}
"""By the number in the defined term (PS3.3 C.12.1.1.2): ``ISO_IR 100`` and ``ISO 2022 IR 100`` are 100."""

_ESCAPES = {element.escape: element for element in ELEMENTS.values()} | {b"(J": ASCII, b"$@": KANJI}


def decode(raw: bytes, first: Element, is_name: bool = False) -> str:
    """Read *raw*, which begins in *first*; what cannot be read becomes U+FFFD.

    G0 goes back to ASCII at each delimiter, G1 to that of *first* unless that has none: senders often leave out
    the escape sequence that the standard wants after a delimiter.
    """
    delimiters = _delimiters(is_name).encode()
    g0, g1 = ASCII, first
    parts: list[str] = []
    for index, chunk in enumerate(raw.split(ESC)):
        escape = _escape_of(chunk) if index else b""
        if escape:
            element = _ESCAPES[escape]
            g0, g1 = (element, g1) if element.is_g0 or element is ASCII else (ASCII, element)
        text = chunk[len(escape) :]
        if g0.is_g0:
            parts.append(_decode_pairs(text, g0))
            continue
        for piece in _pieces(text, delimiters):
            parts.append(piece.decode(g1.codec, "replace"))
            if piece[-1] in delimiters and first is not ASCII:
                g1 = first
    return "".join(parts)


def encode(text: str, elements: Sequence[Element], is_name: bool = False) -> bytes:
    """Write *text* with *elements*, the first of which needs no escape; raise UnicodeEncodeError for what fits none."""
    delimiters = _delimiters(is_name)
    parts: list[bytes] = []
    for is_delimiter, characters in groupby(text, delimiters.__contains__):
        piece = "".join(characters)
        parts.append(piece.encode() if is_delimiter else _encode_piece(piece, elements))
    return b"".join(parts)


def encode_single(text: str, codec: str) -> bytes:
    """Write *text* in one character set; in JIS X 0201 only what is one byte wide."""
    if codec == "shift_jis":
        for at, character in enumerate(text):
            if not (character.isascii() or "\uff61" <= character <= "\uff9f"):
                raise UnicodeEncodeError(codec, text, at, at + 1, "not in JIS X 0201")
    return text.encode(codec)


def _delimiters(is_name: bool) -> str:
    return CONTROLS + "\\" + ("^=" if is_name else "")


def _escape_of(chunk: bytes) -> bytes:
    return next((chunk[:n] for n in (2, 3) if chunk[:n] in _ESCAPES), b"")


def _pieces(text: bytes, delimiters: bytes) -> Iterator[bytes]:
    """Cut after each delimiter."""
    start = 0
    for at, byte in enumerate(text):
        if byte in delimiters:
            yield text[start : at + 1]
            start = at + 1
    if start < len(text):
        yield text[start:]


def _decode_pairs(text: bytes, element: Element) -> str:
    return (ESC + element.escape + text).decode(element.codec, "replace")


def _encode_piece(piece: str, elements: Sequence[Element]) -> bytes:
    """Write one piece between delimiters: it begins and ends in the first set."""
    home = ESC + (b"(J" if elements[0] is KATAKANA else b"(B")
    g0, g1 = ASCII, elements[0]
    parts: list[bytes] = []
    for character in piece:
        element, raw = _element_for(character, g1, elements)
        if g0.is_g0 and not element.is_g0:
            parts.append(home)
            g0 = ASCII
        if element not in (g0, g1):
            parts.append(ESC + element.escape)
            g0, g1 = (element, g1) if element.is_g0 else (g0, element)
        parts.append(raw)
    if g0.is_g0:
        parts.append(home)
    return b"".join(parts)


def _element_for(character: str, current: Element, elements: Sequence[Element]) -> tuple[Element, bytes]:
    if character.isascii():
        return ASCII, character.encode()
    for element in (current, *elements):
        try:
            return element, _encode_character(character, element)
        except UnicodeEncodeError:
            continue
    raise UnicodeEncodeError("iso2022", character, 0, 1, "in none of the character sets")


def _encode_character(character: str, element: Element) -> bytes:
    if not element.is_g0:
        return encode_single(character, element.codec)
    raw = character.encode(element.codec)
    if not raw.startswith(ESC + element.escape):
        raise UnicodeEncodeError(element.codec, character, 0, 1, "in another set of the codec")
    return raw[1 + len(element.escape) : -3]
