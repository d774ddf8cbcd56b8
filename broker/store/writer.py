"""The one thread that writes: takes every job that waits, runs them in one transaction, then tells all who wait.

There is no timer: jobs gather while the event loop has more of them coming in, and while a batch is being synced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, TypeVar

from broker.errors import BrokerError
from broker.ports import Job
from broker.store.batch import Batches, CannotWrite, Outcome

R = TypeVar("R")

OnCommit = Callable[[int, float], None]
"""Told of each transaction: its jobs and its seconds, on the writer's thread."""


def ignore(jobs: int, seconds: float) -> None:
    """Tell nobody."""


MOST_JOBS = 64
"""Jobs with which a transaction takes no more."""
MOST_WAITING = 1024
"""Jobs that wait or run; further callers wait until there is room."""
PROBE_SECONDS = 1.0
"""How often a store that could not write is tried again while nobody asks for anything."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A job and the one who waits for it."""

    job: Job[Any]
    future: asyncio.Future[Any]


class GroupWriter:
    """Runs jobs in order of arrival, many in one transaction; made and used on the event loop (see ports.Writer)."""

    def __init__(
        self, batches: Batches, on_death: Callable[[BaseException], None], on_commit: OnCommit = ignore
    ) -> None:
        self._batches = batches
        self._on_commit = on_commit
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._gathered: list[_Waiting] = []
        self._queue: SimpleQueue[list[_Waiting]] = SimpleQueue()
        self._waiting: set[_Waiting] = set()
        self._is_closed = False
        self._ended = asyncio.Event()
        self._problem = ""
        self._thread = Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

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
        if len(self._gathered) == 1:
            self._loop.call_soon(self._hand_over, 0)
        result: R = await waiting.future
        return result

    async def close(self) -> None:
        """Finish the jobs that wait, then end the thread."""
        if not self._is_closed:
            self._is_closed = True
            self._hand_over(len(self._gathered))
            self._queue.put([])
        await self._ended.wait()

    def _hand_over(self, before: int) -> None:
        """Give the thread what has gathered, once a turn of the event loop has brought nothing more.

        Two threads of Python that are busy at once hinder each other more than they help.
        """
        if before < len(self._gathered) < MOST_JOBS:
            self._loop.call_soon(self._hand_over, len(self._gathered))
        elif self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            while jobs := self._take():
                self._settle(jobs)
        except BaseException as fault:
            error = fault
        self._batches.close()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end, error)

    def _take(self) -> list[_Waiting]:
        """Wait for jobs, then take all that wait; none when the writer is to end."""
        taken = self._next()
        with suppress(Empty):
            while taken and len(taken) < MOST_JOBS:
                more = self._queue.get_nowait()
                if not more:
                    self._queue.put(more)
                    break
                taken += more
        return taken

    def _next(self) -> list[_Waiting]:
        while self._problem:
            try:
                return self._queue.get(timeout=PROBE_SECONDS)
            except Empty:
                self._problem = self._batches.probe()
        return self._queue.get()

    def _settle(self, taken: list[_Waiting]) -> None:
        began = perf_counter()
        try:
            outcomes = self._batches.run([waiting.job for waiting in taken])
            self._problem = ""
            self._on_commit(len(taken), perf_counter() - began)
        except CannotWrite as error:
            self._problem = error.reason
            outcomes = [Outcome(error=error.for_sender()) for _ in taken]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve, list(zip(taken, outcomes, strict=True)))

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
