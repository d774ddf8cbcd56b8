"""Encoded worklist answers and read identifiers, kept to be used again (bounded; the oldest go first)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from broker.dicom.charset import CharacterSet, choose_charset, find_charset
from broker.dicom.dataset import read_item, write_item
from broker.domain.answer import answer_item
from broker.domain.order import Item
from broker.domain.query import STATION, STEPS, Query, read_query
from broker.domain.worklist import Caller, WorklistEntry

V = TypeVar("V")

_BESIDE = 512
"""Bytes that a kept value costs beside its own."""
_STAND_IN = b"\x02"
"""Fills the place of an AE title in an answer that is kept: no title and no text has it."""
_SEVERAL = -2
"""The place of a title that cannot be told, because its stand-in is found elsewhere too, or not at all."""


class Kept(Generic[V]):
    """Values under the exact bytes and texts they were made from: those used last, up to *limit* bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._values: OrderedDict[tuple[object, ...], tuple[V, int]] = OrderedDict()

    def find(self, *key: object) -> V | None:
        """Find what was kept under *key*, and keep it longer."""
        kept = self._values.get(key)
        if kept is None:
            return None
        self._values.move_to_end(key)
        return kept[0]

    def keep(self, value: V, size: int, *key: object) -> V:
        """Keep *value*, of *size* bytes, under a new *key*, unless it is as large as many others; give it back."""
        cost = size + _BESIDE
        if cost > self._limit // 64:
            return value
        self._values[key] = value, cost
        self._size += cost
        while self._size > self._limit:
            _, (_, freed) = self._values.popitem(last=False)
            self._size -= freed
        return value


@dataclass(frozen=True, slots=True)
class Identifier:
    """A C-FIND identifier, read: its query, the character set it came in, and *shape*: the keys to return, as bytes."""

    query: Query
    charset: CharacterSet
    shape: bytes


class Encoded(NamedTuple):
    """An answer as it goes on the wire.

    *is_whole* is false when some of its text had to be transliterated; *faults* are keys whose value DICOM cannot hold.
    *title_at* is the place of the AE title that an unassigned step is answered with, -1 without one.
    """

    raw: bytes
    is_whole: bool
    faults: tuple[str, ...]
    title_at: int = -1

    def for_station(self, title: bytes) -> Encoded:
        """Put *title* in its place; it is as long as the one that is there."""
        raw, at = self.raw, self.title_at
        return Encoded(raw[:at] + title + raw[at + len(title) :], self.is_whole, self.faults)


@dataclass(frozen=True, slots=True)
class Form:
    """All but the entry that an answer depends on; *key* names it byte for byte. *forced* is the node's character set.

    Values that were asked for are no part of the key: they choose entries and do not change them. Nor is *title*, the AE
    title that an unassigned step is answered with, but for its length: it is put in the place of another. *known* are
    the answers that are kept, by the entry's key.
    """

    identifier: Identifier
    title: bytes
    transfer_syntax: str
    forced: CharacterSet | None
    key: bytes
    known: OrderedDict[str, Encoded]


