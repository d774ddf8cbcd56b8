"""What is kept beside the orders: received messages, their answers, tombstones and the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

MessageState = Literal["accepted", "ignored", "refused", "parked"]
DeliveryState = Literal["available", "executing", "retryable", "delivered", "cancelled", "dead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A received HL7 message with its answer. *key* is that of a repeat (policies 1.3), empty when none may be made.

    *problem_key* is the same for the same refusal of the same kind of message: one problem with a *count* (policies 1.2).
    """

    id: str
    key: str
    listener: str
    sender: str
    control_id: str
    type: str
    received_at: datetime
    raw: bytes
    charset: str
    state: MessageState
    answer: bytes
    mapping: str = ""
    code: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()
    order_ids: tuple[str, ...] = ()
    count: int = 1
    problem_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDataSet:
    """The data set of an N-CREATE or N-SET of the MPPS *uid* as it came, without its file meta information."""

    uid: str
    kind: Literal["create", "set"]
    at: datetime
    transfer_syntax: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """A cancel of an order that nobody knew: until *expires_at* a late new order under that number stays cancelled."""

    kind: Literal["placer", "filler", "accession"]
    facility: str
    namespace: str
    number: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the outbox: an event for a destination, or (with *sop_uid*) an object for an archive.

    Rows of one destination and *lane* leave in the order of *id*; *control_id* is what the receiver sees (MSH-10).
    """

    id: str
    destination: str
    event_id: str = ""
    event_type: str = ""
    order_id: str = ""
    study_uid: str = ""
    sop_uid: str = ""
    digest: str = ""
    lane: str
    control_id: str
    state: DeliveryState = "available"
    attempts: int = 0
    refusals: int = 0
    not_before: datetime
    created_at: datetime
    updated_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Which of several brokers carries the notices of the destination *name*; *owner* counts it up while it is alive."""

    name: str
    owner: str
    renewals: int = 0


def backoff(attempts: int) -> timedelta:
    """Say how long to wait after that many failed attempts: 1 s, doubling, at most 60 s."""
    return timedelta(seconds=min(60, 2 ** min(attempts - 1, 6)))
