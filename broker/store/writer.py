"""The one who writes: takes every job that waits, runs them in one transaction, then tells all who wait.

There is no timer: jobs gather while the event loop has more of them coming in, and while a batch is being synced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from broker.errors import BrokerError
from broker.ports import Job
from broker.store.batch import Batches, CannotWrite, Outcome, step

R = TypeVar("R")

OnCommit = Callable[[int, float], None]
"""Told of each transaction: its jobs and its seconds."""


def ignore(jobs: int, seconds: float) -> None:
    """Tell nobody."""


MOST_JOBS = 64
"""Jobs with which a transaction takes no more."""
MOST_WAITING = 1024
"""Jobs that wait or run; further callers wait until there is room."""
SLICE_SECONDS = 0.002
"""How long a batch goes on before others on the event loop have their turn."""
PROBE_SECONDS = 1.0
"""How often a store that could not write is tried again while nobody asks for anything."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A job and the one who waits for it."""

    job: Job[Any]
    future: asyncio.Future[Any]


class GroupWriter:
    """Runs jobs in order of arrival, many in one transaction; made and used on the event loop (see ports.Writer).

    The steps of a batch run on the loop, those that may wait in a thread. Where all of them do, the thread runs it whole.
    """

    def __init__(
        self, batches: Batches, on_death: Callable[[BaseException], None], on_commit: OnCommit = ignore
    ) -> None:
        self._batches = batches
        self._on_commit = on_commit
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._gathered: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._waiting: set[_Waiting] = set()
        self._is_closed = False
        self._ended = asyncio.Event()
        self._problem = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._work = self._loop.create_task(self._run_all())

    @property
    def problem(self) -> str:
        """Why the store could not write the last time, empty when it could."""
        return self._problem

    async def prepare(self) -> None:
        """Make ready what the first job would otherwise wait for; a store that cannot be written to is left alone."""
        with suppress(BrokerError):
            await self.run(Job(keys=(), decide=self._batches.prepare))

    async def run(self, job: Job[R]) -> R:
        """Run *job*; return its result when its transaction is on disk.

        Raises what `decide` raises, and BrokerError: AR 207 when the store cannot write (S001) or is closed (S003),
        AE 207 when what it decided cannot be stored (S002).
        """
        await self._room.acquire()
        if self._is_closed:
            self._room.release()
            raise _closed()
        waiting = _Waiting(job, self._loop.create_future())
        self._waiting.add(waiting)
        self._gathered.append(waiting)
        self._arrived.set()
        result: R = await waiting.future
        return result

    async def close(self) -> None:
        """Finish the jobs that wait, then end the thread."""
        self._is_closed = True
        self._arrived.set()
        await self._ended.wait()
        await asyncio.to_thread(self._thread.shutdown)

    async def _run_all(self) -> None:
        error: BaseException | None = None
        try:
            while taken := await self._take():
                await self._settle(taken)
            await self._in_thread(self._batches.close)
        except BaseException as fault:
            error = fault
        self._end(error)

    async def _take(self) -> list[_Waiting]:
        """Wait for jobs, then take all that wait, once a turn of the event loop has brought nothing more.

        None when the writer is to end.
        """
        while not self._gathered and not self._is_closed:
            self._arrived.clear()
            try:
                async with asyncio.timeout(PROBE_SECONDS if self._problem else None):
                    await self._arrived.wait()
            except TimeoutError:
                self._problem = await self._in_thread(self._batches.probe)
        before = 0
        while before < len(self._gathered) < MOST_JOBS:
            before = len(self._gathered)
            await asyncio.sleep(0)
        taken, self._gathered = self._gathered[:MOST_JOBS], self._gathered[MOST_JOBS:]
        return taken

    async def _settle(self, taken: list[_Waiting]) -> None:
        began = perf_counter()
        try:
            outcomes = await self._run_batch([waiting.job for waiting in taken])
            self._problem = ""
            self._on_commit(len(taken), perf_counter() - began)
        except CannotWrite as error:
            self._problem = error.reason
            outcomes = [Outcome(error=error.for_sender()) for _ in taken]
        self._resolve(list(zip(taken, outcomes, strict=True)))

    async def _run_batch(self, jobs: list[Job[Any]]) -> list[Outcome]:
        if self._batches.is_remote or any(job.is_large for job in jobs):
            return await self._in_thread(self._batches.run, jobs)
        steps = self._batches.steps(jobs)
        until = perf_counter() + SLICE_SECONDS
        is_waiting, outcomes = step(steps)
        while outcomes is None:
            if is_waiting:
                is_waiting, outcomes = await self._in_thread(step, steps)
                until = perf_counter() + SLICE_SECONDS
                continue
            if perf_counter() > until:
                await asyncio.sleep(0)
                until = perf_counter() + SLICE_SECONDS
            is_waiting, outcomes = step(steps)
        return outcomes

    def _in_thread(self, call: Callable[..., R], *arguments: Any) -> asyncio.Future[R]:
        return self._loop.run_in_executor(self._thread, call, *arguments)

    def _resolve(self, answers: list[tuple[_Waiting, Outcome]]) -> None:
        for waiting, outcome in answers:
            self._waiting.discard(waiting)
            self._room.release()
            if waiting.future.done():
                continue
            if outcome.error is not None:
                waiting.future.set_exception(outcome.error)
            else:
                waiting.future.set_result(outcome.result)

    def _end(self, error: BaseException | None) -> None:
        self._is_closed = True
        self._resolve([(waiting, Outcome(error=_closed())) for waiting in tuple(self._waiting)])
        self._ended.set()
        if error is not None:
            self._problem = f"the writer has died: {error!r}"
            self._on_death(error)


def _closed() -> BrokerError:
    return BrokerError("the store is closed", code="S003", ack="AR", hint="send the message again later")
