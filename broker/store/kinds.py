"""What is kept where: for each kind of row its table, its keys, its searched columns and its projections.

`Kind` is the form; bookkinds.py fills it in for the order book, recordkinds.py for what is kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, FromClause, Table
from sqlalchemy.sql.elements import ColumnElement

from broker.store.codec import dump, load
from broker.store.tables import present

T = TypeVar("T")

Identity = tuple[str, ...]
"""The primary key of a row."""
NamedKey = tuple[str, ...]
"""A key by which rows are found, its name first: ``("accession", "A1")``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Where rows are looked up by one kind of key.

    *subject* is the part of a key that is never empty: a key without it finds nothing, instead of everything.
    *fixed* is a condition that goes without saying. *is_named*: the first column holds the key's name, so that keys of
    several names are looked up at once. *is_owned*: the first row to have a key keeps it. *otherwise* is where keys are
    looked up that were not found here.
    """

    columns: tuple[Column[str], ...]
    source: FromClause
    fixed: ColumnElement[bool] | None = None
    subject: int = -1
    is_named: bool = False
    is_owned: bool = False
    otherwise: Finder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection(Generic[T]):
    """Rows made from a value for searching. With an *owner*, the column that names the value, they are replaced at each save.

    Without one they are added and stay as long as the value does, and a row that another value has stays the other's.
    """

    table: Table
    rows: Callable[[T, int], Iterable[tuple[Any, ...]]]
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """One kind of row. *columns* gives the searched columns of a value in the table's order; the number is its version.

    *blobs* are attributes that are kept in columns of their own, out of the document. *keys* lists all under which a
    value is found; *prefers* breaks the tie when several have a key. *is_remembered*: jobs ask for the same ones again and again.
    """

    type: type[T]
    table: Table
    identity: Callable[[T], Identity]
    keys: Callable[[T], Iterable[NamedKey]]
    finders: Mapping[str, Finder]
    columns: Callable[[T, int], tuple[Any, ...]]
    projections: tuple[Projection[T], ...] = ()
    blobs: tuple[str, ...] = ()
    prefers: Callable[[T, NamedKey], bool] | None = None
    is_remembered: bool = False

    def row(self, value: T, version: int) -> tuple[Any, ...]:
        """Give the row of the kind's own table, in the table's order."""
        searched = (*self.identity(value), *self.columns(value, version))
        if not self.blobs:
            return (*searched, dump(value))
        return (*searched, *[getattr(value, name) for name in self.blobs], dump(value, set(self.blobs)))

    def value(self, document: str, *blobs: bytes) -> T:
        """Make the value again from its document and blobs."""
        return load(self.type, document, dict(zip(self.blobs, blobs, strict=True)))

    @property
    def identity_columns(self) -> tuple[Column[Any], ...]:
        """The columns of the primary key."""
        return tuple(self.table.primary_key.columns)

    @property
    def content_columns(self) -> tuple[Column[Any], ...]:
        """What `value` is made from."""
        return tuple(self.table.c[name] for name in ("document", *self.blobs))


def links(table: Table, owner: str, rows: Callable[[T], Iterable[tuple[str, ...]]]) -> Projection[T]:
    """Make the projection of a table of links; they are replaced at each save of what the column *owner* names."""
    return Projection(table=table, owner=owner, rows=lambda value, version: rows(value))


def by(column: Column[str]) -> Finder:
    """Find by a column of the kind's own table."""
    return Finder(columns=(column,), source=column.table, fixed=present(column))


def through(link: Column[str], target: Column[str]) -> Finder:
    """Find by a column of a table of links; the link's column with the owner's identity is joined to *target*."""
    owner = next(column for column in link.table.c if column is not link)
    return Finder(columns=(link,), source=link.table.join(target.table, owner == target))
