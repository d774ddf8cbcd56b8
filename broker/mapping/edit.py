"""Changing single fields of a sample, so that a test is three lines: ``change: {OBR-18: ''}``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from broker.errors import BrokerError
from broker.hl7.message import HEADERS, Message
from broker.hl7.path import Path, parse_path
from broker.hl7.separators import Separators


def edited(text: str, changes: Sequence[tuple[str, str]]) -> str:
    """Give *text* with fields written anew, as they stand in a message; a segment's name alone removes it.

    Raise BrokerError H010 for what is no path, M071 for a segment that is not there.
    """
    if not changes:
        return text
    message = Message.parse(text)
    lines = [segment.text for segment in message.segments]
    for name, value in changes:
        if re.fullmatch(r"[A-Z][A-Z0-9]{2}", name):
            for segment in message.named(name):
                lines[segment.index] = ""
            continue
        path = parse_path(name)
        found = message.named(path.segment)
        if path.occurrence > len(found):
            raise BrokerError(f"the sample has no {path.segment} to change", code="M071", hint="take another sample")
        index = found[path.occurrence - 1].index
        lines[index] = _with_field(lines[index], path, value, message.separators)
    return "\r".join(line for line in lines if line)


def _with_field(line: str, path: Path, value: str, separators: Separators) -> str:
    shift = 1 if path.segment in HEADERS else 0
    if not path.component:
        return _replaced(line, separators.field, path.field - shift, value)
    fields = line.split(separators.field)
    number = path.field - shift
    old = fields[number] if number < len(fields) else ""
    return _replaced(line, separators.field, number, _replaced(old, separators.component, path.component - 1, value))


def _replaced(text: str, mark: str, place: int, value: str) -> str:
    parts = text.split(mark)
    parts += [""] * (place + 1 - len(parts))
    parts[place] = value
    return mark.join(parts)
