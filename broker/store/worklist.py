"""Reading the worklist: the keys of the steps that a query may mean, then the entries, built once and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, cast

from broker.domain.order import Order, Patient
from broker.domain.query import Criteria
from broker.domain.worklist import WorklistEntry
from broker.domain.worklist_item import entry
from broker.store.brief import TooLong
from broker.store.codec import moment
from broker.store.connection import Connection, Row
from broker.store.held import Statements
from broker.store.prepared import Prepared
from broker.store.readers import Readers
from broker.store.worklist_query import (
    completed_steps_query,
    conditions,
    order_steps_query,
    patient_query,
    patients_of,
    step_query,
)

KEPT_ENTRIES = 5_000
"""So many used lately; as many again, used before them, go when the next so many have been used."""
MOST_BUILT_AT_ONCE = 4
"""More entries than that are not built on the event loop."""
KEPT_LISTS = 20_000
"""So many entries in all lists that are kept while nothing changes."""
MOST_PATIENTS = 64
"""More patients than that do not lead a query: the list itself is shorter."""

StepKey = Row
"""Order, requested procedure, step, the order's version, the patient's version."""


class WorklistReader:
    """Gives worklist entries; those that have not changed are not built again."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._statements = Statements(readers.dialect)
        self._steps = Prepared(readers.dialect, step_query)
        self._steps_of_orders = Prepared(readers.dialect, order_steps_query)
        self._completed_steps = Prepared(readers.dialect, completed_steps_query)
        self._patients = Prepared(readers.dialect, partial(patient_query, most=MOST_PATIENTS + 1))
        self._kept: dict[StepKey, WorklistEntry] = {}
        self._kept_before: dict[StepKey, WorklistEntry] = {}
        self._guard = Lock()
        self._lists: dict[Criteria, list[WorklistEntry]] = {}
        self._lists_version: int | None = None
        self._lists_size = 0

    async def search(self, criteria: Criteria) -> list[WorklistEntry]:
        """Give the listed steps that *criteria* do not leave out, by start. Not to be changed.

        Scanners ask the same thing over and over: as long as nobody has changed anything, the list is the same.
        """
        version = self._readers.version()
        if version is None or version != self._lists_version:
            self._forget_lists(version)
        found = self._lists.get(criteria)
        if found is None:
            read = self._readers.read if criteria == Criteria() else self._readers.read_soon
            found = await read(partial(self._search, criteria))
            if version is not None and self._readers.version() == version == self._lists_version:
                self._keep_list(criteria, found)
        return found

    def _forget_lists(self, version: int | None) -> None:
        self._lists.clear()
        self._lists_size, self._lists_version = 0, version

    def _keep_list(self, criteria: Criteria, found: list[WorklistEntry]) -> None:
        self._lists_size += len(found) + 1
        if self._lists_size <= KEPT_LISTS:
            self._lists[criteria] = found
        else:
            self._forget_lists(self._lists_version)

    async def of_orders(self, order_ids: Sequence[str]) -> list[WorklistEntry]:
        """Give all steps of these orders, listed or not."""
        if not order_ids:
            return []
        return await self._readers.read(partial(self._of_orders, order_ids))

    async def completed_since(self, since: datetime) -> list[WorklistEntry]:
        """Give the steps completed at *since* or later, by start."""
        return await self._readers.read_soon(partial(self._completed_since, since))

    def _completed_since(self, since: datetime, connection: Connection) -> list[WorklistEntry]:
        with connection.snapshot():
            keys = connection.fetch(*self._completed_steps.query({"since": (moment(since),)}))
            return self._entries(connection, keys)

    def _search(self, criteria: Criteria, connection: Connection) -> list[WorklistEntry]:
        asked = conditions(criteria)
        of_patients = patients_of(criteria)
        with connection.snapshot():
            if of_patients:
                refs = tuple(ref for (ref,) in connection.fetch(*self._patients.query(of_patients)))
                if not refs:
                    return []
                asked["patients"] = refs if len(refs) <= MOST_PATIENTS else ()
            given = {name: values for name, values in asked.items() if values}
            return self._entries(connection, connection.fetch(*self._steps.query(given)))

    def _of_orders(self, order_ids: Sequence[str], connection: Connection) -> list[WorklistEntry]:
        with connection.snapshot():
            keys = connection.fetch(*self._steps_of_orders.query({"orders": order_ids}))
            return self._entries(connection, keys)

    def _entries(self, connection: Connection, keys: Iterable[Row]) -> list[WorklistEntry]:
        keys = list(dict.fromkeys(keys))
        found = list(map(self._kept.get, keys))
        missing = [key for key, kept in zip(keys, found, strict=True) if kept is None]
        if missing:
            if connection.is_brief and len(missing) > MOST_BUILT_AT_ONCE:
                raise TooLong
            fresh = self._again(missing)
            fresh.update(self._build(connection, [key for key in missing if key not in fresh]))
            self._keep(fresh)
            found = [kept or fresh[key] for key, kept in zip(keys, found, strict=True)]
        return cast(list[WorklistEntry], found)

    def _again(self, keys: Iterable[StepKey]) -> dict[StepKey, WorklistEntry]:
        """Give those of *keys* that were kept before the last change of generations."""
        before = self._kept_before
        return {key: before[key] for key in keys if key in before}

    def _keep(self, entries: Mapping[StepKey, WorklistEntry]) -> None:
        with self._guard:
            self._kept.update(entries)
            if len(self._kept) > KEPT_ENTRIES:
                self._kept, self._kept_before = {}, self._kept

    def _build(self, connection: Connection, keys: Sequence[Row]) -> dict[StepKey, WorklistEntry]:
        orders = self._load(connection, Order, "id", dict.fromkeys(key[0] for key in keys))
        refs = dict.fromkeys(order.patient_ref for order in orders.values())
        patients = self._load(connection, Patient, "ref", refs)
        built: dict[StepKey, WorklistEntry] = {}
        for key in keys:
            order = orders[key[0]]
            step = next(one for one in order.steps if (one.procedure_id, one.step_id) == key[1:3])
            built[key] = entry("/".join(map(str, key)), patients[order.patient_ref], order, step)
        return built

    def _load(self, connection: Connection, kind: type[Any], name: str, ids: Iterable[str]) -> dict[str, Any]:
        statements = self._statements.of(kind)
        queries = statements.lookups[name].queries([(name, id) for id in ids])
        rows = (row for text, parameters in queries for row in connection.fetch(text, parameters))
        return {row[0]: statements.kind.value(*row[2:]) for row in rows}
