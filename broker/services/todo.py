"""The to-do list of the mappings in force: what they stumble over in the messages that came last.

Codes that no table knows and values that no attribute can hold; what has been mended since is not in it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from zoneinfo import ZoneInfo

from broker.domain.records import StoredMessage
from broker.errors import without_values
from broker.mapping.catalogue import Catalogue
from broker.mapping.compare import Sample
from broker.mapping.todo import Todo, stumbled, summed
from broker.services.inspect import MessageReader
from broker.services.mappings import Mappings

LOOKED_AT = 500
"""Stored messages that are looked at, the newest."""
PAGE = 100
EVERY_SECONDS = 60.0


class TodoCounters(Protocol):
    """What is shown of the list."""

    def unknown_codes(self, counts: Mapping[str, int]) -> None:
        """Show how many codes no table knows, by mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The list, the most frequent first, without values of a patient; *messages* were looked at."""

    messages: int
    items: Sequence[Todo]


class Todos:
    """Keeps the list. A message is looked at once; all are again, when other mappings are in force."""

    def __init__(self, mappings: Mappings, messages: MessageReader, counters: TodoCounters) -> None:
        self._mappings, self._messages, self._counters = mappings, messages, counters
        self._turn = asyncio.Lock()
        self._digest = ""
        self._known: dict[str, Sequence[Todo]] = {}

    async def watch(self) -> None:
        """Look every minute, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> Look:
        """Look at what came since the last time; nothing is to do where no mappings are in force."""
        if not self._mappings.is_open:
            return Look(messages=0, items=())
        async with self._turn:
            catalogue = self._mappings.current
            if self._digest != catalogue.digest:
                self._digest, self._known = catalogue.digest, {}
            await self._learn(catalogue)
            items = [_without_values(one) for one in summed(self._known.values())]
            counts = Counter(one.mapping for one in items if one.kind == "unknown")
            self._counters.unknown_codes({name: counts[name] for name in _readers(catalogue)})
            return Look(messages=len(self._known), items=items)

    async def _learn(self, catalogue: Catalogue) -> None:
        """Bring what is known up to the last messages, page by page until one is known."""
        new: dict[str, StoredMessage] = {}
        cursor, is_known = "", False
        while not is_known and len(new) < LOOKED_AT:
            page, cursor = await self._messages.search(limit=PAGE, cursor=cursor)
            is_known = any(message.id in self._known for message in page)
            new.update((message.id, message) for message in page if message.id not in self._known)
            if not cursor:
                break
        found = await asyncio.to_thread(self._stumbled, catalogue, list(new.values())) if new else {}
        newest = sorted({**self._known, **found}.items(), reverse=True)  # ids are in order of receipt
        self._known = dict(newest[:LOOKED_AT])

    def _stumbled(self, catalogue: Catalogue, messages: Sequence[StoredMessage]) -> dict[str, Sequence[Todo]]:
        return {message.id: _of(catalogue, message, self._mappings.zone) for message in messages}


def _of(catalogue: Catalogue, message: StoredMessage, zone: ZoneInfo) -> Sequence[Todo]:
    if not message.charset:
        return ()
    charsets = (message.charset,)
    sample = Sample(label=message.id, raw=message.raw, received_at=message.received_at, charsets=charsets)
    return stumbled(catalogue, sample, zone)


def _readers(catalogue: Catalogue) -> Sequence[str]:
    entries = catalogue.entries.values()
    return [one.mapping.name for one in entries if one.mapping.message_type and not one.mapping.is_template]


def _without_values(one: Todo) -> Todo:
    """Hide what may be of a patient: a code is not."""
    return one if one.kind == "unknown" else replace(one, text=without_values(one.text))
