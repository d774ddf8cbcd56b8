"""Writing what a batch has changed: per table one statement for many rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from broker.store.connection import Connection, Row
from broker.store.held import HeldRows
from broker.store.kinds import Kind
from broker.store.statements import MOST_KEYS, Insertion, KindStatements, ProjectionStatements


class Versions:
    """Numbers that grow with every batch, also over restarts: the row versions by which caches are keyed."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Give the next one."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last


def flush(held: HeldRows, connection: Connection, version: int) -> Iterator[None]:
    """Write all changes of *held*, stopping after each kind; without changes it ends at once."""
    for statements, saved, deleted in held.changes():
        _write(held, statements, saved, deleted, connection, version)
        yield


def _write(
    held: HeldRows,
    statements: KindStatements[Any],
    saved: list[Any],
    deleted: list[Any],
    connection: Connection,
    version: int,
) -> None:
    kind = statements.kind
    if deleted:
        connection.write(statements.delete, [kind.identity(row) for row in deleted])
    if saved:
        _insert(statements.save, [kind.row(row, version) for row in saved], connection)
    for one in statements.projections:
        if one.projection.owner:
            _clear(one, [*deleted, *saved], kind, connection)
            _insert(one.add, [made for row in saved for made in one.projection.rows(row, version)], connection)
        else:
            _clear(one, deleted, kind, connection)
            _insert(one.add, held.added(one.projection), connection)


def _clear(one: ProjectionStatements[Any], rows: list[Any], kind: Kind[Any], connection: Connection) -> None:
    """Take away what was made of *rows*: all that they own, or what they would give now."""
    projection = one.projection
    if projection.owner and rows:
        owners = [kind.identity(row)[0] for row in rows]
        for i in range(0, len(owners), MOST_KEYS):
            connection.run(*one.clear_owners.query({projection.owner: owners[i : i + MOST_KEYS]}))
    elif rows:
        connection.write(one.clear, [made for row in rows for made in projection.rows(row, 0)])


def _insert(insertion: Insertion, rows: list[Row], connection: Connection) -> None:
    for text, parameters in insertion.queries(rows):
        connection.run(text, parameters)
