"""Person names: HL7's XPN and XCN, DICOM's PN (PS3.5 6.2.1), and names written in one field."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from broker.mapping.convert import printable

WORDS = ("Last", "First", "Middle", "Prefix", "Suffix")
"""The words of a name format, in the order of a PN's parts."""

_MARKS = {ord("\\"): " ", ord("\r"): " ", ord("\n"): " ", ord("\t"): " ", ord("^"): " ", ord("="): " "}


def name_of(parts: Sequence[str], first: int) -> str:
    """Make a PN of the parts of an XPN (*first* 0) or XCN, CNN (1): HL7 has suffix before prefix, DICOM the reverse."""
    picked = [part if not part or part.isalnum() else name_part(part) for part in parts[first : first + 6]]
    picked += [""] * (6 - len(picked))
    family, given, middle, suffix, prefix, degree = picked
    if degree:
        suffix = f"{suffix} {degree}".strip()
    return "^".join((family, given, middle, prefix, suffix)).rstrip("^")


def name_part(text: str) -> str:
    """Make *text* fit to be one part of a PN."""
    return printable(text.translate(_MARKS)).strip()


def name_parts(name: str, first: int) -> list[str]:
    """Make the components of an XPN (*first* 0) or XCN (1) of a DICOM name's first group."""
    parts = [*name.split("=")[0].split("^"), "", "", "", "", ""]
    family, given, middle, prefix, suffix = parts[:5]
    return [""] * first + [family, given, middle, suffix, prefix]


def name_reader(pattern: str) -> Callable[[str], str] | None:
    """Make the reader of a format like ``Last, First``; None when *pattern* is none.

    A text that lacks a separator of the format is all of the word before it.
    """
    words = re.findall("|".join(WORDS), pattern)
    if not words or len(set(words)) != len(words):
        return None
    separators = [between.strip() or " " for between in re.split("|".join(WORDS), pattern)[1:-1]]

    def read(text: str) -> str:
        found: dict[str, str] = {}
        rest = text.strip()
        for word, separator in zip(words, [*separators, ""], strict=True):
            found[word], _, rest = rest.partition(separator) if separator else (rest, "", "")
            rest = rest.strip()
        return "^".join(name_part(found.get(word, "")) for word in WORDS).rstrip("^")

    return read
