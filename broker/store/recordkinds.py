"""Messages, tombstones, events, the outbox, users and tokens: how they are kept and found; and the list of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from broker.domain.accounts import Token, User
from broker.domain.events import Event
from broker.domain.mappingset import MappingSet
from broker.domain.records import Delivery, Lease, StoredMessage, Tombstone
from broker.store import tables as t
from broker.store.bookkinds import INSTANCE, ORDER, PATIENT, PERFORMED, RAW_DATA_SET, STUDY
from broker.store.codec import moment
from broker.store.kinds import Finder, Kind, NamedKey, Projection, by

UNFINISHED = ("available", "executing", "retryable")
DONE = ("delivered", "cancelled")


def _message_columns(message: StoredMessage, version: int) -> tuple[Any, ...]:
    return (
        message.key,
        message.problem_key,
        message.listener,
        message.type,
        message.state,
        message.control_id,
        moment(message.received_at),
    )


def _event_columns(event: Event, version: int) -> tuple[Any, ...]:
    return (
        moment(event.at),
        event.type,
        event.order_id,
        event.patient_ref,
        event.study_uid,
        int(event.is_alarm),
    )


def _delivery_keys(delivery: Delivery) -> Iterator[NamedKey]:
    yield "id", delivery.id
    if delivery.sop_uid and delivery.state in UNFINISHED:
        yield "copy", delivery.study_uid, delivery.sop_uid


def _delivery_columns(delivery: Delivery, version: int) -> tuple[Any, ...]:
    return (
        delivery.destination,
        delivery.lane,
        delivery.state,
        moment(delivery.not_before),
        int(delivery.state not in DONE),
        delivery.event_id,
        delivery.order_id,
        delivery.study_uid,
        delivery.sop_uid,
        delivery.digest,
    )


MESSAGE = Kind(
    type=StoredMessage,
    table=t.messages,
    identity=lambda message: (message.id,),
    keys=lambda message: (("id", message.id), ("key", message.key), ("problem", message.problem_key)),
    finders={
        "id": by(t.messages.c.id),
        "key": by(t.messages.c.key),
        "problem": by(t.messages.c.problem_key),
    },
    columns=_message_columns,
    projections=(
        Projection(
            table=t.message_orders,
            rows=lambda message, version: [(order_id, message.id) for order_id in message.order_ids],
        ),
    ),
    blobs=("raw", "answer"),
)

TOMBSTONE = Kind(
    type=Tombstone,
    is_remembered=True,
    table=t.tombstones,
    identity=lambda stone: (stone.kind, stone.facility, stone.namespace, stone.number),
    keys=lambda stone: ((stone.kind, stone.facility, stone.namespace, stone.number),),
    finders=dict.fromkeys(
        ("placer", "filler", "accession"),
        Finder(columns=tuple(t.tombstones.primary_key.columns), source=t.tombstones, is_named=True),
    ),
    columns=lambda stone, version: (moment(stone.expires_at),),
)

EVENT = Kind(
    type=Event,
    table=t.events,
    identity=lambda event: (event.id,),
    keys=lambda event: (("id", event.id),),
    finders={"id": by(t.events.c.id)},
    columns=_event_columns,
)

_IS_UNFINISHED_OBJECT = t.IS_OPEN & t.present(t.deliveries.c.sop_uid) & t.deliveries.c.state.in_(UNFINISHED)

DELIVERY = Kind(
    type=Delivery,
    table=t.deliveries,
    identity=lambda delivery: (delivery.id,),
    keys=_delivery_keys,
    finders={
        "id": by(t.deliveries.c.id),
        "copy": Finder(
            columns=(t.deliveries.c.study_uid, t.deliveries.c.sop_uid),
            source=t.deliveries,
            fixed=_IS_UNFINISHED_OBJECT,
        ),
    },
    columns=_delivery_columns,
)

USER = Kind(
    type=User,
    table=t.users,
    identity=lambda user: (user.name,),
    keys=lambda user: (("name", user.name),),
    finders={"name": by(t.users.c.name)},
    columns=lambda user, version: (),
)

TOKEN = Kind(
    type=Token,
    table=t.tokens,
    identity=lambda token: (token.name,),
    keys=lambda token: (("name", token.name), ("hash", token.token_hash)),
    finders={"name": by(t.tokens.c.name), "hash": by(t.tokens.c.token_hash)},
    columns=lambda token, version: (token.token_hash,),
)

LEASE = Kind(
    type=Lease,
    table=t.leases,
    identity=lambda lease: (lease.name,),
    keys=lambda lease: (("name", lease.name),),
    finders={"name": by(t.leases.c.name)},
    columns=lambda lease, version: (),
)

MAPPING_SET = Kind(
    type=MappingSet,
    table=t.mapping_sets,
    identity=lambda one: (one.digest,),
    keys=lambda one: (("digest", one.digest),),
    finders={"digest": by(t.mapping_sets.c.digest)},
    columns=lambda one, version: (moment(one.loaded_at),),
    blobs=("content",),
)

KINDS: dict[type[Any], Kind[Any]] = {
    kind.type: kind
    for kind in (
        PATIENT,
        ORDER,
        PERFORMED,
        RAW_DATA_SET,
        STUDY,
        INSTANCE,
        MESSAGE,
        TOMBSTONE,
        EVENT,
        DELIVERY,
        USER,
        TOKEN,
        LEASE,
        MAPPING_SET,
    )
}
"""Every kind of row, in the order in which they are written."""
