"""Specific Character Set (0008,0005): its defined terms, text to bytes and back, and which set an answer is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from broker.dicom.iso2022 import ELEMENTS, ESC, Element, decode, encode, encode_single
from broker.domain.text import transliterate
from broker.errors import BrokerError

_WHOLE = {"192": "utf-8", "GB18030": "gb18030", "GBK": "gbk"}
"""Sets without code extension (PS3.3 Table C.12-5) and their Python codecs."""

_ALIASES = {
    "UTF8": "192",
    "UTF-8": "192",
    "ISO 2022 GBK": "GBK",
    "ISO8859-1": "100",
    "ISO-8859-1": "100",
    "LATIN1": "100",
}
_TERM = re.compile(r"ISO[ _-]*(2022)?[ _-]*(?:IR)?[ _-]*(\d+)")


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """One value of (0008,0005): *terms* as they are written there, none for the default repertoire.

    *codec* is Python's for text without escape sequences; *elements* are those of code extension, the first at rest.
    """

    terms: tuple[str, ...] = ()
    codec: str = "ascii"
    elements: tuple[Element, ...] = (ELEMENTS["6"],)

    def decode(self, raw: bytes, is_name: bool = False) -> str:
        """Read *raw*; what cannot be read becomes U+FFFD. Undeclared text is UTF-8 if it can be, else windows-1252."""
        if ESC in raw and self.elements:
            return decode(raw, self.elements[0], is_name)
        if raw.isascii() or self.codec != "ascii":
            return raw.decode(self.codec, "replace")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("windows-1252", "replace")

    def encode(self, text: str, is_name: bool = False) -> bytes:
        """Write *text*; raise UnicodeEncodeError for a character that the set has not."""
        if text.isascii():
            return text.encode()
        if len(self.elements) > 1:
            return encode(text, self.elements, is_name)
        return encode_single(text, self.codec)

    def encode_plain(self, text: str, is_name: bool = False) -> bytes:
        """Write *text*, transliterated where the set has not its characters, at the worst as ``?``."""
        try:
            return self.encode(text, is_name)
        except UnicodeEncodeError:
            return self.encode("".join(map(self._plain, text)), is_name)

    def fits(self, text: str) -> bool:
        """Say whether all of *text* can be written."""
        try:
            self.encode(text)
        except UnicodeEncodeError:
            return False
        return True

    def _plain(self, character: str) -> str:
        return next((one for one in (character, transliterate(character)) if self.fits(one)), "?")


@lru_cache(maxsize=256)
def get_charset(*terms: str) -> CharacterSet:
    """Get the set of the *terms* of (0008,0005), common misspellings included; raise BrokerError D020 for another.

    A second term and more mean code extension; those that allow none (ISO_IR 192, GB18030, GBK) stand alone.
    """
    numbers = [_number(term) for term in terms]
    if not numbers or numbers == ["6"]:
        return DEFAULT
    first = numbers[0]
    if first in _WHOLE:
        return CharacterSet((f"ISO_IR {first}" if first == "192" else first,), _WHOLE[first], ())
    elements = tuple(ELEMENTS[number] for number in numbers if number in ELEMENTS)
    if len(elements) == 1 and not elements[0].is_multibyte:
        return CharacterSet((f"ISO_IR {first}",), elements[0].codec, elements)
    if elements[0].is_multibyte:
        return get_charset("", *terms)
    written = [f"ISO 2022 IR {number}" for number in numbers if number in ELEMENTS]
    return CharacterSet(("" if first == "6" else written[0], *written[1:]), elements[0].codec, elements)


def find_charset(terms: Sequence[str]) -> CharacterSet:
    """Find the set of *terms* that somebody else wrote: the default where they mean nothing."""
    try:
        return get_charset(*terms)
    except BrokerError:
        return DEFAULT


def choose_charset(text: str, node: CharacterSet | None, asked: CharacterSet) -> CharacterSet:
    """Choose the set of an answer that holds *text* (policy: worklist 4).

    The *node*'s setting; else none for ASCII; else the one *asked* in if all fits; else ISO_IR 100; else ISO_IR 192.
    """
    if node is not None:
        return node
    if text.isascii():
        return DEFAULT
    return next((one for one in (asked, LATIN_1) if one.fits(text)), UTF_8)


def _number(term: str) -> str:
    plain = term.strip().upper()
    known = _ALIASES.get(plain, plain)
    match = _TERM.fullmatch(known)
    number = match[2] if match else known or "6"
    if number not in ELEMENTS and number not in _WHOLE:
        raise BrokerError(
            f"{term[:40]!r} is no character set of DICOM",
            code="D020",
            hint="take a defined term of (0008,0005), e.g. ISO_IR 100 or ISO_IR 192",
        )
    return number


DEFAULT = CharacterSet()
LATIN_1 = get_charset("ISO_IR 100")
UTF_8 = get_charset("ISO_IR 192")
