"""Making and upgrading the tables."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import broker.store
from broker.errors import ConfigurationError
from broker.store import schema
from broker.store.codec import dump
from broker.store.dialects import open_engine
from broker.store.tables import metadata


def test_the_revisions_make_the_tables_that_the_code_uses(database):
    engine = open_engine(f"sqlite:///{database}")

    schema.bring_up_to_date(engine)

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    with open_engine(f"sqlite:///{database.with_name('other.db')}").connect() as connection:
        metadata.create_all(connection)
        declared = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    assert {(name, _plain(sql)) for name, sql in made if name != "alembic_version"} == {
        (name, _plain(sql)) for name, sql in declared
    }


def _plain(sql):
    """Leave out spaces, and the places of columns: one that is added later comes last."""
    return frozenset(part.strip() for part in " ".join(sql.split()).removesuffix(")").split(","))


def test_the_newest_revision_is_the_one_that_is_looked_for():
    folder = Path(broker.store.__file__).with_name("migrations")

    assert ScriptDirectory(str(folder)).get_heads() == [schema.HEAD]


def test_objects_from_before_spools_had_names_are_of_the_only_one(database, opened_file, rows):
    engine = open_engine(f"sqlite:///{database}")
    settings = Config()
    settings.set_main_option("script_location", str(Path(broker.store.__file__).with_name("migrations")))
    with engine.connect() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        document = dump(rows.instance(1), frozenset({"spool"}))
        connection.exec_driver_sql(
            "INSERT INTO instances VALUES ('1.2.1.1.1', 'digest 1', '1.2.1', '1.2.1.1', '1.2.1/1.dcm', ?)", (document,)
        )

    async def story():
        async with opened_file() as store:
            return await store.instances.of_study("1.2.1"), await store.instances.paths("S1")

    assert asyncio.run(story()) == ([rows.instance(1)], {"1.2.1/1.dcm"})


def test_a_database_of_a_newer_broker_is_refused_and_left_alone(database):
    engine = open_engine(f"sqlite:///{database}")
    schema.bring_up_to_date(engine)
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(ConfigurationError) as raised:
        schema.bring_up_to_date(engine)

    assert raised.value.code == "S006"
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


@pytest.mark.parametrize("content", [b"this is no database, it is a letter" * 100, None])
def test_what_is_no_database_is_refused(database, opened_file, content):
    if content is None:
        database.mkdir()
    else:
        database.write_bytes(content)

    async def story():
        async with opened_file():
            pass

    with pytest.raises(ConfigurationError) as raised:
        asyncio.run(story())

    assert raised.value.code == "S005"


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_an_address_that_cannot_be_used_is_refused(url):
    with pytest.raises(ConfigurationError) as raised:
        open_engine(url)

    assert raised.value.code == "S010"


def test_an_up_to_date_database_is_opened_without_alembic(database):
    engine = open_engine(f"sqlite:///{database}")
    schema.bring_up_to_date(engine)
    program = (
        "import sys; from broker.store.dialects import open_engine; from broker.store.schema import bring_up_to_date;"
        f"bring_up_to_date(open_engine('sqlite:///{database}')); print('alembic' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert said.stdout == "False\n"
