"""One connection, of one user at a time: statements compiled once by SQLAlchemy, run by the driver itself.

A busy writer runs some twenty statements a batch; SQLAlchemy's own execution would cost more than the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement

from broker.store.dialects import (
    DATA_VERSION,
    HOLD_ALL,
    LET_GO,
    WAIT,
    WAIT_NEVER,
    begin_reading,
    begin_writing,
    hold,
    hurry,
    is_busy,
    is_in_transaction,
    is_shared,
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text and the parameters that it was compiled with, by position."""

    text: str
    parameters: Row


def compiled(dialect: Dialect, statement: ClauseElement, **options: Any) -> Statement:
    """Compile *statement*; lists of values are written out one by one."""
    made = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}, **options)
    names: Sequence[str] = getattr(made, "positiontup", None) or ()
    return Statement(str(made), tuple(made.params[name] for name in names))


class Connection:
    """A database connection in autocommit; transactions are begun and ended by hand. Raises the driver's errors."""

    def __init__(self, engine: Engine) -> None:
        self.dialect = engine.dialect
        self._begin = begin_writing(engine.dialect)
        self._snapshot = begin_reading(engine.dialect)
        self._is_shared = is_shared(engine.dialect)
        self._is_holding = False
        self._driver_error: type[Exception] = engine.dialect.loaded_dbapi.Error
        try:
            self._raw = engine.raw_connection()
        except DBAPIError as error:
            raise error.orig or error from error
        self._cursor = self._raw.cursor()
        self.is_brief = False

    def be_brief(self, is_over: Callable[[], bool], steps: int) -> None:
        """Break a query off when *is_over*, asked after each *steps* of SQLite's machine; wait for no lock."""
        hurry(self._raw.dbapi_connection, is_over, steps)
        self.is_brief = True

    def fetch(self, text: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query by its text and give all rows."""
        self._cursor.execute(text, parameters)
        return list(self._cursor.fetchall())

    def select(self, query: Select[Any]) -> list[Row]:
        """Run a query that is compiled for this once."""
        statement = compiled(self.dialect, query)
        return self.fetch(statement.text, statement.parameters)

    def run(self, text: str, parameters: Sequence[Any]) -> None:
        """Run one statement that gives no rows."""
        self._cursor.execute(text, parameters)

    def write(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each of *rows*."""
        self._cursor.executemany(text, rows)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let several queries see the same moment."""
        self._cursor.execute(self._snapshot)
        try:
            yield
        finally:
            self.rollback()

    def begin_at_once(self) -> bool:
        """Begin a writing transaction if that needs no waiting, neither for a server nor for another program."""
        if self._is_shared:
            return False
        self._cursor.execute(WAIT_NEVER)
        try:
            self._cursor.execute(self._begin)
        except self._driver_error as error:
            if not is_busy(error):
                raise
            return False
        finally:
            self._cursor.execute(WAIT)
        return True

    def begin(self, names: Iterable[str] = (), *, is_alone: bool = False) -> None:
        """Begin a writing transaction that holds *names* (or, alone, everything) against other processes' writers."""
        if self._is_shared:
            self._is_holding = True
            self._cursor.execute(HOLD_ALL if is_alone else hold(names))
        self._cursor.execute(self._begin)

    def foreign_version(self) -> int | None:
        """Give a number that changes when another connection changes the database; None where that is not known."""
        if self._is_shared:
            return None
        version: int = self.fetch(DATA_VERSION)[0][0]
        return version

    def commit(self) -> None:
        """Commit: on return everything is on disk; failing, it may be there or not."""
        self._cursor.execute(f"COMMIT; {LET_GO}" if self._is_holding else "COMMIT")
        self._is_holding = False

    def rollback(self) -> None:
        """Give up the transaction, where the database has not done so itself."""
        if is_in_transaction(self._raw.dbapi_connection):
            self._cursor.execute("ROLLBACK")
        if self._is_holding:
            self._cursor.execute(LET_GO)
            self._is_holding = False

    def close(self) -> None:
        """Close; what is not committed is lost."""
        self._raw.invalidate()
