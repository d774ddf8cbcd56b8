"""The statements of jobs: compiled once for a dialect, kept by kind of row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

from sqlalchemy import CTE, Dialect, Insert, Select, Table, Text, bindparam, column, delete, insert, select, values

from broker.store.connection import Row, compiled
from broker.store.dialects import insert_new, upsert
from broker.store.kinds import Finder, Kind, NamedKey, Projection
from broker.store.prepared import Asked, Prepared

T = TypeVar("T")

MOST_KEYS = 256
"""Keys in one query; more are asked for in turns."""


class Lookup(Generic[T]):
    """Finds the rows of one kind under keys of one name, many at a time."""

    def __init__(self, dialect: Dialect, kind: Kind[T], finder: Finder) -> None:
        self._kind = kind
        self._finder = finder
        self._prepared = Prepared(dialect, self._build)

    def queries(self, keys: Sequence[NamedKey]) -> list[tuple[str, Row]]:
        """Give the queries for *keys* with their parameters. A row is: parts of the key, of the identity, contents."""
        turns = [keys[i : i + MOST_KEYS] for i in range(0, len(keys), MOST_KEYS)]
        return [self._prepared.query(dict(zip(self._names, zip(*turn, strict=True), strict=True))) for turn in turns]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The parts of a key: its name, then the columns."""
        return ("", *(column.name for column in self._finder.columns))

    def _build(self, asked: Asked) -> Select[Any]:
        finder, kind = self._finder, self._kind
        columns: list[Any] = [*finder.columns, *kind.identity_columns, *kind.content_columns]
        query = select(*columns).select_from(finder.source)
        if finder.fixed is not None:
            query = query.where(finder.fixed)
        if len(finder.columns) == 1:
            return query.where(finder.columns[0].in_(asked[self._names[1]]))
        keys = _keys_table(self._names[1:], asked)
        return query.where(*(column == keys.c[column.name] for column in finder.columns))


class ProjectionStatements(Generic[T]):
    """Takes away and adds the rows of one projection: by their owner, or one by one."""

    def __init__(self, dialect: Dialect, kind: Kind[T], projection: Projection[T]) -> None:
        self.projection = projection
        columns = [projection.table.c[projection.owner]] if projection.owner else projection.table.columns
        conditions = [column == bindparam(column.name) for column in columns]
        self.clear = compiled(dialect, delete(projection.table).where(*conditions)).text
        new = insert(projection.table) if projection.owner else insert_new(dialect, projection.table)
        self.add = _insert_text(dialect, new, projection.table)


class KindStatements(Generic[T]):
    """Everything that is run for one kind of row."""

    def __init__(self, dialect: Dialect, kind: Kind[T]) -> None:
        self._dialect = dialect
        self.kind = kind
        self.lookups = {name: Lookup(dialect, kind, finder) for name, finder in kind.finders.items()}
        self.otherwise = {
            name: Lookup(dialect, kind, finder.otherwise)
            for name, finder in kind.finders.items()
            if finder.otherwise is not None
        }

    @cached_property
    def save(self) -> str:
        """The upsert of the kind's own table."""
        return _insert_text(self._dialect, upsert(self._dialect, self.kind.table), self.kind.table)

    @cached_property
    def delete(self) -> str:
        """The deletion by primary key."""
        conditions = [column == bindparam(column.name) for column in self.kind.identity_columns]
        return compiled(self._dialect, delete(self.kind.table).where(*conditions)).text

    @cached_property
    def projections(self) -> tuple[ProjectionStatements[T], ...]:
        """Those of the kind's projections, in order."""
        return tuple(ProjectionStatements(self._dialect, self.kind, one) for one in self.kind.projections)


def _keys_table(names: Sequence[str], asked: Asked) -> CTE:
    """Put keys of several columns in a table that is joined: SQLite finds no index for a list of tuples."""
    rows = list(zip(*(asked[name] for name in names), strict=True))
    return values(*(column(name, Text) for name in names), name="keys").data(rows).cte("keys")


def _insert_text(dialect: Dialect, statement: Insert, table: Table) -> str:
    return compiled(dialect, statement, column_keys=[column.name for column in table.columns]).text
