"""The delimiters of a message, and text with and without their escapes (HL7 2.5.1 section 2.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from broker.errors import BrokerError

NULL = '""'
"""The value by which a sender deletes what the receiver has (HL7 2.5.1 section 2.5.3); an absent value is ``''``."""

LINE_BREAK = ".br"


@dataclass(frozen=True, slots=True, kw_only=True)
class Separators:
    """The delimiters of one message; ``''`` stands for one that it does not declare."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding(self) -> str:
        """MSH-2 as it is written."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


STANDARD = Separators()


@lru_cache(maxsize=256)
def read_separators(field: str, encoding: str) -> Separators:
    """Make the delimiters that MSH-1 and MSH-2 declare; an empty MSH-2 means the recommended ``^~\\&``.

    Raise BrokerError H002 (AR, 100) when letters or digits would be delimiters: then a field was left out.
    """
    if any(character.isalnum() for character in encoding[:5]):
        raise BrokerError(
            "MSH-2 holds letters or digits instead of the encoding characters",
            code="H002",
            hint="begin the message with MSH|^~\\&|",
            ack="AR",
            hl7_code="100",
            location="MSH^1^2",
        )
    if not encoding.strip():
        return Separators(field=field)
    declared = encoding.replace("\\\\", "\\", 1)  # a doubled backslash is a slip of the sender's program
    distinct = [
        "" if character == field or character in declared[:place] or character == " " else character
        for place, character in enumerate(declared[:5].ljust(5))
    ]
    component, repetition, escape, subcomponent, truncation = distinct
    declared_ones = Separators(
        field=field,
        component=component,
        repetition=repetition,
        escape=escape,
        subcomponent=subcomponent,
        truncation=truncation,
    )
    return STANDARD if declared_ones == STANDARD else declared_ones


def escape(text: str, separators: Separators = STANDARD) -> str:
    """Write *text* so that a reader gets it back: delimiters escaped, line ends (CR, LF, CRLF) as ``\\.br\\``.

    Other control characters become ``\\Xhh\\``, so that no text can end a segment or an MLLP frame. A message that
    declares no escape character gets spaces in their stead.
    """
    return text.replace("\r\n", "\n").translate(_escapes(separators))


@lru_cache(maxsize=64)
def _escapes(separators: Separators) -> Mapping[int, str]:
    mark = separators.escape
    bodies = {chr(code): f"X{code:02X}" for code in range(32) if code != 9}
    bodies |= {"\r": LINE_BREAK, "\n": LINE_BREAK}
    bodies |= {character: letter for letter, character in _letters(separators).items()}
    return {ord(character): f"{mark}{body}{mark}" if mark else " " for character, body in bodies.items()}


def _letters(separators: Separators) -> dict[str, str]:
    letters = {
        "F": separators.field,
        "S": separators.component,
        "T": separators.subcomponent,
        "R": separators.repetition,
        "E": separators.escape,
        "P": separators.truncation,
    }
    return {letter: character for letter, character in letters.items() if character}


@lru_cache(maxsize=64)
def _replacements(separators: Separators) -> Mapping[str, str]:
    breaks = {LINE_BREAK: "\n", LINE_BREAK.upper(): "\n"}
    return {**_letters(separators), **breaks, "H": "", "N": ""}


@lru_cache(maxsize=64)
def _known_escapes(separators: Separators) -> re.Pattern[str]:
    """Match a known escape, or neighbouring hexadecimal ones; possessive, so that nothing is read twice."""
    mark = re.escape(separators.escape)
    bodies = "|".join(re.escape(body) for body in _replacements(separators))
    return re.compile(f"{mark}({bodies}){mark}|(?:{mark}X(?:[0-9A-Fa-f]{{2}})++{mark})++")


def unescape(raw: str, separators: Separators = STANDARD, codec: str = "utf-8") -> str:
    """Give the text that *raw* stands for, in linear time; escapes that nobody knows stay as they are.

    ``\\Xhh..\\`` holds bytes in the message's *codec*; neighbouring ones are joined, so that a character may be spread over them.
    """
    mark = separators.escape
    if not mark or mark not in raw:
        return raw
    known = _replacements(separators)

    def text(found: re.Match[str]) -> str:
        if found[1]:
            return known[found[1]]
        return bytes.fromhex(found[0].replace(mark, "").replace("X", "")).decode(codec, "replace")

    return _known_escapes(separators).sub(text, raw)
