"""Where SQLite and PostgreSQL differ: how they are opened, how a writing transaction begins, upserts, and their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    options = {"autocommit": True, "options": f"-c lock_timeout={BUSY_TIMEOUT_SECONDS}s"}
    return create_engine(read, poolclass=NullPool, connect_args=options, paramstyle="format")


def database_file(url: str) -> Path | None:
    """Give the file of a SQLite database, None for a server."""
    read = _read(url)
    return Path(str(read.database)) if read.get_backend_name() == "sqlite" else None


def begin_writing(dialect: Dialect) -> str:
    """Give the statement that begins a writing transaction; on SQLite it takes the lock at once."""
    return "BEGIN IMMEDIATE" if dialect.name == "sqlite" else "BEGIN"


def begin_reading(dialect: Dialect) -> str:
    """Give the statement that begins a snapshot for several queries."""
    return "BEGIN" if dialect.name == "sqlite" else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def is_in_transaction(connection: Any) -> bool:
    """Say whether a driver's connection has a transaction open; SQLite ends it by itself after some errors."""
    info = getattr(connection, "info", None)
    return bool(info.transaction_status if info is not None else connection.in_transaction)


def advisory_lock(dialect: Dialect) -> str | None:
    """Give the statement that holds a key against the writers of other processes; SQLite has one writer a file."""
    return None if dialect.name == "sqlite" else "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


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
