"""Text into what a DICOM VR can hold (PS3.5 6.2), cleaning steps, and codes; what does not fit says why."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from hashlib import sha1
from uuid import UUID

from broker.mapping.syntax import Clean

LIMITS = {"AE": 16, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "ST": 1024, "LT": 10240, "UI": 64, "PN": 64}
INTEGERS = {
    "IS": (-(2**31), 2**31 - 1),
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1),
}
LONG_TEXTS = frozenset({"LT", "ST", "UT"})
PLAIN_TEXTS = LONG_TEXTS | {"LO", "SH", "UC", "UR", "PN"}
DEFAULT_SCHEME = "L"
"""Coding scheme designator of a code that came without one: local (PS3.16 section 8, HL7 table 0396)."""

UID_NAMESPACE = UUID("8e1b1a7e-0c55-5d0e-9d0b-5b6f7261642e")

_UUID_FIXED, _UUID_VERSION_5 = 0xF000 << 64 | 0xC000 << 48, 0x5000 << 64 | 0x8000 << 48
"""The bits of version and variant, and what they are in a UUID made of a name by SHA-1."""

Check = Callable[[str], str]

_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
"""Components with leading zeros are against PS3.5 9.1, and senders that make UIDs of padded numbers work all the same."""
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_CODE_STRING = re.compile(r"[A-Z0-9 _]*")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,12}")
_AGE = re.compile(r"[0-9]{3}[DWMY]")
_LINE_MARKS = {ord("\\"): "/", ord("\r"): " ", ord("\n"): " ", ord("\t"): " "}


class Unfit(Exception):
    """A value that its attribute cannot hold; *mended* is what could be sent instead, empty when nothing could.

    *hint* says what to do where that is not to send a value that fits; *hl7_code* is of HL7 table 0357.
    """

    def __init__(self, message: str, mended: str = "", *, hint: str = "", hl7_code: str = "102") -> None:
        super().__init__(message)
        self.message = message
        self.mended = mended
        self.hint = hint
        self.hl7_code = hl7_code


def shown(text: str) -> str:
    """Quote a value for a message, cut after 30 characters."""
    return f"'{text}'" if len(text) <= 30 else f"'{text[:17]}…'"


def cut(text: str, limit: int) -> str:
    """Cut to *limit* characters, not between a letter and its accents."""
    if len(text) <= limit:
        return text
    while limit > 0 and unicodedata.combining(text[limit]):
        limit -= 1
    return text[:limit].rstrip()


def check_of(vr: str) -> Check:
    """Give the function that makes a text fit *vr*; it raises Unfit."""
    if vr in INTEGERS:
        return lambda text: _integer(text, vr)
    special: dict[str, Check] = {
        "UI": _uid,
        "DS": _decimal,
        "CS": _code_string,
        "AS": _age,
        "AE": _ae_title,
        "PN": _name,
    }
    return special.get(vr) or (_long_text(vr) if vr in LONG_TEXTS else _line(vr))


def plain_limit(vr: str) -> int:
    """Say how long a text of letters and digits alone may be that *vr* holds as it is; 0: it has to be looked at."""
    return LIMITS.get(vr, 2**31) if vr in PLAIN_TEXTS else 0


def _line(vr: str) -> Check:
    limit = LIMITS.get(vr, 2**31)

    def check(text: str) -> str:
        if text.isalnum() and len(text) <= limit:
            return text
        if text.isprintable() and "\\" not in text:
            return _limited(text.strip(), vr, limit)
        mended = printable(text.translate(_LINE_MARKS)).strip()
        raise Unfit(f"{shown(text)} has characters that {vr} forbids", cut(mended, limit))

    return check


def _long_text(vr: str) -> Check:
    limit = LIMITS.get(vr, 2**31)

    def check(text: str) -> str:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
        if not lines.isprintable():
            clean = "\n".join(printable(line.replace("\t", " ")) for line in lines.split("\n"))
            lines = clean.replace("\n", "\r\n")
        return _limited(lines, vr, limit)

    return check


def _limited(text: str, vr: str, limit: int) -> str:
    if len(text) > limit:
        raise Unfit(f"{shown(text)} has {len(text)} characters, {vr} allows {limit}", cut(text, limit), hl7_code="104")
    return text


def printable(text: str) -> str:
    """Leave out control characters."""
    if text.isprintable():
        return text
    return "".join(character for character in text if character.isprintable() or character == "\u3000")


def _name(text: str) -> str:
    if len(text) <= LIMITS["PN"] and text.replace("^", "", 4).isalnum():
        return text
    if not text.isprintable() or "\\" in text:
        raise Unfit(f"{shown(text)} has characters that PN forbids", cut_name(printable(text.translate(_LINE_MARKS))))
    name = text.strip()
    if len(name) > LIMITS["PN"] or name.count("=") > 2 or name.count("^") > 4:
        mended = cut_name(name)
        if mended != name:
            raise Unfit(f"{shown(name)} is longer than PN allows (64 characters, five parts)", mended)
    return name


def cut_name(name: str) -> str:
    """Cut a person name to three groups of five parts and 64 characters each."""
    groups = name.split("=")[:3]
    return "=".join(cut("^".join(group.split("^")[:5]), LIMITS["PN"]).rstrip("^ ") for group in groups)


def _uid(text: str) -> str:
    uid = text.strip(" \0")
    if len(uid) > LIMITS["UI"]:
        raise Unfit(f"{shown(uid)} has {len(uid)} characters, UI allows 64", hl7_code="104")
    if not _UID.fullmatch(uid):
        raise Unfit(f"{shown(uid)} is not a UID")
    return uid


def _decimal(text: str) -> str:
    number = text.strip()
    if number.count(",") == 1 and "." not in number:
        number = number.replace(",", ".")
    if not _NUMBER.fullmatch(number) or len(number) > 64:
        raise Unfit(f"{shown(text)} is not a number")
    return number if len(number) <= LIMITS["DS"] else f"{float(number):.9g}"


def _integer(text: str, vr: str) -> str:
    number = text.strip()
    lowest, highest = INTEGERS[vr]
    if not _WHOLE_NUMBER.fullmatch(number) or not lowest <= int(number) <= highest:
        raise Unfit(f"{shown(text)} is not a whole number that {vr} can hold")
    return str(int(number))


def _code_string(text: str) -> str:
    if text.isalnum() and text.isupper() and text.isascii() and len(text) <= LIMITS["CS"]:
        return text
    code = text.strip().upper()
    if not _CODE_STRING.fullmatch(code):
        raise Unfit(f"{shown(text)} has characters that CS forbids")
    if len(code) > LIMITS["CS"]:
        raise Unfit(f"{shown(text)} has {len(code)} characters, CS allows 16", hl7_code="104")
    return code


def _age(text: str) -> str:
    age = text.strip().upper().zfill(4)
    if not _AGE.fullmatch(age):
        raise Unfit(f"{shown(text)} is not an age")
    return age


def _ae_title(text: str) -> str:
    title = text.strip()
    if not title.isascii() or not title.isprintable() or "\\" in title:
        raise Unfit(f"{shown(text)} has characters that AE forbids")
    if len(title) > LIMITS["AE"]:
        raise Unfit(f"{shown(title)} has {len(title)} characters, AE allows 16", hl7_code="104")
    return title


def code_item(value: str, meaning: str, scheme: str) -> dict[str, str] | None:
    """Make a code item (PS3.3 8.8); a value of more than 16 characters goes to Long Code Value."""
    value = _in_line(value)
    if not value:
        return None
    return {
        "CodeValue" if len(value) <= LIMITS["SH"] else "LongCodeValue": value,
        "CodingSchemeDesignator": cut(_in_line(scheme) or DEFAULT_SCHEME, LIMITS["SH"]),
        "CodeMeaning": cut(_in_line(meaning) or value, LIMITS["LO"]),
    }


def _in_line(text: str) -> str:
    return text if text.isalnum() else printable(text.translate(_LINE_MARKS)).strip()


def stable_uid(parts: Sequence[str]) -> str:
    """Make the UID that always follows from *parts* (PS3.5 B.2: 2.25 and a UUID, here version 5, RFC 4122 4.3)."""
    digest = sha1(UID_NAMESPACE.bytes + chr(31).join(parts).encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16], "big")
    return f"2.25.{number & ~_UUID_FIXED | _UUID_VERSION_5}"


def cleaner(steps: Sequence[Clean]) -> Check:
    """Put cleaning steps together."""
    functions = [_cleaning(step) for step in steps]

    def clean(text: str) -> str:
        for function in functions:
            text = function(text)
        return text

    return clean


def _cleaning(step: Clean) -> Check:
    value = step.value
    match step.name:
        case "trim":
            return str.strip
        case "upper":
            return str.upper
        case "digits":
            return lambda text: "".join(character for character in text if character in "0123456789")
        case "remove":
            return lambda text: text.replace(value, "")
        case "remove_prefix":
            return lambda text: text.removeprefix(value)
        case "pad_left":
            return lambda text: text.zfill(step.number) if text else text
        case "first":
            return lambda text: text[: step.number]
        case _:
            return lambda text: text[-step.number :]
