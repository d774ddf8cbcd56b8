"""The writer: group commit, order, limits, death."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from broker.domain.order import Order
from broker.errors import BrokerError
from broker.ports import Changes, Job


def test_jobs_that_wait_together_share_a_transaction(opened, rows, save, select):
    async def story():
        async with opened() as store:
            await asyncio.gather(*(store.run(save(rows.order(n))) for n in range(50)))

    asyncio.run(asyncio.wait_for(story(), 30))

    ((stored, transactions),) = select("SELECT count(*), count(DISTINCT version) FROM orders")
    assert stored == 50
    assert transactions == 1


def test_jobs_take_effect_in_the_order_in_which_they_came(opened, rows):
    async def story():
        seen = []
        async with opened() as store:

            def noting(n):
                return Job(keys=(), decide=lambda held: Changes(result=seen.append(n)))

            await asyncio.gather(*(store.run(noting(n)) for n in range(200)))
        return seen

    assert asyncio.run(asyncio.wait_for(story(), 30)) == list(range(200))


def test_more_jobs_than_may_wait_are_all_run(opened):
    async def story():
        async with opened() as store:
            job = Job(keys=(), decide=lambda held: Changes(result=1))
            return sum(await asyncio.gather(*(store.run(job) for _ in range(1500))))

    assert asyncio.run(asyncio.wait_for(story(), 60)) == 1500


def test_a_waiter_that_gives_up_hinders_nobody(opened, rows, save):
    async def story():
        async with opened() as store:
            gate = threading.Event()
            blocking = asyncio.create_task(store.run(Job(keys=(), decide=lambda held: Changes(result=gate.wait(10)))))
            hasty = asyncio.create_task(store.run(save(rows.order(1))))
            await asyncio.sleep(0.05)
            hasty.cancel()
            gate.set()
            await blocking
            await store.run(save(rows.order(2)))
            return await store.orders.get("order-002")

    assert asyncio.run(asyncio.wait_for(story(), 30)) is not None


def test_what_waits_when_the_store_closes_is_still_written(opened, rows, save):
    async def story():
        async with opened() as store:
            tasks = [asyncio.create_task(store.run(save(rows.patient(), rows.order(n)))) for n in range(100)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        with pytest.raises(BrokerError) as raised:
            await store.run(save(rows.order(101)))
        async with opened() as store:
            return raised.value, len((await store.orders.search(limit=200))[0])

    error, stored = asyncio.run(asyncio.wait_for(story(), 30))

    assert (error.code, error.ack, error.hl7_code) == ("S003", "AR", "207")
    assert stored == 100


def test_a_dead_writer_is_noticed_and_leaves_nobody_waiting(opened):
    def die(held):
        raise SystemExit("no memory")

    async def story():
        deaths: list[BaseException] = []
        async with opened(on_death=deaths.append) as store:
            with pytest.raises(BrokerError) as raised:
                await store.run(Job(keys=(), decide=die))
            return deaths, raised.value.code, store.is_writable

    deaths, code, is_writable = asyncio.run(asyncio.wait_for(story(), 30))

    assert [str(death) for death in deaths] == ["no memory"]
    assert (code, is_writable) == ("S003", False)


def test_a_reader_sees_a_job_as_soon_as_it_is_answered(opened, rows, save):
    async def story():
        async with opened() as store:
            for n in range(20):
                await store.run(save(rows.order(n)))
                assert await store.orders.by_accession(f"A{n}") == [rows.order(n)]

    asyncio.run(asyncio.wait_for(story(), 30))


def test_rows_are_there_after_a_restart(opened, rows, save, find):
    async def story():
        async with opened() as store:
            await store.run(save(rows.order()))
        async with opened() as store:
            return await store.run(find(Order, "accession", "A1"))

    assert asyncio.run(asyncio.wait_for(story(), 30)) == (rows.order(),)


def test_others_on_the_loop_have_their_turn_while_another_program_holds_the_file(opened_file, database, rows, save):
    async def story():
        async with opened_file() as store:
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                writing = asyncio.create_task(store.run(save(rows.order())))
                turns = 0
                while turns < 200:
                    await asyncio.sleep(0.001)
                    turns += 1
                was_waiting = not writing.done()
                other.execute("ROLLBACK")
            await writing
            return was_waiting, await store.orders.get("order-001")

    was_waiting, order = asyncio.run(asyncio.wait_for(story(), 30))

    assert was_waiting
    assert order == rows.order()


def test_others_on_the_loop_have_their_turn_in_a_long_batch(opened_file):
    turns = 0
    seen = []

    def decide(held):
        time.sleep(0.003)
        seen.append(turns)
        return Changes(result=None)

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def story():
        async with opened_file() as store:
            counting = asyncio.create_task(count())
            await asyncio.gather(*(store.run(Job(keys=(), decide=decide)) for _ in range(5)))
            counting.cancel()

    asyncio.run(asyncio.wait_for(story(), 30))

    assert seen == sorted(set(seen))


def test_a_large_job_is_kept_away_from_the_loop(opened):
    async def story():
        async with opened() as store:

            def decide(held):
                return Changes(result=threading.current_thread())

            return await store.run(Job(keys=(), decide=decide, is_large=True))

    assert asyncio.run(asyncio.wait_for(story(), 30)) is not threading.main_thread()
