"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from peers.postgresql import Postgresql
from peers.programs import find_program

DATABASES = ("sqlite", "postgresql")

Peer = Callable[[str], str]
NewDatabase = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def peer() -> Peer:
    """Find a peer's program by name: ``peer("findscu")`` is its path (see peers.programs)."""
    return find_program


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=DATABASES, help="run what needs a database on this one only, not on both")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run two at once on each processor: a story waits most of its time, for processes that it has started."""
    return min(4, 2 * (os.cpu_count() or 1))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that needs a database, whatever it is, on SQLite and on PostgreSQL."""
    if "database_kind" in metafunc.fixturenames:
        only = metafunc.config.getoption("--database")
        metafunc.parametrize("database_kind", [only] if only else DATABASES, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def new_database(database_kind: str, request: pytest.FixtureRequest) -> NewDatabase:
    """Make a database for as long as a context: ``with new_database(folder) as url``; on SQLite a file in *folder*."""
    if database_kind == "sqlite":
        return lambda folder: nullcontext(f"sqlite:///{folder}/broker.db")
    server: Postgresql = request.getfixturevalue("postgresql")
    return lambda folder: server.database()


@pytest.fixture
def database_url(new_database: NewDatabase, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database of the test's own: on SQLite of a file that is not there yet."""
    with new_database(tmp_path) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """Start a PostgreSQL server, once."""
    server = Postgresql()
    yield server
    server.remove()
