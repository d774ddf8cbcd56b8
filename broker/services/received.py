"""A received message on its way through intake: as it came, what it asks, what became of that, and its row."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from broker.domain.records import MessageState, StoredMessage
from broker.domain.request import OrderRequest
from broker.errors import without_values
from broker.hl7.charset import Decoded
from broker.hl7.message import Message
from broker.services.refusals import Fault

WARNINGS_KEPT = 50
REMARKS_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRules:
    """What a site says of one listener's messages (policies 1)."""

    name: str
    charset: tuple[str, ...] = ("UTF-8", "windows-1252")
    on_refused: Literal["nak", "park"] = "nak"
    unhandled: Literal["ignore", "reject"] = "ignore"
    processing_ids: tuple[str, ...] = ("P",)
    transient: Literal["AR", "AE", "close"] = "AR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that could be read, with what is needed to answer it."""

    id: str
    raw: bytes
    message: Message
    decoded: Decoded
    rules: ListenerRules
    now: datetime
    key: str
    warnings: tuple[str, ...] = ()

    @property
    def problem_key(self) -> str:
        """The key of a refusal: as above, but for what is new each time a message is sent: MSH-7, MSH-10 and MSH-13."""
        header, *segments = self.message.segments
        fields = [header.raw(n) for n in range(1, header.last_field + 1) if n not in (7, 10, 13)]
        parts = (self.rules.name, *fields, *(segment.text for segment in segments))
        return hashlib.blake2b("\x1f".join(parts).encode(errors="replace"), digest_size=20).hexdigest()


def repeat_key(raw: bytes, message: Message, rules: ListenerRules) -> str:
    """Give the key of a repeat: listener, sender, MSH-10 and content; none without MSH-10 (policies 1.3)."""
    if not message.control_id:
        return ""
    header = message.header
    parts = (rules.name, header.raw(3), header.raw(4), header.raw(10))
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=20)
    digest.update(raw)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a message asks: requests that may take effect, and the faults of the rest."""

    requests: tuple[OrderRequest, ...] = ()
    faults: tuple[Fault, ...] = ()
    is_ignored: bool = False
    mapping: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What became of the requests: orders that were found or made, faults, and warnings about those without effect."""

    order_ids: tuple[str, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]


def stored_message(
    received: Received,
    wanted: Wanted,
    effects: Effects,
    state: MessageState,
    answer: bytes,
    before: StoredMessage | None,
) -> StoredMessage:
    """Make the row of a message; one that has come *before* and was refused keeps its place and is counted."""
    faults = effects.faults
    return StoredMessage(
        id=before.id if before else received.id,
        key=received.key,
        problem_key=received.problem_key if faults else "",
        listener=received.rules.name,
        sender=f"{received.message.header.raw(3)}|{received.message.header.raw(4)}",
        control_id=received.message.control_id,
        type=received.message.type,
        received_at=before.received_at if before else received.now,
        raw=received.raw,
        charset=received.decoded.codec,
        state=state,
        answer=answer,
        mapping=wanted.mapping,
        code=faults[0].code if faults else "",
        error="; ".join(fault.text for fault in faults),
        warnings=_few((*(wanted.warnings or received.warnings), *effects.warnings)),
        order_ids=effects.order_ids,
        count=before.count + 1 if before else 1,
    )


def remarks_of(stored: StoredMessage) -> str:
    """Say in a timeline what was mended; of a message with several orders, that something was."""
    told = [without_values(warning) for warning in stored.warnings]
    shown = told[:REMARKS_SHOWN] if len(stored.order_ids) == 1 else []
    rest = len(told) - len(shown)
    more = [f"{rest} {'more ' if shown else ''}warning{'s' if rest > 1 else ''}, see the message"] if rest else []
    return "".join(f"; {remark}" for remark in (*shown, *more))


def _few(warnings: Sequence[str]) -> tuple[str, ...]:
    """Leave out what is said twice, and say how many more there are than are kept."""
    different = tuple(dict.fromkeys(warnings))
    rest = len(different) - WARNINGS_KEPT
    return different if rest <= 0 else (*different[:WARNINGS_KEPT], f"and {rest} more")
