"""Writing what a batch has changed: per table one statement for many rows."""

from __future__ import annotations

import time
from typing import Any

from broker.store.connection import Connection
from broker.store.held import HeldRows
from broker.store.kinds import Identity
from broker.store.statements import KindStatements


class Versions:
    """Numbers that grow with every batch, also over restarts: the row versions by which caches are keyed."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Give the next one."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last


def flush(held: HeldRows, connection: Connection, version: int) -> bool:
    """Write all changes of *held*; say whether there were any."""
    is_changed = False
    for statements, changed in held.changes():
        _write(statements, changed, connection, version)
        is_changed = True
    return is_changed


def _write(
    statements: KindStatements[Any], changed: list[tuple[Identity, Any]], connection: Connection, version: int
) -> None:
    kind = statements.kind
    gone = [identity for identity, row in changed if row is None]
    rows = [row for identity, row in changed if row is not None]
    if gone:
        connection.write(statements.delete, gone)
    if rows:
        connection.write(statements.save, [kind.row(row, version) for row in rows])
    for projection in statements.projections:
        cleared = gone if projection.projection.is_kept else [identity for identity, row in changed]
        if cleared:
            connection.write(projection.clear, cleared)
        added = [made for row in rows for made in projection.projection.rows(row, version)]
        if added:
            connection.write(projection.add, added)
