"""Reading the outbox: what is due, in the order of its lanes, and what a person wants to see."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Select, and_, bindparam, exists, func, literal_column, select
from sqlalchemy.sql.elements import ColumnElement

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.domain.study import Instance
from broker.store import tables as t
from broker.store.bookkinds import INSTANCE
from broker.store.codec import moment, read_moment
from broker.store.prepared import Asked, Prepared
from broker.store.readers import Readers, page
from broker.store.recordkinds import DELIVERY, DONE, EVENT, UNFINISHED

_WAITING = ("available", "retryable")
_earlier = t.deliveries.alias("earlier")


class DeliveryReader:
    """What is committed of the outbox."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._due = Prepared(readers.dialect, _due)
        self._next_due_at = Prepared(readers.dialect, _next_due_at)

    async def search(
        self, *, state: str = "", destination: str = "", limit: int = 50, cursor: str = ""
    ) -> tuple[list[Delivery], str]:
        """Find deliveries, the newest first, and the cursor of the next page (empty: there is none)."""
        c = t.deliveries.c
        conditions: list[ColumnElement[bool]] = []
        if state and state not in DONE:
            conditions.append(t.IS_OPEN)
        if state:
            conditions.append(c.state == state)
        if destination:
            conditions.append(c.destination == destination)
        if cursor:
            conditions.append(c.id < cursor)
        query = select(c.id, c.document).where(*conditions).order_by(c.id.desc()).limit(limit + 1)
        rows, following = page(await self._readers.rows(query), limit)
        return [DELIVERY.value(document) for _, document in rows], following

    async def due(self, destination: str, now: datetime, limit: int) -> list[tuple[Delivery, Event | None]]:
        """Give the notices that may leave now: the first unfinished row of each lane, the oldest first."""
        asked = {"destination": (destination,), "now": (moment(now),), "limit": (limit,)}
        rows = await self._readers.ask(self._due, asked)
        return [(DELIVERY.value(row), EVENT.value(event) if event else None) for row, event in rows]

    async def next_due_at(self, destination: str) -> datetime | None:
        """Tell when the next row may leave; rows behind another of their lane do not count."""
        rows = await self._readers.ask(self._next_due_at, {"destination": (destination,)})
        return read_moment(rows[0][0] or "")

    async def counts(self) -> dict[str, dict[str, int]]:
        """Count the rows of each destination by state, without those that are delivered or cancelled."""
        c = t.deliveries.c
        query = select(c.destination, c.state, func.count()).where(t.IS_OPEN).group_by(c.destination, c.state)
        counted: dict[str, dict[str, int]] = {}
        for destination, state, count in await self._readers.rows(query):
            counted.setdefault(destination, {})[state] = count
        return counted

    async def finished_before(self, before: datetime, limit: int) -> list[Delivery]:
        """Give ended deliveries (a dead one is not) whose last attempt was due before *before*, the oldest first."""
        c = t.deliveries.c
        query = select(c.document).where(c.state.in_(DONE), c.not_before < moment(before)).order_by(c.id).limit(limit)
        return await self._readers.values(DELIVERY, query)


class ObjectQueue:
    """What is committed of the objects of one spool that wait for the archives."""

    def __init__(self, readers: Readers, spool: str) -> None:
        self._readers = readers
        self._spool = (spool,)
        self._due = Prepared(readers.dialect, _due_objects)
        self._next_due_at = Prepared(readers.dialect, _next_object_due_at)

    async def due(self, node: str, now: datetime, limit: int) -> list[tuple[Delivery, Instance]]:
        """Give the objects that may leave for *node* now, the oldest first."""
        asked = {"destination": (node,), "spool": self._spool, "now": (moment(now),), "limit": (limit,)}
        rows = await self._readers.ask(self._due, asked)
        return [(DELIVERY.value(row), INSTANCE.value(instance)) for row, instance in rows]

    async def next_due_at(self, node: str) -> datetime | None:
        """Tell when the next object may leave for *node*."""
        rows = await self._readers.ask(self._next_due_at, {"destination": (node,), "spool": self._spool})
        return read_moment(rows[0][0] or "")


def _due(asked: Asked) -> Select[Any]:
    query = (
        select(t.deliveries.c.document, t.events.c.document)
        .join(t.events, t.events.c.id == t.deliveries.c.event_id, isouter=True)
        .where(t.deliveries.c.sop_uid == "")
    )
    return _first_due(query, asked)


def _due_objects(asked: Asked) -> Select[Any]:
    return _first_due(_of_spool(select(t.deliveries.c.document, t.instances.c.document), asked), asked)


def _next_due_at(asked: Asked) -> Select[Any]:
    return _heads(select(func.min(t.deliveries.c.not_before)), asked)


def _next_object_due_at(asked: Asked) -> Select[Any]:
    return _heads(_of_spool(select(func.min(t.deliveries.c.not_before)), asked), asked)


def _of_spool(query: Select[Any], asked: Asked) -> Select[Any]:
    """Leave the rows whose object is in one spool: only its broker can send it."""
    c = t.instances.c
    is_object = and_(c.sop_uid == t.deliveries.c.sop_uid, c.digest == t.deliveries.c.digest)
    return query.select_from(t.deliveries).join(t.instances, is_object).where(t.in_spool(asked["spool"][0]))


def _first_due(query: Select[Any], asked: Asked) -> Select[Any]:
    """Walk the queue from its oldest row."""
    c = t.deliveries.c
    due = _heads(query, asked).where(c.not_before <= asked["now"][0]).order_by(c.id)
    return due.limit(bindparam(None, asked["limit"][0], Integer))


def _heads(query: Select[Any], asked: Asked) -> Select[Any]:
    """Leave the rows that wait and have no unfinished row of their lane before them."""
    c, earlier = t.deliveries.c, _earlier.c
    is_behind = exists().where(
        literal_column("earlier.is_open = 1"),
        earlier.destination == c.destination,
        earlier.lane == c.lane,
        earlier.id < c.id,
        earlier.state.in_(UNFINISHED),
    )
    return query.where(t.IS_OPEN, c.destination == asked["destination"][0], c.state.in_(_WAITING), ~is_behind)
