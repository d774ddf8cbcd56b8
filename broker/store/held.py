"""The rows that the jobs of one transaction see: what is in the database, with the changes of the jobs before them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Dialect

from broker.ports import Key
from broker.store.connection import Connection, Row
from broker.store.kinds import Identity, Kind, NamedKey, Projection
from broker.store.recordkinds import KINDS
from broker.store.statements import KindStatements, Lookup

T = TypeVar("T")

MOST_KNOWN = 1024
"""Keys of one kind that are kept from one transaction to the next; beyond that all are forgotten."""

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


@dataclass(slots=True)
class _Known(Generic[T]):
    """What is known of one kind: *rows* by identity (None: deleted), their identities by key, the keys *asked* for."""

    rows: dict[Identity, T | None] = field(default_factory=dict)
    index: dict[NamedKey, dict[Identity, None]] = field(default_factory=dict)
    asked: set[NamedKey] = field(default_factory=set)
    saved: dict[Identity, T] = field(default_factory=dict)
    deleted: dict[Identity, T] = field(default_factory=dict)


class HeldRows:
    """The unit of work of one batch: each row once, under all its keys, and what has changed (see ports.Held).

    Nothing is written before the end: a query's answer is overlaid with what the batch has saved and deleted.
    """

    def __init__(self, statements: Statements, connection: Connection) -> None:
        self._statements = statements
        self._connection = connection
        self._known: dict[type[Any], _Known[Any]] = defaultdict(_Known)
        self._added: dict[str, dict[Row, None]] = defaultdict(dict)

    def find(self, kind: type[T], *key: str) -> tuple[T, ...]:
        """Find all rows of *kind* under *key*, as the jobs before have left them."""
        known: _Known[T] = self._known[kind]
        if key not in known.asked:
            self.prefetch([(kind, key)])
        identities = known.index.get(key)
        if not identities:
            return ()
        of: Kind[T] = KINDS[kind]
        finder = of.finders[key[0]]
        if not key[finder.subject]:
            return ()
        found = [row for identity in identities if (row := known.rows[identity]) is not None]
        if finder.is_owned:
            return tuple(found[:1])
        found = [row for row in found if key in of.keys(row)]
        if of.prefers is not None and len(found) > 1:
            return tuple([row for row in found if of.prefers(row, key)] or found)
        return tuple(found)

    def prefetch(self, keys: Iterable[Key]) -> None:
        """Fetch the rows under *keys*, those that are found in one way with one query."""
        wanted: dict[tuple[type[Any], Lookup[Any]], list[NamedKey]] = defaultdict(list)
        for kind, key in keys:
            asked = self._known[kind].asked
            if key in asked:
                continue
            asked.add(key)
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
        known = self._known[kind]
        identity = of.identity(row)
        if identity in known.rows and known.rows[identity] == row:
            return
        known.rows[identity] = row
        known.saved[identity] = row
        known.deleted.pop(identity, None)
        index = known.index
        for key in of.keys(row):
            if key in index:
                index[key][identity] = None
            else:
                index[key] = {identity: None}
        for projection in _LASTING[kind]:
            self._added[projection.table.name].update(dict.fromkeys(projection.rows(row, 0)))

    def delete(self, row: Any) -> None:
        """Take *row* away."""
        known = self._known[type(row)]
        identity = KINDS[type(row)].identity(row)
        for projection in _LASTING[type(row)]:
            for made in projection.rows(row, 0):
                self._added[projection.table.name].pop(made, None)
        known.rows[identity] = None
        known.saved.pop(identity, None)
        known.deleted[identity] = row

    def added(self, projection: Projection[Any]) -> list[Row]:
        """Give what all saves have made of a *projection* without owner, also those since overwritten: first come, first."""
        return list(self._added[projection.table.name])

    def changes(self) -> Iterator[tuple[KindStatements[Any], list[Any], list[Any]]]:
        """Give what has changed, by kind in the order of writing: the rows that are saved, and those that are deleted."""
        for kind in KINDS:
            known = self._known.get(kind)
            if known is not None and (known.saved or known.deleted):
                yield self._statements.of(kind), list(known.saved.values()), list(known.deleted.values())

    def settle(self) -> None:
        """Begin the next transaction, the changes of the one before being on disk: what the order book holds stays known."""
        self._added.clear()
        for kind, known in tuple(self._known.items()):
            if KINDS[kind].is_remembered and len(known.asked) + len(known.index) < MOST_KNOWN:
                known.saved.clear()
                known.deleted.clear()
            else:
                del self._known[kind]

    def _fetch(self, kind: type[Any], lookup: Lookup[Any], keys: list[NamedKey]) -> Collection[NamedKey]:
        """Fetch what is under *keys* into the map; give the keys under which there is something."""
        of = KINDS[kind]
        before = () if lookup.finder.is_named else (keys[0][0],)
        in_key, in_identity = len(lookup.finder.columns), len(of.identity_columns)
        known = self._known[kind]
        found: dict[NamedKey, list[Identity]] = defaultdict(list)
        for text, parameters in lookup.queries(keys):
            for row in self._connection.fetch(text, parameters):
                identity = row[in_key : in_key + in_identity]
                found[before + row[:in_key]].append(identity)
                if identity not in known.rows:
                    known.rows[identity] = of.value(*row[in_key + in_identity :])
        for key, identities in found.items():
            known.index[key] = dict.fromkeys(sorted(identities)) | known.index.get(key, {})
        return found
