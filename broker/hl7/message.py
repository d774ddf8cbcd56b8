"""An HL7 v2 message in its ER7 form, read lazily: segments are split at once, a field when somebody asks for it."""

from __future__ import annotations

import re

from broker.errors import BrokerError
from broker.hl7.path import parse_path
from broker.hl7.separators import NULL, Separators, read_separators, unescape

__all__ = ["NULL", "Message", "Segment"]

HEADERS = frozenset({"MSH", "BHS", "FHS"})
"""Segments whose field 1 is the field separator itself."""

MAX_SEGMENTS = 50_000
"""Far above any order, and low enough for memory: a segment costs some 200 bytes however short it is."""

_LEADING = "\ufeff\x00\x0b \t\r\n"


class Segment:
    """One segment; *text* is the whole as written, *index* its place in the message from 0.

    Fields, repetitions, components and subcomponents count from 1; what is absent is ``''``.
    """

    __slots__ = ("_fields", "_repetitions", "codec", "index", "name", "separators", "text")

    def __init__(self, text: str, index: int, separators: Separators, codec: str) -> None:
        self.name = text[:3] if text[3:4] == separators.field else text.partition(separators.field)[0].strip()
        self.index = index
        self.separators = separators
        self.codec = codec
        self.text = text
        self._fields: list[str] | None = None
        self._repetitions: dict[int, list[str]] | None = None

    def __repr__(self) -> str:
        return f"Segment({self.name!r}, index={self.index})"

    @property
    def fields(self) -> list[str]:
        """The fields as they were written, by number; the name stands at 0. Not to be changed."""
        fields = self._fields
        if fields is None:
            fields = self.text.split(self.separators.field)
            if self.name in HEADERS:
                fields.insert(1, self.separators.field)
            self._fields = fields
        return fields

    @property
    def last_field(self) -> int:
        """The number of the last field that is written."""
        return len(self.fields) - 1

    def raw(self, n: int) -> str:
        """Give field *n* as it was written."""
        fields = self._fields or self.fields
        return fields[n] if 0 < n < len(fields) else ""

    def repetitions(self, n: int) -> list[str]:
        """Give the repetitions of field *n* as they were written; an absent field has none. Not to be changed."""
        raw = self.raw(n)
        if not raw:
            return []
        mark = self.separators.repetition
        if not mark or mark not in raw or self._is_delimiters(n):
            return [raw]
        if self._repetitions is None:
            self._repetitions = {}
        if n not in self._repetitions:
            self._repetitions[n] = raw.split(mark)
        return self._repetitions[n]

    def parts(self, n: int, repetition: int = 1) -> list[str]:
        """Give the components of one repetition as text, of each the first subcomponent; an absent one has none."""
        fields = self._fields or self.fields
        raw = fields[n] if 0 < n < len(fields) else ""
        if raw.isalnum():
            return [raw] if repetition == 1 else []
        marks = self.separators
        if repetition != 1 or marks.repetition in raw:
            raw = self._repetition(n, repetition)
        if not raw:
            return []
        if not marks.component or marks.subcomponent in raw or marks.escape in raw:
            return [
                self.value(n, repetition, component + 1) for component in range(len(self.components(n, repetition)))
            ]
        return raw.split(marks.component)

    def subparts(self, n: int, repetition: int, component: int) -> list[str]:
        """Give the subcomponents of one component as text; an absent one has none."""
        found = self.components(n, repetition)[component - 1 : component]
        mark = self.separators.subcomponent
        pieces = found[0].split(mark) if found and mark else found
        return [unescape(piece, self.separators, self.codec) for piece in pieces]

    def components(self, n: int, repetition: int = 1) -> list[str]:
        """Give the components of one repetition as they were written; an absent one has none."""
        raw = self._repetition(n, repetition)
        if not raw:
            return []
        mark = self.separators.component
        return raw.split(mark) if mark and not self._is_delimiters(n) else [raw]

    def value(self, n: int, repetition: int = 1, component: int = 0, subcomponent: int = 0) -> str:
        """Give the text at one place: ``''`` when missing, ``NULL`` when the sender deletes it.

        Component 0 is the whole repetition: text when it has no component separator, else as written. Component 1 of a
        field without components is the field. Subcomponent 0 is the whole component when it has no subcomponents, else
        its first one: that is where older senders have the whole (family name of XPN.1).
        """
        fields = self._fields or self.fields
        raw = fields[n] if 0 < n < len(fields) else ""
        if not raw or (n < 3 and self.name in HEADERS):
            return raw
        separators = self.separators
        if repetition != 1 or separators.repetition in raw:
            raw = self._repetition(n, repetition)
        if component:
            raw = _piece(raw, separators.component, component)
            if subcomponent or separators.subcomponent in raw:
                raw = _piece(raw, separators.subcomponent, subcomponent or 1)
        elif separators.component in raw and separators.component:
            return raw
        return unescape(raw, separators, self.codec) if separators.escape in raw else raw

    def _repetition(self, n: int, repetition: int) -> str:
        if repetition == 1 and not self._is_delimiters(n):
            mark = self.separators.repetition
            return self.raw(n).partition(mark)[0] if mark else self.raw(n)
        found = self.repetitions(n)
        return found[repetition - 1] if 0 < repetition <= len(found) else ""

    def _is_delimiters(self, n: int) -> bool:
        return n < 3 and self.name in HEADERS


