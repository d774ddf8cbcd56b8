"""The threads that read: a small pool, each with a connection of its own, so that no long query runs on the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Column, Engine, Select
from sqlalchemy.sql.elements import ColumnElement

from broker.errors import BrokerError
from broker.store.brief import BriefReader, TooLong
from broker.store.connection import Connection, Row
from broker.store.dialects import is_shared
from broker.store.kinds import Kind
from broker.store.prepared import Asked, Prepared

T = TypeVar("T")

THREADS = 3


class Readers:
    """Runs queries in threads. A connection that fails is closed; on PostgreSQL another is opened at once.

    A server that was stopped and started has let go of all connections; that shows only when they are used.
    """

    def __init__(self, engine: Engine) -> None:
        self.dialect = engine.dialect
        self._engine = engine
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="store-reader")
        self._connections: dict[int, Connection] = {}
        self._brief = None if is_shared(engine.dialect) else BriefReader(engine)

    def open(self) -> None:
        """Start all threads and open their connections: later there may be no room on the disk to do so."""
        together = threading.Barrier(THREADS)
        started = [self._pool.submit(self._read, lambda connection: together.wait(10)) for _ in range(THREADS)]
        for one in started:
            one.result()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run *query* on a thread's connection; raise BrokerError (S007) when the database cannot be read."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, query)

    async def read_soon(self, query: Callable[[Connection], T]) -> T:
        """Run *query*, which is usually short: at once where the database is a file, else or when it is long in a thread."""
        if self._brief is not None:
            with suppress(TooLong):
                return self._brief.read(query)
        return await self.read(query)

    def version(self) -> int | None:
        """Give a number that is another one once anybody has changed the database; None where that is not known."""
        if self._brief is not None:
            with suppress(TooLong):
                return self._brief.read(Connection.foreign_version)
        return None

    async def ask(self, prepared: Prepared, asked: Asked) -> list[Row]:
        """Run a prepared query."""
        text, parameters = prepared.query(asked)
        return await self.read(lambda connection: connection.fetch(text, parameters))

    async def rows(self, query: Select[Any]) -> list[Row]:
        """Run *query*, which is compiled for this once."""
        return await self.read(lambda connection: connection.select(query))

    async def values(self, kind: Kind[T], query: Select[Any]) -> list[T]:
        """Run *query* for contents of *kind*; give the values."""
        return await self.read(lambda connection: select_values(connection, kind, query))

    async def close(self) -> None:
        """End the threads and close their connections."""
        await asyncio.to_thread(self._pool.shutdown)
        if self._brief is not None:
            self._brief.close()
        for connection in self._connections.values():
            connection.close()

    def _read(self, query: Callable[[Connection], T]) -> T:
        mine = threading.get_ident()
        was_kept = mine in self._connections
        try:
            connection = self._connections.get(mine)
            if connection is None:
                connection = self._connections[mine] = Connection(self._engine)
            return query(connection)
        except self._driver_error as error:
            broken = self._connections.pop(mine, None)
            if broken is not None:
                broken.close()
            if was_kept and is_shared(self.dialect):
                return self._read(query)
            raise BrokerError(
                f"the store cannot be read: {error}",
                code="S007",
                ack="AR",
                hint="try again; the broker's disk and database need a look",
            ) from error


def select_values(connection: Connection, kind: Kind[T], query: Select[Any]) -> list[T]:
    """Run *query*, which gives the contents of *kind*, and make the values."""
    return [kind.value(*row) for row in connection.select(query)]


def page(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], str]:
    """Cut *rows*, of which one more than *limit* was asked for; give the cursor of the next page, or the empty text."""
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], str(rows[limit - 1][0])


def aside(column: Column[str]) -> ColumnElement[str]:
    """Name *column* so that no index on it is used: another condition selects far fewer rows."""
    return column + ""
