"""Reading events that are of no one order."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, literal_column, select
from sqlalchemy.sql.elements import ColumnElement

from broker.domain.events import Event
from broker.store import tables as t
from broker.store.codec import moment
from broker.store.readers import Readers
from broker.store.recordkinds import EVENT


class EventReader:
    """What is committed of events."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def alarms(self, limit: int) -> list[Event]:
        """Give the newest events that are alarms, the newest first."""
        is_alarm: ColumnElement[bool] = literal_column("events.is_alarm = 1")
        query = select(t.events.c.document).where(is_alarm).order_by(t.events.c.id.desc()).limit(limit)
        return await self._readers.values(EVENT, query)

    async def finished_before(self, before: datetime, limit: int) -> list[Event]:
        """Give events that happened before *before* and that no open delivery tells, the oldest first."""
        is_told = exists().where(t.IS_OPEN, t.deliveries.c.event_id == t.events.c.id)
        query = select(t.events.c.document).where(t.events.c.at < moment(before), ~is_told).order_by(t.events.c.id)
        return await self._readers.values(EVENT, query.limit(limit))