def _piece(raw: str, mark: str, n: int) -> str:
    if not mark or mark not in raw:
        return raw if n == 1 else ""
    pieces = raw.split(mark, n)
    return pieces[n - 1] if 0 < n <= len(pieces) else ""


class Message:
    """One message: its segments in order and by name (not to be changed), and the fields of its header."""

    __slots__ = ("by_name", "codec", "header", "segments", "separators")

    def __init__(self, segments: list[Segment], separators: Separators, codec: str) -> None:
        self.segments = segments
        self.separators = separators
        self.codec = codec
        self.header = segments[0]
        self.by_name: dict[str, list[Segment]] = {}
        for segment in segments:
            self.by_name.setdefault(segment.name, []).append(segment)

    @classmethod
    def parse(cls, text: str, codec: str = "utf-8") -> Message:
        """Read *text*; *codec* is what its bytes were decoded with, for ``\\Xhh\\``.

        Segments end with CR, LF or CRLF; blank lines, a byte order mark and white space before MSH are passed over.
        Raise BrokerError (AR, 100): H001 no readable MSH, H002 delimiters unusable, H003 more than one message,
        H004 more than ``MAX_SEGMENTS``.
        """
        text = text.lstrip(_LEADING)
        separators = _delimiters(text)
        if text.count("\r") + text.count("\n") > 2 * MAX_SEGMENTS:
            raise _refused(f"more than {MAX_SEGMENTS} segments", "H004", "send fewer orders in one message", "MSH^1")
        segments: list[Segment] = []
        for line in _lines(text, separators.field):
            if line and line[0] <= " ":
                line = line.lstrip()
            if line:
                segments.append(Segment(line, len(segments), separators, codec))
        message = cls(segments, separators, codec)
        if len(message.named("MSH")) > 1:
            raise _refused("more than one MSH in one frame", "H003", "send each message in a frame of its own", "MSH^2")
        return message

    def named(self, name: str) -> list[Segment]:
        """Give the segments called *name*, in order. Not to be changed."""
        return self.by_name.get(name, [])

    def first(self, name: str) -> Segment | None:
        """Give the first segment called *name*."""
        found = self.by_name.get(name)
        return found[0] if found else None

    def value(self, path: str) -> str:
        """Give the text at *path*, e.g. ``OBR[2]-4.2``; raise BrokerError H010 when it is no path."""
        place = parse_path(path)
        found = self.named(place.segment)
        if place.occurrence > len(found):
            return ""
        segment = found[place.occurrence - 1]
        return segment.value(place.field, place.repetition, place.component, place.subcomponent)

    def unescape(self, raw: str) -> str:
        """Give the text that *raw*, a piece of this message, stands for."""
        return unescape(raw, self.separators, self.codec)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.header.value(10)

    @property
    def type(self) -> str:
        """Message type and event, ``ORM^O01``; the type alone when there is no event."""
        event = self.header.value(9, component=2)
        kind = self.header.value(9, component=1)
        return f"{kind}^{event}" if event else kind

    @property
    def version(self) -> str:
        """MSH-12.1."""
        return self.header.value(12, component=1)

    @property
    def processing_id(self) -> str:
        """MSH-11.1."""
        return self.header.value(11, component=1)

    @property
    def timestamp(self) -> str:
        """MSH-7 as written, e.g. ``20251121070500+0100``."""
        return self.header.value(7, component=1)

    @property
    def charset_name(self) -> str:
        """MSH-18, first repetition."""
        return self.header.value(18, component=1)

    @property
    def sending_application(self) -> str:
        """MSH-3: the namespace, else the universal ID."""
        return self._party(3)

    @property
    def sending_facility(self) -> str:
        """MSH-4: the namespace, else the universal ID."""
        return self._party(4)

    @property
    def receiving_application(self) -> str:
        """MSH-5: the namespace, else the universal ID."""
        return self._party(5)

    @property
    def receiving_facility(self) -> str:
        """MSH-6: the namespace, else the universal ID."""
        return self._party(6)

    def _party(self, n: int) -> str:
        return self.header.value(n, component=1) or self.header.value(n, component=2)


def _delimiters(text: str) -> Separators:
    field = text[3:4]
    if text[:3] != "MSH" or not field or field.isalnum() or field.isspace() or not field.isprintable():
        hint = (
            "send one message per frame, without FHS or BHS"
            if text[:3] in HEADERS
            else "begin the message with MSH|^~\\&|"
        )
        raise _refused("there is no readable MSH segment", "H001", hint, "MSH^1")
    encoding = text[4:64].partition(field)[0]
    return read_separators(field, encoding.partition("\r")[0].partition("\n")[0])


def _lines(text: str, field: str) -> list[str]:
    """Split into segments. Where CR ends them, a lone LF ends one only when a segment follows, else it is text."""
    if "\n" not in text:
        return text.split("\r")
    text = text.replace("\r\n", "\r")
    if "\n" not in text:
        return text.split("\r")
    if "\r" not in text:
        return text.split("\n")
    parts = re.split(r"\r|\n(?=[A-Z][A-Z0-9]{2}" + re.escape(field) + ")", text)
    return [part.rstrip("\n") for part in parts]


def _refused(what: str, code: str, hint: str, location: str) -> BrokerError:
    return BrokerError(what, code=code, hint=hint, ack="AR", hl7_code="100", location=location)
