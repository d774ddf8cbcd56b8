"""Short queries on the event loop: what is long there is broken off, and is found by a thread all the same."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from functools import partial

import pytest

from broker.domain.query import Criteria
from broker.store import worklist
from broker.store.brief import BriefReader, TooLong
from broker.store.dialects import open_engine
from broker.store.schema import bring_up_to_date

COUNT_TO = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n"


@pytest.fixture
def engine(database):
    engine = open_engine(f"sqlite:///{database}")
    bring_up_to_date(engine)
    return engine


def test_a_long_query_is_broken_off_and_the_next_is_answered(engine):
    reader = BriefReader(engine)
    with pytest.raises(TooLong):
        reader.read(lambda connection: connection.fetch(COUNT_TO, (10_000_000,)))
    assert reader.read(lambda connection: connection.fetch(COUNT_TO, (3,))) == [(3,)]
    reader.close()


def test_many_short_queries_are_not_taken_for_a_long_one(engine):
    reader = BriefReader(engine)
    found = [reader.read(lambda connection: connection.fetch(COUNT_TO, (200,))) for _ in range(500)]
    assert found == [[(200,)]] * 500
    reader.close()


def test_a_connection_that_fails_is_replaced(engine):
    reader = BriefReader(engine)
    with pytest.raises(TooLong):
        reader.read(lambda connection: connection.fetch("SELECT * FROM nowhere"))
    assert reader.read(lambda connection: connection.fetch("SELECT 1")) == [(1,)]
    reader.close()


@pytest.mark.parametrize("count", [2, 400])
def test_a_list_is_found_whether_it_is_short_or_long(opened, rows, save, count):
    orders = [rows.order(number) for number in range(count)]

    async def story():
        async with opened() as store:
            await store.run(save(rows.patient(), *orders))
            return [len(await store.worklist.search(Criteria(modalities=("CT",)))) for _ in range(2)]

    assert asyncio.run(asyncio.wait_for(story(), 30)) == [count, count]


def test_a_list_is_read_again_only_when_something_has_changed(opened_file, rows, save, database):
    async def story():
        async with opened_file() as store:
            search = partial(store.worklist.search, Criteria(modalities=("CT",)))
            await store.run(save(rows.patient(), rows.order(1)))
            first, again = await search(), await search()
            await store.run(save(rows.order(2)))
            second = await search()
            with closing(sqlite3.connect(database)) as other, other:
                other.execute("DELETE FROM steps WHERE order_id = 'order-001'")
            return first is again, len(first), len(second), [entry.order_id for entry in await search()]

    assert asyncio.run(asyncio.wait_for(story(), 30)) == (True, 1, 2, ["order-002"])


def test_lists_are_kept_up_to_a_limit(opened_file, rows, save, monkeypatch):
    monkeypatch.setattr(worklist, "KEPT_LISTS", 5)

    async def story():
        async with opened_file() as store:
            await store.run(save(rows.patient(), rows.order(1), rows.order(2)))
            asked = [Criteria(modalities=("CT",)), Criteria(start_from="2020"), Criteria(start_to="2099")]
            return [len(await store.worklist.search(one)) for one in (*asked, *asked)]

    assert asyncio.run(asyncio.wait_for(story(), 30)) == [2] * 6
