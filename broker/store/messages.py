"""Reading received messages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import literal_column, select
from sqlalchemy.sql.elements import ColumnElement

from broker.domain.records import StoredMessage
from broker.store import tables as t
from broker.store.codec import moment
from broker.store.readers import Readers, aside, page
from broker.store.recordkinds import MESSAGE


class MessageReader:
    """What is committed of messages."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def search(
        self,
        *,
        state: str = "",
        listener: str = "",
        type: str = "",
        order_id: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[list[StoredMessage], str]:
        """Find messages, the newest first, and the cursor of the next page (empty: there is none)."""
        c = t.messages.c
        conditions: list[ColumnElement[bool]] = []
        if order_id:
            of_order = select(t.message_orders.c.message_id).where(t.message_orders.c.order_id == order_id)
            conditions.append(c.id.in_(of_order))
        if state:
            conditions.append(c.state == state)
            if state != "accepted":
                conditions.append(literal_column("messages.state <> 'accepted'"))
        is_narrow = bool(order_id or (state and state != "accepted"))
        for column, wanted in ((c.listener, listener), (c.type, type)):
            if wanted:
                conditions.append((aside(column) if is_narrow else column) == wanted)
        if cursor:
            conditions.append(c.id < cursor)
        query = select(c.id, *MESSAGE.content_columns).where(*conditions).order_by(c.id.desc()).limit(limit + 1)
        rows, following = page(await self._readers.rows(query), limit)
        return [MESSAGE.value(*row[1:]) for row in rows], following

    async def get(self, message_id: str) -> StoredMessage | None:
        """Find one message by our id."""
        query = select(*MESSAGE.content_columns).where(t.messages.c.id == message_id)
        return next(iter(await self._readers.values(MESSAGE, query)), None)

    async def finished_before(self, before: datetime, limit: int) -> list[StoredMessage]:
        """Give messages received before *before* that wait for nobody (a parked one does), the oldest first."""
        c = t.messages.c
        query = (
            select(*MESSAGE.content_columns).where(c.received_at < moment(before), c.state != "parked").order_by(c.id)
        )
        return await self._readers.values(MESSAGE, query.limit(limit))
