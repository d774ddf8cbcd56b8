"""When an MPPS is to be looked at, because nobody closes it or because what it names does not come."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Look at the open ones in turn; their documents say when exactly."""
    kind = Text().with_variant(Text(collation="C"), "postgresql")
    op.add_column("performed", Column("look_at", kind, nullable=False, server_default=text("''")))
    op.execute("UPDATE performed SET look_at = updated_at WHERE status = 'IN PROGRESS'")
    op.drop_index("performed_open", "performed")
    condition = text("look_at <> ''")
    op.create_index("performed_look", "performed", ["look_at"], sqlite_where=condition, postgresql_where=condition)
