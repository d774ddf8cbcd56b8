"""Where SQLite and PostgreSQL differ: how they are opened, how a writing transaction begins, upserts, and their errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Dialect, Engine, Insert, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from broker.errors import ConfigurationError

BUSY_TIMEOUT_SECONDS = 5
"""How long a write waits for another program that holds the database."""


def open_engine(url: str) -> Engine:
    """Make the engine for *url*: drivers in autocommit (transactions are begun by hand), parameters by position."""
    read = _read(url)
    if read.get_backend_name() == "sqlite":
        arguments: dict[str, Any] = {
            "isolation_level": None,
            "check_same_thread": False,
            "timeout": BUSY_TIMEOUT_SECONDS,
            "cached_statements": 512,
        }
        engine = create_engine(read, poolclass=NullPool, connect_args=arguments)
        event.listen(engine, "connect", _set_up_sqlite)
        return engine
    return create_engine(read, poolclass=NullPool, connect_args=_postgresql_options(), paramstyle="format")


def database_file(url: str) -> Path | None:
    """Give the file of a SQLite database, None for a server."""
    read = _read(url)
    return Path(str(read.database)) if read.get_backend_name() == "sqlite" else None


def begin_writing(dialect: Dialect) -> str:
    """Give the statement that begins a writing transaction.

    SQLite takes the lock of the one writer at once. PostgreSQL holds whatever is read, also that a row was not there,
    against the writers of other processes: of two that contradict each other one fails (`is_conflict`).
    """
    return "BEGIN IMMEDIATE" if dialect.name == "sqlite" else "BEGIN ISOLATION LEVEL SERIALIZABLE"


def begin_reading(dialect: Dialect) -> str:
    """Give the statement that begins a snapshot for several queries."""
    return "BEGIN" if dialect.name == "sqlite" else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def is_in_transaction(connection: Any) -> bool:
    """Say whether a driver's connection has a transaction open; SQLite ends it by itself after some errors."""
    info = getattr(connection, "info", None)
    return bool(info.transaction_status if info is not None else connection.in_transaction)


def hurry(connection: Any, is_over: Callable[[], bool], steps: int) -> None:
    """Let SQLite break a query off when *is_over*, asked after each *steps* of its machine, and wait for no lock."""
    connection.set_progress_handler(is_over, steps)
    connection.execute(WAIT_NEVER)


def is_shared(dialect: Dialect) -> bool:
    """Say whether other processes may write to the database; a SQLite file has one broker (locking.py)."""
    return dialect.name != "sqlite"


def is_conflict(error: Exception) -> bool:
    """Say whether the writer of another process was in the way: nothing has taken effect, and once more it may."""
    return getattr(error, "sqlstate", None) in ("40001", "40P01")


def is_busy(error: Exception) -> bool:
    """Say whether another program holds the SQLite file."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_BUSY


def hold(names: Iterable[str]) -> str:
    """Give the statement that holds names against the writers of other processes until `LET_GO`, where they are shared.

    All hold them in the same order, so that no two wait for each other. It comes before the transaction: what that
    reads has to be newer than what the one before has written.
    """
    numbers = sorted({int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True) for name in names})
    return f"{_WITH_OTHERS}; SELECT pg_advisory_lock(name) FROM unnest(ARRAY{numbers}::bigint[]) AS held(name)"


_WITH_OTHERS: Final = "SELECT pg_advisory_lock_shared(0)"
WAIT_NEVER: Final = "PRAGMA busy_timeout = 0"
WAIT: Final = f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}"
"""How long SQLite waits for another program; it begins with the latter."""
DATA_VERSION: Final = "PRAGMA data_version"
HOLD_ALL: Final = "SELECT pg_advisory_lock(0)"
"""Writes alone: waits for all who write, and lets nobody begin."""
LET_GO: Final = "SELECT pg_advisory_unlock_all()"


def upsert(dialect: Dialect, table: Table) -> Insert:
    """Insert a row, or replace it whole by its primary key."""
    insert = sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)
    others = {c.name: insert.excluded[c.name] for c in table.columns if not c.primary_key}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=others)


def insert_new(dialect: Dialect, table: Table) -> Insert:
    """Insert a row unless its primary key is taken."""
    insert = sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)
    return insert.on_conflict_do_nothing(index_elements=list(table.primary_key.columns))


def _read(url: str) -> URL:
    try:
        read = make_url(url)
    except ArgumentError as error:
        raise _unusable("the database address cannot be read") from error
    if read.get_backend_name() == "sqlite" and read.database and read.database != ":memory:":
        return read
    if read.get_backend_name() == "postgresql":
        return read.set(drivername="postgresql+psycopg")
    raise _unusable(f"{read.render_as_string()} is no database that the broker can use")


def _postgresql_options() -> dict[str, Any]:
    """Wait for nothing without end: neither for a lock, nor for a server whose machine is gone.

    A server that loses sight of a broker lets go of what that held.
    """
    limits = {
        "lock_timeout": f"{BUSY_TIMEOUT_SECONDS}s",
        "idle_in_transaction_session_timeout": "30s",
        "tcp_keepalives_idle": 10,
        "tcp_keepalives_interval": 5,
        "tcp_keepalives_count": 3,
    }
    return {
        "autocommit": True,
        "connect_timeout": BUSY_TIMEOUT_SECONDS,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
    }


def _unusable(message: str) -> ConfigurationError:
    hint = "write sqlite:///path/to/broker.db or postgresql://user:password@host/name"
    return ConfigurationError(message, code="S010", hint=hint)


def _set_up_sqlite(connection: Any, record: object) -> None:
    """FULL, because NORMAL loses acknowledged orders when the power goes."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.close()
