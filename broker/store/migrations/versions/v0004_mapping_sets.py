"""Sets of mappings that were in force, to compare with and to go back to."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table of sets."""
    collation = "C" if op.get_context().dialect.name == "postgresql" else None
    op.create_table(
        "mapping_sets",
        Column("digest", Text(collation=collation), primary_key=True),
        Column("loaded_at", Text(collation=collation), nullable=False),
        Column("content", LargeBinary, nullable=False),
        Column("document", Text(collation=collation), nullable=False),
    )
    op.create_index("mapping_sets_loaded", "mapping_sets", ["loaded_at"])
