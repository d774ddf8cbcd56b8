"""Writing what a batch has changed: per table one statement for many rows."""

from __future__ import annotations

import time
from typing import Any

from broker.store.connection import Connection
from broker.store.held import HeldRows
from broker.store.kinds import Kind, Projection
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
    for statements, saved, deleted in held.changes():
        _write(statements, saved, deleted, connection, version)
        is_changed = True
    return is_changed


def _write(
    statements: KindStatements[Any], saved: list[Any], deleted: list[Any], connection: Connection, version: int
) -> None:
    kind = statements.kind
    if deleted:
        connection.write(statements.delete, [kind.identity(row) for row in deleted])
    if saved:
        connection.write(statements.save, [kind.row(row, version) for row in saved])
    for projection in statements.projections:
        cleared = _cleared(kind, projection.projection, saved, deleted)
        if cleared:
            connection.write(projection.clear, cleared)
        added = [made for row in saved for made in projection.projection.rows(row, version)]
        if added:
            connection.write(projection.add, added)


def _cleared(kind: Kind[Any], projection: Projection[Any], saved: list[Any], deleted: list[Any]) -> list[Any]:
    if projection.owner:
        return [kind.identity(row) for row in (*deleted, *saved)]
    return [made for row in deleted for made in projection.rows(row, 0)]
