"""Text as people compare it: without case and accents; and as old devices can show it: transliterated."""

from __future__ import annotations

import unicodedata

_LETTERS = {
    "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l", "Đ": "D", "đ": "d",
    "Ð": "D", "ð": "d", "Þ": "Th", "þ": "th", "ß": "ss", "ẞ": "SS", "ı": "i", "Ħ": "H", "ħ": "h", "Ŧ": "T",
    "ŧ": "t", "Ŋ": "N", "ŋ": "n", "ĸ": "k", "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"',
    "–": "-", "—": "-", "‐": "-", "‑": "-", "€": "EUR", "«": '"', "»": '"',
}  # fmt: skip


def _bare(text: str) -> str:
    """Decompose and drop the accents of European scripts (U+0300-036F); marks of other scripts tell words apart."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not "\u0300" <= c <= "\u036f")


_PLAIN = str.maketrans({chr(code): _bare(chr(code)) for code in range(0xC0, 0x250)} | _LETTERS)
"""Latin letters without their accents, all at once: names are compared often."""


def fold(text: str) -> str:
    """Fold *text* for comparison: no case, no accents, one form for full and half width."""
    if text.isascii():
        return text.lower()
    plain = text.translate(_PLAIN)
    return plain.lower() if plain.isascii() else unicodedata.normalize("NFC", _bare(plain)).casefold()


def transliterate(text: str) -> str:
    """Write *text* with plain letters where there is a usual way (é as e, ß as ss, ł as l); the rest stays."""
    return unicodedata.normalize("NFC", _bare(text.translate(_PLAIN)))


def name_groups(name: str) -> tuple[str, ...]:
    """Split a person's name into its component groups, each folded, with trimmed components and no trailing ``^``.

    The groups are alphabetic, ideographic, phonetic (PS3.5 6.2.1.1); those that are missing are left out at the end.
    """
    return tuple(_folded_group(group) for group in name.split("="))


def name_key(name: str) -> str:
    """Give the folded alphabetic group of *name*: what a store indexes for ``Criteria.name_prefix``."""
    return _folded_group(name.split("=", 1)[0])


def _folded_group(group: str) -> str:
    folded = fold(group)
    if " " in folded:
        folded = "^".join(component.strip() for component in folded.split("^"))
    return folded.rstrip("^")
