"""The data dictionary as the data set reader and writer use it: tags, keywords, value representations (PS3.5 6.2, PS3.6)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from broker.standard import ATTRIBUTES

SINGLE_TEXT = frozenset({"LT", "ST", "UT", "UR"})
"""Text of one value: a backslash is a character of it."""

TEXT = frozenset({"LO", "PN", "SH", "UC"}) | SINGLE_TEXT - {"UR"}
"""Text in the Specific Character Set."""

ASCII = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})

NUMBERS: Mapping[str, str] = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q",
}  # fmt: skip
"""Binary numbers and their `struct` codes."""

LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""In explicit VR: two reserved bytes, then four of length (PS3.5 Table 7.1-1)."""

KNOWN = TEXT | ASCII | frozenset(NUMBERS) | LONG | {"AT"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: *tag* as group * 65536 + element, *key* in an item (the keyword, else ``(gggg,eeee)``), *vr*."""

    tag: int
    key: str
    vr: str


def _standard() -> list[Attribute]:
    return [
        Attribute(tag, keyword, vr.split(" ")[0])
        for tag, (vr, _, _, _, keyword) in ATTRIBUTES.items()
        if keyword and vr != "NONE"
    ]


BY_TAG: Mapping[int, Attribute] = {attribute.tag: attribute for attribute in _standard()}
BY_KEY: Mapping[str, Attribute] = {attribute.key: attribute for attribute in BY_TAG.values()}


def find_by_tag(tag: int) -> Attribute:
    """Find the attribute of *tag*; of one that no dictionary knows only a private creator has a known VR."""
    known = BY_TAG.get(tag)
    if known:
        return known
    group, element = tag >> 16, tag & 0xFFFF
    is_creator = bool(group & 1) and 0x10 <= element <= 0xFF
    return Attribute(tag, f"({group:04x},{element:04x})", "LO" if is_creator else "UN")


def find_by_key(key: str) -> Attribute | None:
    """Find the attribute of a keyword or of ``(gggg,eeee)``."""
    known = BY_KEY.get(key)
    if known or len(key) != 11 or (key[0], key[5], key[10]) != ("(", ",", ")"):
        return known
    try:
        return find_by_tag(int(key[1:5] + key[6:10], 16))
    except ValueError:
        return None


def read_numbers(raw: bytes, vr: str, order: str) -> list[str]:
    """Read binary numbers (US, FD ... AT as ``ggggeeee``) as text; *order* is ``<`` or ``>``; a part left over is dropped."""
    if vr == "AT":
        words = [word for (word,) in struct.iter_unpack(order + "H", raw[: len(raw) // 4 * 4])]
        return [f"{group:04x}{element:04x}" for group, element in zip(words[::2], words[1::2], strict=True)]
    code = order + NUMBERS[vr]
    size = struct.calcsize(code)
    return [str(number) for (number,) in struct.iter_unpack(code, raw[: len(raw) // size * size])]


def write_numbers(texts: list[str], vr: str, order: str) -> bytes:
    """Write what `read_numbers` reads; raise ValueError or struct.error for text that is no such number."""
    if vr == "AT":
        return b"".join(struct.pack(order + "HH", int(text[:4], 16), int(text[4:], 16)) for text in texts)
    number = float if vr in ("FL", "FD") else int
    return b"".join(struct.pack(order + NUMBERS[vr], number(text)) for text in texts)
