"""Several brokers share a database: whose file an object is, who carries what, and texts sorted the same everywhere."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text, inspect, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what tells brokers apart; on PostgreSQL sort every text by code points."""
    op.add_column("instances", Column("spool", Text, nullable=False, server_default=text("''")))
    op.create_table("leases", Column("name", Text, primary_key=True), Column("document", Text, nullable=False))
    if op.get_context().dialect.name == "postgresql":
        _sort_by_code_points()


def _sort_by_code_points() -> None:
    inspector = inspect(op.get_bind())
    for table in inspector.get_table_names():
        columns = (column["name"] for column in inspector.get_columns(table) if isinstance(column["type"], Text))
        changes = ", ".join(f'ALTER COLUMN {name} TYPE TEXT COLLATE "C"' for name in columns)
        if changes:
            op.execute(f"ALTER TABLE {table} {changes}")
