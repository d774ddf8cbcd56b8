"""Acknowledgements in original mode (HL7 2.5.1 section 2.9.2): MSH, MSA and ERR in the sender's own delimiters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from broker.errors import BrokerError
from broker.hl7.message import Message, Segment
from broker.hl7.separators import escape

Code = Literal["AA", "AE", "AR"]

CONDITIONS = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "104": "Value too long",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing ID",
    "203": "Unsupported version ID",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""HL7 table 0357."""

SALVAGED = "cp1252"
"""What the header of an unreadable message is read with: it takes nearly any byte."""

_EMPTY_HEADER = "MSH|^~\\&|||||||||P|2.5.1"
_TEXT_LIMIT = 80
"""Length of MSA-3 before 2.5 (HL7 2.4 section 2.16.8.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AckError:
    """One fault to tell: *location* as ``SEG^n^field^component``, *code* of table 0357, *text* what is wrong, *hint* what to do.

    *problem* is the broker's own code for it.
    """

    location: str = ""
    code: str = "207"
    text: str
    hint: str = ""
    problem: str = ""

    @classmethod
    def of(cls, error: BrokerError) -> AckError:
        """Tell *error*."""
        return cls(
            location=error.location,
            code=error.hl7_code,
            text=error.message,
            hint=error.hint,
            problem=error.code,
        )


def acknowledge(message: Message, code: Code, *, control_id: str, at: datetime, errors: Sequence[AckError] = ()) -> str:
    """Write the answer to *message*; *control_id* is the answer's own MSH-10, *at* an aware time.

    Errors are told as ERR-2 to ERR-8 from version 2.5 on, before that as ERR-1; the first also in MSA-3. With AA
    they count as warnings. Encode the text with ``charset.encode(text, message.codec)``.
    """
    is_old = _is_older(message, (2, 5))
    lines = [_header(message, control_id, at), _msa(message, code, errors, is_old)]
    if errors and is_old:
        lines.append(_old_err(message, errors))
    elif errors:
        lines += [_err(message, error, "W" if code == "AA" else "E") for error in errors]
    return "".join(f"{line}\r" for line in lines)


def refuse_unreadable(raw: bytes, error: AckError, *, control_id: str, at: datetime) -> str:
    """Write the best possible AR for bytes that could not be taken: with whatever their MSH says, if there is one.

    Encode it as ``SALVAGED``: what is copied then goes back as it came.
    """
    return acknowledge(salvage_header(raw), "AR", control_id=control_id, at=at, errors=[error])


def salvage_header(raw: bytes) -> Message:
    """Read the first line of *raw* that is an MSH, however broken the rest; without any, an empty header of version 2.5.1."""
    found = re.search(rb"(?:^|[\r\n\x0b \xbf\xfe\xff])(MSH[^\r\n]{1,4096})", raw[:65536].replace(b"\x00", b""))
    if found:
        try:
            return Message.parse(found[1].decode(SALVAGED, "replace"), SALVAGED)
        except BrokerError:
            pass  # its delimiters are unreadable too
    return Message.parse(_EMPTY_HEADER)


def _header(message: Message, control_id: str, at: datetime) -> str:
    old, separators = message.header, message.separators
    fields = [
        "MSH",
        separators.encoding,
        _copied(old, 5),
        _copied(old, 6),
        _copied(old, 3),
        _copied(old, 4),
        _moment(at),
        "",
        _kind(message),
        _escaped(control_id, message),
        _copied(old, 11) or "P",
        _copied(old, 12) or "2.5.1",
        *("", "", "", "", ""),
        _copied(old, 18),
    ]
    return _line(fields, message)


def _kind(message: Message) -> str:
    """MSH-9: ``ACK``, from version 2.4 on ``ACK^O01^ACK``."""
    if _is_older(message, (2, 4)):
        return "ACK"
    component = message.separators.component
    event = _copied(message.header, 9).split(component)[1:2] if component else []
    return component.join(["ACK", *event, "ACK"][: 1 + 2 * len(event)])


def _msa(message: Message, code: Code, errors: Sequence[AckError], is_old: bool) -> str:
    text = _sentence(errors[0]) if errors else ""
    text = text[:_TEXT_LIMIT] if is_old else text
    return _line(["MSA", code, _copied(message.header, 10), _escaped(text, message)], message)


def _err(message: Message, error: AckError, severity: str) -> str:
    separators = message.separators
    condition = separators.component.join([error.code, CONDITIONS.get(error.code, ""), "HL70357"])
    problem = separators.component.join([error.problem, "", "L"]) if error.problem else ""
    text = escape(error.text, separators)
    hint = escape(error.hint or error.text, separators)
    return _line(["ERR", "", _location(message, error.location), condition, severity, problem, "", text, hint], message)


def _old_err(message: Message, errors: Sequence[AckError]) -> str:
    """ERR-1 before 2.5: segment, its number, field, and the code as subcomponents; one repetition per error.

    There is no field for words in it: they are the alternate text of the code, whole where MSA-3 is cut.
    """
    separators = message.separators
    told = []
    for error in errors:
        places = [escape(part, separators) for part in [*error.location.split("^"), "", ""][:3]]
        words = escape(_sentence(error), separators)
        condition = [error.code, CONDITIONS.get(error.code, ""), "HL70357", error.problem, words, "L"]
        code = separators.subcomponent.join(condition) if separators.subcomponent else error.code
        told.append(separators.component.join([*places, code]))
    return _line(["ERR", separators.repetition.join(told) if separators.repetition else told[0]], message)


def _location(message: Message, location: str) -> str:
    """ERR-2 is segment, its number, field, repetition, component (HL7 2.5.1 section 2.A.28)."""
    parts = location.split("^") if location else []
    if len(parts) == 4:
        parts.insert(3, "1")
    return message.separators.component.join(escape(part, message.separators) for part in parts)


def _line(fields: Sequence[str], message: Message) -> str:
    mark = message.separators.field
    return mark.join(fields).rstrip(mark)


def _moment(at: datetime) -> str:
    """Write YYYYMMDDHHMMSS+ZZZZ; strftime takes three times as long."""
    text = at.isoformat(timespec="seconds")
    return f"{text[:4]}{text[5:7]}{text[8:10]}{text[11:13]}{text[14:16]}{text[17:22]}{text[23:25]}"


def _escaped(text: str, message: Message) -> str:
    """Escape *text*; letters and digits are never delimiters."""
    return text if not text or text.isalnum() else escape(text, message.separators)


def _copied(header: Segment, n: int) -> str:
    """Give a field of the header as it was written, without control characters that would break the answer's frame."""
    raw = header.raw(n)
    return raw if raw.isprintable() else "".join(letter for letter in raw if letter >= " ")


def _sentence(error: AckError) -> str:
    return f"{error.text}; {error.hint}" if error.hint else error.text


def _is_older(message: Message, than: tuple[int, int]) -> bool:
    found = _version(message.header.raw(12))
    return found is not None and found < than


@lru_cache(maxsize=256)
def _version(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,2})(?:\.(\d{1,2}))?", text)
    return (int(found[1]), int(found[2] or 0)) if found else None