class Answers:
    """Reads identifiers and encodes answers, each once while it is kept: *limit* is the size of answers in bytes."""

    def __init__(self, limit: int = 32 * 1024 * 1024) -> None:
        self._identifiers: Kept[Identifier] = Kept(1024 * 1024)
        self._forms: OrderedDict[bytes, OrderedDict[str, Encoded]] = OrderedDict()
        self._limit = limit
        self._size = 0

    def read(self, raw: bytes, transfer_syntax: str) -> Identifier:
        """Read an identifier; raise BrokerError when it cannot be."""
        known = self._identifiers.find(raw, transfer_syntax)
        if known:
            return known
        item = read_item(raw, transfer_syntax)
        terms = item.get("SpecificCharacterSet") or []
        identifier = Identifier(
            query=read_query(item),
            charset=find_charset([terms] if isinstance(terms, str) else terms),
            shape=repr(_shape(item)).encode(),
        )
        return self._identifiers.keep(identifier, len(raw), raw, transfer_syntax)

    def form(
        self, identifier: Identifier, caller: Caller, transfer_syntax: str, forced: CharacterSet | None = None
    ) -> Form:
        """Make the form of the answers to *identifier*, with those that are kept; they are kept longer now."""
        title = identifier.query.station(caller).encode("ascii", "replace")
        title += b" " * (len(title) % 2)
        parts = (transfer_syntax, identifier.charset.terms, forced and forced.terms, len(title))
        key = identifier.shape + repr(parts).encode()
        known = self._forms.get(key)
        if known is None:
            known = OrderedDict()
        else:
            self._forms.move_to_end(key)
        return Form(identifier, title, transfer_syntax, forced, key, known)

    def encode(self, entries: Sequence[WorklistEntry], form: Form) -> list[Encoded]:
        """Encode the answer of each entry, or give it as it was encoded before; never one found by a patient ID of old."""
        patient = form.identifier.query.patient
        if patient and not all(patient.is_current(entry.item) for entry in entries):
            return [_encode(entry, form, form.title) for entry in entries]
        known, title = form.known.get, form.title
        answers = [known(entry.key) or self._one(entry, form) for entry in entries]
        return [answer if answer.title_at < 0 else answer.for_station(title) for answer in answers]

    def _one(self, entry: WorklistEntry, form: Form) -> Encoded:
        """Encode an answer and keep it; not one whose title cannot be told from the rest."""
        answer = _encode(entry, form, _STAND_IN * len(form.title))
        if answer.title_at == _SEVERAL:
            return _encode(entry, form, form.title)
        self._keep(answer, entry, form)
        return answer

    def _keep(self, answer: Encoded, entry: WorklistEntry, form: Form) -> None:
        """Keep *answer*, unless it is as large as many others; what was used longest ago goes."""
        cost = len(answer.raw) + _BESIDE
        if cost + len(form.key) > self._limit // 64:
            return
        known = self._forms.get(form.key)
        if known is None:
            known = self._forms[form.key] = form.known
            self._size += len(form.key) + _BESIDE
        if entry.key not in known:
            known[entry.key] = answer
            self._size += cost
        while self._size > self._limit:
            self._forget()

    def _forget(self) -> None:
        """Forget the oldest answer of the form that was used longest ago."""
        key, known = next(iter(self._forms.items()))
        if known:
            _, answer = known.popitem(last=False)
            self._size -= len(answer.raw) + _BESIDE
        if not known:
            del self._forms[key]
            self._size -= len(key) + _BESIDE


def _encode(entry: WorklistEntry, form: Form, title: bytes) -> Encoded:
    """Encode the answer of *entry* (policy: worklist 3, 4); an unassigned step is for *title*."""
    item = answer_item(entry, form.identifier.query, title.decode())
    text = "\n".join(_texts(item))
    charset = choose_charset(text, form.forced, form.identifier.charset)
    faults: list[str] = []
    raw = write_item(item, form.transfer_syntax, charset, faults)
    return Encoded(raw, charset.fits(text), tuple(faults), _title_at(raw, title, entry, item))


def _title_at(raw: bytes, title: bytes, entry: WorklistEntry, item: Item) -> int:
    steps = item.get(STEPS)
    if entry.stations or not title or not steps or STATION not in steps[0]:
        return -1
    return raw.find(title) if raw.count(title) == 1 else _SEVERAL


def _shape(item: Item) -> list[Any]:
    return [
        (key, _shape(value[0])) if isinstance(value, list) and value and isinstance(value[0], dict) else key
        for key, value in item.items()
    ]


def _texts(item: Item) -> Iterator[str]:
    for value in item.values():
        if value.__class__ is str:
            yield value
        elif isinstance(value, list):
            for one in value:
                yield from (one,) if isinstance(one, str) else _texts(one)
