"""A message without its patient: every name, number, address and free text replaced, its structure kept byte for byte.

One value has one pseudonym under one key, whatever the field and the message: what belonged together still does.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

from broker.hl7 import dictionary
from broker.hl7.charset import decode
from broker.hl7.message import HEADERS, NULL, Message, Segment

Kind = Literal["keep", "word", "birth", "uid"]
"""What a text is: kept as it is, replaced letter by letter, a birth date whose year is kept, or a UID."""

_WHOLE: Mapping[str, Kind] = {
    **dict.fromkeys(("PID-7", "PID-29", "NK1-16", "IN1-18", "GT1-8", "IN2-63"), "birth"),
    **dict.fromkeys(("ZDS-1", "IPC-3"), "uid"),
    **dict.fromkeys(
        ("PID-2", "PID-4", "PID-19", "PID-20", "PID-23", "OBR-13", "OBR-18", "OBR-19", "OBR-20", "OBR-21", "OBR-39",
         "OBX-5", "NTE-3", "IPC-1", "IPC-2", "IPC-4", "DG1-4", "PV1-5", "MRG-1", "MRG-4"),
        "word",
    ),
}  # fmt: skip
"""Fields of a kind of their own, with all their components but the authorities of numbers."""

_BY_TYPE: Mapping[str, tuple[int, ...]] = {
    "XPN": (1, 2, 3), "PPN": (1, 2, 3, 4), "PN": (1, 2, 3), "XCN": (1, 2, 3, 4), "CNN": (1, 2, 3, 4), "CN": (1, 2, 3, 4),
    "NDL": (1,), "CX": (1,), "EI": (1,), "EIP": (1, 2), "XAD": (1, 2, 3, 4, 5, 8, 9), "AD": (1, 2, 3, 4, 5),
    "XTN": (1, 3, 4, 5, 6, 7, 8, 9, 12), "TN": (1,), "DLN": (1,), "FT": (1,), "TX": (1,), "CM": (1, 2),
}  # fmt: skip
"""Of other fields, by datatype: the components that say who somebody is."""

_PERSONAL = frozenset({"PID", "NK1", "GT1", "IN1", "IN2", "IN3", "PD1", "MRG", "ACC", "STF"})
"""Segments whose plain texts are about a person."""

_MEASURES = frozenset({"NM", "CE", "CWE", "SN", "DT", "TM", "TS"})
"""Types of OBX-2 whose OBX-5 is kept: weights, heights, codes."""

_AUTHORITY = {"CX": 4, "EI": 2}
_MOMENT = re.compile(r"(19|20)\d{6}(\d{2,6})?([+-]\d{4})?|\d{1,2}[./-]\d{1,2}[./-](19|20)\d\d( \d\d:\d\d(:\d\d)?)?")
_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"
_SCRIPTS = {"LATIN": "áéíóúñü", "CYRILLIC": "абвгдежз", "GREEK": "αβγδεζηθ", "CJK": "山田川木本花", "HIRAGANA": "あいうえお",
            "KATAKANA": "アイウエオ", "HALFWIDTH": "ｱｲｳｴｵ", "HANGUL": "가나다라마", "ARABIC": "ابتجد", "HEBREW": "אבגדה",
            "THAI": "กขคงจ"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Gives pseudonyms under a secret *key* of 16 bytes or more."""

    key: bytes

    def message(self, raw: bytes, charsets: Sequence[str] = ("UTF-8", "windows-1252")) -> bytes:
        """Replace what is personal in *raw*, a message with CR at the end of its segments.

        Raise BrokerError H001, H002 when it is no HL7 message.
        """
        decoded = decode(raw, list(charsets))
        text, codec = decoded.text, decoded.codec
        if text.encode(codec, "replace") != raw:
            text, codec = raw.decode("latin-1"), "latin-1"
        message = Message.parse(text, codec)
        lines = {segment.text: self._segment(segment) for segment in message.segments}
        parts = re.split(r"([\r\n]+)", text)
        return "".join(lines.get(part, part) for part in parts).encode(codec, "replace")

    def _segment(self, segment: Segment) -> str:
        if segment.name in HEADERS:
            return segment.text
        marks = segment.separators
        fields = segment.text.split(marks.field)
        for number in range(1, len(fields)):
            if fields[number] and fields[number] != NULL:
                repetitions = _cut(fields[number], marks.repetition)
                fields[number] = marks.repetition.join(self._field(segment, number, one) for one in repetitions)
        return marks.field.join(fields)

    def _field(self, segment: Segment, number: int, repetition: str) -> str:
        marks = segment.separators
        components = _cut(repetition, marks.component)
        for index, component in enumerate(components):
            kind = _kind(segment, number, index + 1)
            if kind != "keep":
                pieces = _cut(component, marks.subcomponent)
                components[index] = marks.subcomponent.join(self._text(kind, piece, marks.escape) for piece in pieces)
        return marks.component.join(components)

    def _text(self, kind: Kind, text: str, escape: str) -> str:
        """Replace *text* but for its escape sequences, which belong to the structure."""
        if not escape or escape not in text:
            return self.pseudonym(kind, text)
        parts = text.split(escape)
        return escape.join(self.pseudonym(kind, part) if n % 2 == 0 else part for n, part in enumerate(parts))

    def pseudonym(self, kind: Kind, text: str) -> str:
        """Give the pseudonym of one text: as long, digits for digits, capitals for capitals."""
        if kind == "birth":
            return self._birth_date(text)
        numbers = self._numbers(text)
        if kind == "uid":
            return ".".join(self._arc(arc, numbers) if n > 1 else arc for n, arc in enumerate(text.split(".")))
        return "".join(_letter(character, next(numbers)) for character in text)

    def _birth_date(self, text: str) -> str:
        numbers = self._numbers(text)
        month, day = next(numbers) % 12 + 1, next(numbers) % 28 + 1
        if re.fullmatch(r"\d{8}.*", text):
            return f"{text[:4]}{month:02d}{day:02d}{text[8:]}"
        parts = iter((day, month))
        return re.sub(
            r"(?<!\d)\d{1,2}(?!\d)", lambda found: f"{next(parts, 1):0{len(found[0])}d}"[-len(found[0]) :], text
        )

    def _arc(self, arc: str, numbers: Iterator[int]) -> str:
        first = str(next(numbers) % 9 + 1) if arc[:1] not in ("", "0") else arc[:1]
        return first + "".join(_letter(character, next(numbers)) for character in arc[1:])

    def _numbers(self, text: str) -> Iterator[int]:
        """Give a stream of numbers that depends on the key and on *text*, whatever its case."""
        return cycle(hmac.digest(self.key, text.casefold().encode("utf-8", "replace"), "sha512"))


