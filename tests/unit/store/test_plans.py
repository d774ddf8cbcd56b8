"""No query of the hot path walks a table, whatever the planner knows of its size."""

from __future__ import annotations

import pytest

from broker.store import deliveries, studies
from broker.store.connection import Connection
from broker.store.dialects import open_engine
from broker.store.held import Statements
from broker.store.prepared import Prepared
from broker.store.recordkinds import KINDS
from broker.store.schema import bring_up_to_date
from broker.store.tables import metadata


@pytest.fixture
def connection(database):
    engine = open_engine(f"sqlite:///{database}")
    bring_up_to_date(engine)
    made = Connection(engine)
    yield made
    made.close()


def walked(connection, text, values):
    plan = [row[-1] for row in connection.fetch(f"EXPLAIN QUERY PLAN {text}", values)]
    assert plan
    return [step for step in plan if step.startswith("SCAN ") and step.split()[1] in metadata.tables]


@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.__name__)
def test_rows_are_looked_up_by_an_index_under_every_key(connection, kind, count):
    statements = Statements(connection.dialect).of(kind)
    for name, finder in KINDS[kind].finders.items():
        if name == "state":
            continue  # asked once, at the start
        keys = [(name, *(f"{part} {n}" for part in finder.columns[finder.is_named :])) for n in range(count)]
        for lookup in filter(None, (statements.lookups[name], statements.otherwise.get(name))):
            assert [step for query in lookup.queries(keys) for step in walked(connection, *query)] == []


@pytest.mark.parametrize(
    ("build", "asked", "index"),
    [
        (deliveries._due, {"destination": ["ris"], "now": ["2026"], "limit": [64]}, "deliveries_queue"),
        (
            deliveries._due_objects,
            {"destination": ["ris"], "spool": ["S1"], "now": ["2026"], "limit": [64]},
            "deliveries_queue",
        ),
        (deliveries._next_due_at, {"destination": ["ris"]}, "deliveries_"),
        (deliveries._next_object_due_at, {"destination": ["ris"], "spool": ["S1"]}, "deliveries_"),
        (studies._due_quiet, {"now": ["2026"]}, "studies_quiet"),
        (studies._next_quiet_at, {}, "studies_quiet"),
    ],
)
def test_what_waits_is_found_by_its_index(connection, build, asked, index):
    text, values = Prepared(connection.dialect, build).query(asked)
    plan = [row[-1] for row in connection.fetch(f"EXPLAIN QUERY PLAN {text}", values)]

    assert f"INDEX {index}" in plan[0]
    assert not [step for step in plan if step.startswith(("SCAN ", "USE TEMP"))]
