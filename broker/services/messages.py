"""Stored messages: found by what they say, and sent through the intake once more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from broker.domain.events import Event
from broker.domain.records import StoredMessage
from broker.errors import without_values
from broker.hl7.charset import decode
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import Translation
from broker.services.inspect import MessageReader
from broker.services.intake import Intake
from broker.services.mappings import Mappings
from broker.services.received import ListenerRules

PAGE = 500
SCANNED = 20_000
"""Messages that one search looks through; the rest is found with the cursor that it gives."""

Which = Literal["current", "old"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a search asks for; empty asks for nothing. *numbers* stand as a whole value somewhere in the message.

    *accession* does so too, or the message made or changed one of the orders *accession_order_ids*.
    """

    state: str = ""
    listener: str = ""
    type: str = ""
    order_id: str = ""
    control_id: str = ""
    sender: str = ""
    accession: str = ""
    accession_order_ids: frozenset[str] = frozenset()
    numbers: tuple[str, ...] = ()
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_plain(self) -> bool:
        """Say whether the store alone can answer."""
        given = (self.control_id, self.sender, self.accession, self.numbers, self.text, self.since, self.until)
        return not any(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became, or would become, of a message. *events* are those that it causes; *refusal*: why it was not tried."""

    message_id: str
    outcome: str
    mapping: str = ""
    error: str = ""
    events: tuple[Event, ...] = ()
    is_dry: bool = False
    refusal: str = ""


class Messages:
    """Searches and replays. *rules* gives each listener's rules by its name."""

    def __init__(
        self, reader: MessageReader, intake: Intake | None, mappings: Mappings, rules: Mapping[str, ListenerRules]
    ) -> None:
        self._reader, self._intake, self._mappings, self._rules = reader, intake, mappings, rules

    async def search(self, wanted: Wanted, limit: int, cursor: str) -> tuple[Sequence[StoredMessage], str]:
        """Find messages, the newest first, and where to go on; fewer than *limit* when much had to be looked through."""
        plain = {"state": wanted.state, "listener": wanted.listener, "type": wanted.type, "order_id": wanted.order_id}
        if wanted.is_plain:
            return await self._reader.search(**plain, limit=limit, cursor=cursor)
        fits, found, scanned = _test(wanted), list[StoredMessage](), 0
        while scanned < SCANNED:
            page, cursor = await self._reader.search(**plain, limit=PAGE, cursor=cursor)
            for message in page:
                if wanted.since and message.received_at < wanted.since:
                    return found, ""
                if fits(message):
                    found.append(message)
                    if len(found) == limit:
                        return found, message.id
            scanned += len(page)
            if not cursor:
                return found, ""
        return found, cursor

    async def translation(self, stored: StoredMessage) -> tuple[str, Translation] | None:
        """Translate *stored* with the mapping that translated it when it came, traced; None when that is not kept."""
        name, _, digest = stored.mapping.partition("@")
        catalogue = await self._catalogue("old", name, digest) if digest else None
        mapping = catalogue.get(name) if catalogue else None
        if mapping is None:
            return None
        decoded = decode(stored.raw, (stored.charset,))
        message = Message.parse(decoded.text, decoded.codec)
        return stored.mapping, mapping.translate(message, self._mappings.zone, stored.received_at, trace=True)

    async def replay(
        self, message_id: str, *, is_dry: bool, which: Which = "current", is_forced: bool = False
    ) -> Replayed:
        """Send a stored message through the intake again: as if it came now, or *is_dry* without any effect.

        An accepted one that a later message of its order has overtaken is left alone, unless *is_forced*.
        """
        stored = await self._reader.get(message_id)
        if stored is None:
            return Replayed(message_id=message_id, outcome="", refusal="no such message")
        refusal = await self._refusal(stored, is_forced)
        if refusal:
            return Replayed(message_id=message_id, outcome=stored.state, refusal=refusal)
        name, _, digest = stored.mapping.partition("@")
        catalogue = await self._catalogue(which, name, digest)
        if catalogue is None:
            hint = "the mapping that translated it is not kept any more; use the current one"
            if not name:
                hint = "no mapping has translated it; use the current ones"
            return Replayed(message_id=message_id, outcome=stored.state, refusal=hint)
        assert self._intake is not None
        outcome, mapping, error, events = await self._intake.replay(
            stored, self._rules[stored.listener], catalogue, is_dry=is_dry
        )
        return Replayed(
            message_id=message_id, outcome=outcome, mapping=mapping, error=error, events=tuple(events), is_dry=is_dry
        )

    async def _refusal(self, stored: StoredMessage, is_forced: bool) -> str:
        if self._intake is None:
            return "no broker runs; it replays messages while it runs"
        if stored.listener not in self._rules:
            return f"its listener {stored.listener} is not configured any more"
        if not stored.type:
            return "it is no HL7 message"
        if is_forced or stored.state != "accepted":
            return ""
        for order_id in stored.order_ids:
            later, _ = await self._reader.search(order_id=order_id, state="accepted", limit=1)
            if later and later[0].id > stored.id:
                return f"the later message {later[0].id} has changed its order; replay that one, or force it"
        return ""

    async def _catalogue(self, which: Which, name: str, digest: str) -> Catalogue | None:
        """Find a set whose mapping *name* has the *digest* that was noted; the current set when it is unchanged."""
        current = self._mappings.current
        mapping = current.get(name)
        if which == "current" or (mapping is not None and mapping.digest.startswith(digest)):
            return current
        for kept in await self._mappings.kept():
            catalogue = self._mappings.catalogue_of(kept)
            mapping = catalogue.get(name) if catalogue else None
            if mapping is not None and digest and mapping.digest.startswith(digest):
                return catalogue
        return None


def _test(wanted: Wanted) -> Callable[[StoredMessage], bool]:
    text = wanted.text.casefold()
    numbers = [_whole(number) for number in wanted.numbers]
    accession = _whole(wanted.accession) if wanted.accession else None

    def fits(message: StoredMessage) -> bool:
        if wanted.until and message.received_at > wanted.until:
            return False
        if wanted.control_id and message.control_id != wanted.control_id:
            return False
        if wanted.sender and wanted.sender.casefold() not in message.sender.casefold():
            return False
        is_of_order = accession is None or not wanted.accession_order_ids.isdisjoint(message.order_ids)
        if is_of_order and not numbers and not text:
            return True
        content = message.raw.decode(message.charset or "latin-1", "replace")
        if not is_of_order and accession is not None and not accession.search(content):
            return False
        return text in content.casefold() and all(number.search(content) for number in numbers)

    return fits


def _whole(value: str) -> re.Pattern[str]:
    """Find *value* where it is all that stands between two delimiters."""
    return re.compile(rf"(?<![^|^~&\r\n]){re.escape(value)}(?![^|^~&\r\n])")


def told(replayed: Replayed) -> str:
    """Say in words, without values, what became of a replay."""
    if replayed.refusal:
        return f"left alone: {replayed.refusal}"
    would = "would be " if replayed.is_dry else ""
    error = f": {without_values(replayed.error)}" if replayed.error else ""
    effects = ", ".join(dict.fromkeys(event.type for event in replayed.events))
    return f"{would}{replayed.outcome}{error}" + (f" ({effects})" if effects else "")