def _cut(text: str, mark: str) -> list[str]:
    return text.split(mark) if mark else [text]


def _letter(character: str, number: int) -> str:
    if character.isdecimal() and character.isascii():
        return str(number % 10)
    if not character.isalpha():
        return character
    if not character.isascii():
        script = unicodedata.name(character, "LATIN").partition(" ")[0].partition("-")[0]
        letters = _SCRIPTS.get(script, _SCRIPTS["LATIN"])
        return letters[number % len(letters)]
    letters = _VOWELS if character.lower() in _VOWELS else _CONSONANTS
    found = letters[number % len(letters)]
    return found.upper() if character.isupper() else found


def _kind(segment: Segment, number: int, component: int) -> Kind:
    name = f"{segment.name}-{number}"
    if segment.name.startswith("Z") and name not in _WHOLE:
        return _guessed(segment, number, component)
    found = dictionary.field(segment.name, number)
    datatype = found.datatype if found else "ST"
    if name == "OBX-5":
        return "keep" if segment.value(2) in _MEASURES else "word"
    if name in _WHOLE:
        return "keep" if component >= _AUTHORITY.get(datatype, 99) else _WHOLE[name]
    if datatype in _BY_TYPE:
        return "word" if component in _BY_TYPE[datatype] else "keep"
    return "word" if segment.name in _PERSONAL and datatype in ("ST", "SSN") else "keep"


def _guessed(segment: Segment, number: int, component: int) -> Kind:
    """Keep of a site's own segments what can be a code or a moment; the rest may be anything."""
    text = segment.value(number, 1, component)
    return "keep" if len(text) <= 3 or _MOMENT.fullmatch(text) else "word"
