"""Brings the tables of a database to the newest revision. Alembic is loaded only where there is something to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from broker.errors import ConfigurationError
from broker.store.dialects import HOLD_ALL, begin_writing, is_shared

HEAD = "0004"
"""The newest revision in migrations/versions."""


def bring_up_to_date(engine: Engine) -> None:
    """Create or upgrade the tables, all or nothing.

    Raises ConfigurationError: S005 when the database cannot be opened or written, S006 when it is of a newer broker.
    """
    try:
        with engine.connect() as connection:
            if is_shared(engine.dialect):
                connection.exec_driver_sql(HOLD_ALL)  # until it is closed; of brokers that start together one upgrades
            if find_revision(connection) != HEAD:
                _upgrade(connection)
    except DBAPIError as error:
        raise ConfigurationError(
            f"the database cannot be opened: {error.orig}",
            code="S005",
            hint="check that the folder exists, that it can be written, and that the file is a database",
        ) from error


def find_revision(connection: Connection) -> str | None:
    """Find the revision of a database; None when it is empty."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    settings.attributes["connection"] = connection
    connection.exec_driver_sql(begin_writing(connection.dialect))
    try:
        command.upgrade(settings, "head")
    except CommandError as error:
        connection.exec_driver_sql("ROLLBACK")
        raise ConfigurationError(
            "the database was made by a newer broker",
            code="S006",
            hint="run that version of the broker, or give this one a database of its own",
        ) from error
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
