"""The rows that the jobs of one transaction see: what is in the database, with the changes of the jobs before them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Dialect

from broker.ports import Key
from broker.store.connection import Connection, Row
from broker.store.kinds import Identity, Kind, NamedKey, Projection
from broker.store.recordkinds import KINDS
from broker.store.statements import KindStatements, Lookup

T = TypeVar("T")

_LASTING = {kind: tuple(one for one in of.projections if not one.owner) for kind, of in KINDS.items()}
"""The projections without owner: what a row has once made stays, whatever becomes of the row in the same batch."""


class Statements:
    """The statements of every kind, made when they are first needed and kept as long as the store."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._of: dict[type[Any], KindStatements[Any]] = {}

    def of(self, kind: type[T]) -> KindStatements[T]:
        """Give the statements of *kind*."""
        found = self._of.get(kind)
        if found is None:
            found = self._of[kind] = KindStatements(self._dialect, KINDS[kind])
        return found

    def prepare(self) -> None:
        """Make those of every kind."""
        for kind in KINDS:
            self.of(kind).prepare()


class HeldRows:
    """The unit of work of one batch: each row once, under all its keys, and what has changed (see ports.Held).

    Nothing is written before the end: a query's answer is overlaid with what the batch has saved and deleted.
    """

    def __init__(self, statements: Statements, connection: Connection) -> None:
        self._statements = statements
        self._connection = connection
        self._rows: dict[type[Any], dict[Identity, Any]] = defaultdict(dict)
        self._index: dict[tuple[type[Any], NamedKey], dict[Identity, None]] = {}
        self._asked: set[tuple[type[Any], NamedKey]] = set()
        self._saved: dict[type[Any], dict[Identity, Any]] = defaultdict(dict)
        self._deleted: dict[type[Any], dict[Identity, Any]] = defaultdict(dict)
        self._added: dict[str, dict[Row, None]] = defaultdict(dict)

    def find(self, kind: type[T], *key: str) -> tuple[T, ...]:
        """Find all rows of *kind* under *key*, as the jobs before have left them."""
        asked = kind, key
        if asked not in self._asked:
            self.prefetch([asked])
        identities = self._index.get(asked)
        if not identities:
            return ()
        of: Kind[T] = KINDS[kind]
        rows = self._rows[kind]
        known = [rows[identity] for identity in identities]
        if of.finders[key[0]].is_owned:
            return tuple(row for row in known if row is not None)[:1]
        found = tuple(row for row in known if row is not None and key in of.keys(row))
        if of.prefers is not None and len(found) > 1:
            return tuple(row for row in found if of.prefers(row, key)) or found
        return found

    def prefetch(self, keys: Iterable[Key]) -> None:
        """Fetch the rows under *keys*, those that are found in one way with one query."""
        wanted: dict[tuple[type[Any], Lookup[Any]], list[NamedKey]] = defaultdict(list)
        for asked in keys:
            if asked in self._asked:
                continue
            self._asked.add(asked)
            kind, key = asked
            lookup: Lookup[Any] = self._statements.of(kind).lookups[key[0]]
            if key[lookup.finder.subject]:
                wanted[kind, lookup].append(key)
        for (kind, lookup), named in wanted.items():
            found = self._fetch(kind, lookup, named)
            otherwise = self._statements.of(kind).otherwise.get(named[0][0])
            if otherwise is not None and (missing := [key for key in named if key not in found]):
                self._fetch(kind, otherwise, missing)

    def save(self, row: Any) -> None:
        """Put *row* in the place of what has its identity; found from now on under the keys that it has now."""
        kind = type(row)
        of = KINDS[kind]
        identity = of.identity(row)
        rows = self._rows[kind]
        if identity in rows and rows[identity] == row:
            return
        rows[identity] = row
        self._saved[kind][identity] = row
        self._deleted[kind].pop(identity, None)
        index = self._index
        for key in of.keys(row):
            named = kind, key
            if named in index:
                index[named][identity] = None
            else:
                index[named] = {identity: None}
        for projection in _LASTING[kind]:
            self._added[projection.table.name].update(dict.fromkeys(projection.rows(row, 0)))

    def delete(self, row: Any) -> None:
        """Take *row* away."""
        identity = KINDS[type(row)].identity(row)
        for projection in _LASTING[type(row)]:
            for made in projection.rows(row, 0):
                self._added[projection.table.name].pop(made, None)
        self._rows[type(row)][identity] = None
        self._saved[type(row)].pop(identity, None)
        self._deleted[type(row)][identity] = row

    def added(self, projection: Projection[Any]) -> list[Row]:
        """Give what all saves have made of a *projection* without owner, also those since overwritten: first come, first."""
        return list(self._added[projection.table.name])

    def changes(self) -> Iterator[tuple[KindStatements[Any], list[Any], list[Any]]]:
        """Give what has changed, by kind in the order of writing: the rows that are saved, and those that are deleted."""
        for kind in KINDS:
            saved, deleted = self._saved.get(kind), self._deleted.get(kind)
            if saved or deleted:
                yield self._statements.of(kind), list((saved or {}).values()), list((deleted or {}).values())

    def _fetch(self, kind: type[Any], lookup: Lookup[Any], keys: list[NamedKey]) -> Collection[NamedKey]:
        """Fetch what is under *keys* into the map; give the keys under which there is something."""
        of = KINDS[kind]
        before = () if lookup.finder.is_named else (keys[0][0],)
        in_key, in_identity = len(lookup.finder.columns), len(of.identity_columns)
        rows = self._rows[kind]
        found: dict[NamedKey, list[Identity]] = defaultdict(list)
        for text, parameters in lookup.queries(keys):
            for row in self._connection.fetch(text, parameters):
                identity = row[in_key : in_key + in_identity]
                found[before + row[:in_key]].append(identity)
                if identity not in rows:
                    rows[identity] = of.value(*row[in_key + in_identity :])
        for key, identities in found.items():
            self._index[kind, key] = dict.fromkeys(sorted(identities)) | self._index.get((kind, key), {})
        return found
