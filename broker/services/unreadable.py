"""What is no message: answered with the best possible AR, and kept as a problem that a person can look at."""

from __future__ import annotations

import hashlib
from datetime import datetime

from broker.domain.events import Event
from broker.domain.records import StoredMessage
from broker.errors import BrokerError
from broker.hl7.ack import SALVAGED, salvage_header
from broker.ports import Changes, Held, Ids, Job

KEPT_BYTES = 4096
"""How much is kept of what cannot be read."""


def unreadable_job(raw: bytes, listener: str, error: BrokerError, answer: bytes, ids: Ids, now: datetime) -> Job[None]:
    """Keep *raw*, refused with *answer*: one row a sender and kind of fault, counted, with the beginning of the last one."""
    header = salvage_header(raw)
    sender = f"{header.header.raw(3)}|{header.header.raw(4)}"
    digest = hashlib.blake2b("\x1f".join((listener, sender, error.code)).encode(errors="replace"), digest_size=20)
    key = "unreadable-" + digest.hexdigest()

    def decide(held: Held) -> Changes[None]:
        before = next(iter(held.find(StoredMessage, "problem", key)), None)
        stored = StoredMessage(
            id=before.id if before else ids(),
            key="",
            problem_key=key,
            listener=listener,
            sender=sender,
            control_id=header.control_id,
            type=header.type,
            received_at=before.received_at if before else now,
            raw=raw[:KEPT_BYTES],
            charset=SALVAGED,
            state="refused",
            answer=answer,
            code=error.hl7_code,
            error=error.message,
            count=before.count + 1 if before else 1,
        )
        events = () if before else (rejected_event(stored, ids()),)
        return Changes(save=(stored,), events=events, result=None)

    return Job(keys=((StoredMessage, ("problem", key)),), decide=decide)


def rejected_event(stored: StoredMessage, id: str) -> Event:
    """Tell that a message was refused or parked."""
    return Event(
        id=id,
        type="message.rejected",
        at=stored.received_at,
        text=f"{stored.type or 'a message'} from {stored.sender} {stored.state}: {stored.error}",
        order_id=stored.order_ids[0] if stored.order_ids else "",
        is_alarm=stored.state == "parked",
        facts={
            "message": {
                "id": stored.id,
                "type": stored.type,
                "control_id": stored.control_id,
                "state": stored.state,
                "code": stored.code,
            }
        },
        ref={"message": stored.id},
    )
