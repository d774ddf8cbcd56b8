"""Short queries of a SQLite file, run on the event loop itself: handing one to a thread costs more than the query.

Whatever is not short is broken off, and then run by a thread after all (readers.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine

from broker.store.connection import Connection

T = TypeVar("T")

STEPS = 1_000
TURNS = 10
"""A query may take so many steps of SQLite's machine so many times: some 250 rows of the worklist, less than 1 ms."""


class TooLong(Exception):
    """What was asked is not for the event loop, or cannot be had there."""


class BriefReader:
    """Runs queries at once, on a connection of its own; belongs to the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._connection: Connection | None = None
        self._turns = 0

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run *query*. Raises TooLong also when the database is locked or cannot be read."""
        self._turns = 0
        try:
            return query(self._connection or self._open())
        except self._driver_error as error:
            if not self._is_broken_off:
                self.close()
            raise TooLong from error

    def close(self) -> None:
        """Close the connection; the next query opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> Connection:
        connection = self._connection = Connection(self._engine)
        connection.be_brief(self._count, STEPS)
        return connection

    @property
    def _is_broken_off(self) -> bool:
        return self._turns > TURNS

    def _count(self) -> bool:
        self._turns += 1
        return self._is_broken_off
