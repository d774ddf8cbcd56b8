"""The statements of jobs: compiled once for a dialect, kept by kind of row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    CTE,
    Column,
    Delete,
    Dialect,
    Insert,
    Select,
    Table,
    Text,
    bindparam,
    column,
    delete,
    insert,
    select,
    values,
)

from broker.store.codec import prepare
from broker.store.connection import Row, compiled
from broker.store.dialects import insert_new, upsert
from broker.store.kinds import Finder, Kind, NamedKey, Projection
from broker.store.prepared import Asked, Prepared

T = TypeVar("T")

MOST_KEYS = 256
"""Keys in one query; more are asked for in turns."""
MOST_ROWS = 64
"""Rows in one INSERT; a power of two."""


class Lookup(Generic[T]):
    """Finds the rows of one kind under keys of one name, many at a time."""

    def __init__(self, dialect: Dialect, kind: Kind[T], finder: Finder) -> None:
        self._kind = kind
        self.finder = finder
        self._prepared = Prepared(dialect, self._build)

    def queries(self, keys: Sequence[NamedKey]) -> list[tuple[str, Row]]:
        """Give the queries for *keys* with their parameters. A row is: parts of the key, of the identity, contents."""
        return [self._prepared.query(self._asked(keys[i : i + MOST_KEYS])) for i in range(0, len(keys), MOST_KEYS)]

    def _asked(self, keys: Sequence[NamedKey]) -> Asked:
        name, *parts = zip(*keys, strict=True)
        return dict(zip(self._names, (name, *parts) if self.finder.is_named else parts, strict=True))

    def prepare(self) -> None:
        """Compile the query for one key."""
        self._prepared.query(dict.fromkeys(self._names, ("",)))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The parts of a key that are asked for."""
        return tuple(column.name for column in self.finder.columns)

    def _build(self, asked: Asked) -> Select[Any]:
        finder, kind = self.finder, self._kind
        columns: list[Any] = [*finder.columns, *kind.identity_columns, *kind.content_columns]
        query = select(*columns).select_from(finder.source)
        if finder.fixed is not None:
            query = query.where(finder.fixed)
        if len(finder.columns) == 1:
            return query.where(finder.columns[0].in_(asked[self._names[0]]))
        keys = _keys_table(self._names, asked)
        return query.where(*(column == keys.c[column.name] for column in finder.columns))


class Insertion:
    """An INSERT for any number of rows, written out for 1, 2, 4 ... of them.

    One statement for many rows is run in one go while other threads work; one for each row stops for them at every row.
    """

    def __init__(self, dialect: Dialect, statement: Insert, table: Table) -> None:
        text = compiled(dialect, statement, column_keys=[column.name for column in table.columns]).text
        self._head, _, rest = text.partition(" VALUES ")
        self._row, mark, end = rest.partition(" ON CONFLICT")
        self._end = mark + end
        self._texts: dict[int, str] = {}

    def prepare(self) -> None:
        """Write out the statement for one row."""
        self._write(1)

    def queries(self, rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
        """Give the statements that insert *rows*, with their parameters."""
        start = 0
        while start < len(rows):
            count = min(MOST_ROWS, 1 << (len(rows) - start).bit_length() - 1)
            turn = rows[start : start + count]
            yield self._texts.get(count) or self._write(count), tuple(chain.from_iterable(turn))
            start += count

    def _write(self, count: int) -> str:
        text = f"{self._head} VALUES {', '.join([self._row] * count)}{self._end}"
        self._texts[count] = text
        return text


class ProjectionStatements(Generic[T]):
    """Takes away and adds the rows of one projection: by their owner, or one by one."""

    def __init__(self, dialect: Dialect, kind: Kind[T], projection: Projection[T]) -> None:
        self.projection = projection
        table = projection.table
        self.clear = _delete_text(dialect, table, table.columns)
        self.clear_owners = Prepared(dialect, self._clear_owners)
        new = insert(table) if projection.owner else insert_new(dialect, table)
        self.add = Insertion(dialect, new, table)

    def prepare(self) -> None:
        """Compile what takes away the rows of one owner."""
        if self.projection.owner:
            self.clear_owners.query({self.projection.owner: ("",)})

    def _clear_owners(self, asked: Asked) -> Delete:
        table, owner = self.projection.table, self.projection.owner
        return delete(table).where(table.c[owner].in_(asked[owner]))


class KindStatements(Generic[T]):
    """Everything that is run for one kind of row."""

    def __init__(self, dialect: Dialect, kind: Kind[T]) -> None:
        self._dialect = dialect
        self.kind = kind
        lookups = {id(finder): Lookup(dialect, kind, finder) for finder in kind.finders.values()}
        self.lookups = {name: lookups[id(finder)] for name, finder in kind.finders.items()}
        self.otherwise = {
            name: Lookup(dialect, kind, finder.otherwise)
            for name, finder in kind.finders.items()
            if finder.otherwise is not None
        }

    def prepare(self) -> None:
        """Make now what the first jobs would otherwise wait for."""
        prepare(self.kind.type)
        self.save.prepare()
        for lookup in (*self.lookups.values(), *self.otherwise.values()):
            lookup.prepare()
        for projection in self.projections:
            projection.prepare()

    @cached_property
    def save(self) -> Insertion:
        """The upsert of the kind's own table."""
        return Insertion(self._dialect, upsert(self._dialect, self.kind.table), self.kind.table)

    @cached_property
    def delete(self) -> str:
        """The deletion by primary key."""
        return _delete_text(self._dialect, self.kind.table, self.kind.identity_columns)

    @cached_property
    def projections(self) -> tuple[ProjectionStatements[T], ...]:
        """Those of the kind's projections, in order."""
        return tuple(ProjectionStatements(self._dialect, self.kind, one) for one in self.kind.projections)


def _keys_table(names: Sequence[str], asked: Asked) -> CTE:
    """Put keys of several columns in a table that is joined: SQLite finds no index for a list of tuples."""
    rows = list(zip(*(asked[name] for name in names), strict=True))
    return values(*(column(name, Text) for name in names), name="keys").data(rows).cte("keys")


def _delete_text(dialect: Dialect, table: Table, columns: Iterable[Column[Any]]) -> str:
    conditions = [column == bindparam(column.name) for column in columns]
    return compiled(dialect, delete(table).where(*conditions)).text
