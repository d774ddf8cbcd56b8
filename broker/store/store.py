"""The store: opened once, gives the writer and the readers. Start here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine

from broker.ports import Job
from broker.store.accounts import AccountReader
from broker.store.batch import Batches, FanOut
from broker.store.deliveries import DeliveryReader, ObjectQueue
from broker.store.dialects import database_file, is_shared, open_engine
from broker.store.events import EventReader
from broker.store.locking import FileLock
from broker.store.mappingsets import MappingSetReader
from broker.store.messages import MessageReader
from broker.store.orders import OrderReader
from broker.store.readers import Readers
from broker.store.schema import bring_up_to_date
from broker.store.studies import InstanceReader, StudyReader
from broker.store.worklist import WorklistReader
from broker.store.writer import GroupWriter, OnCommit, ignore

R = TypeVar("R")


class Store:
    """The order book on disk: `run` writes, the readers read what is committed. Belongs to one event loop."""

    def __init__(self, writer: GroupWriter, readers: Readers, lock: FileLock | None) -> None:
        self._writer = writer
        self._readers = readers
        self._lock = lock
        self.orders = OrderReader(readers)
        self.worklist = WorklistReader(readers)
        self.messages = MessageReader(readers)
        self.deliveries = DeliveryReader(readers)
        self.studies = StudyReader(readers)
        self.instances = InstanceReader(readers)
        self.accounts = AccountReader(readers)
        self.events = EventReader(readers)
        self.mapping_sets = MappingSetReader(readers)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        fan_out: FanOut,
        on_death: Callable[[BaseException], None],
        on_commit: OnCommit = ignore,
    ) -> Store:
        """Open the database at *url*, creating or upgrading its tables; *on_death* is told when the writer dies,
        *on_commit* of each transaction (jobs, seconds).

        Raises ConfigurationError: S004 another broker has it, S005 it cannot be opened, S006 a newer broker made it,
        S010 no usable address.
        """
        lock, engine, readers = await asyncio.to_thread(_prepare, url)
        return cls(GroupWriter(Batches(engine, fan_out), on_death, on_commit), readers, lock)

    def objects_of(self, spool: str) -> ObjectQueue:
        """Give the queue of the objects whose files are in *spool*."""
        return ObjectQueue(self._readers, spool)

    @property
    def is_shared(self) -> bool:
        """Say whether other brokers may use the database."""
        return is_shared(self._readers.dialect)

    async def run(self, job: Job[R]) -> R:
        """Run *job* in a writing transaction (see GroupWriter.run)."""
        return await self._writer.run(job)

    async def prepare(self) -> None:
        """Make ready what the first job would otherwise wait for: a tenth of a second once, while nobody waits."""
        await self._writer.prepare()

    @property
    def is_writable(self) -> bool:
        """Say whether the last write went well; a store that could not write tries by itself until it can."""
        return not self._writer.problem

    @property
    def problem(self) -> str:
        """Why the store could not write the last time, empty when it could."""
        return self._writer.problem

    async def close(self) -> None:
        """Finish what waits to be written, end all threads, let go of the database."""
        await self._writer.close()
        await self._readers.close()
        if self._lock is not None:
            self._lock.release()


def _prepare(url: str) -> tuple[FileLock | None, Engine, Readers]:
    file = database_file(url)
    lock = None if file is None else FileLock(file)
    try:
        engine = open_engine(url)
        bring_up_to_date(engine)
        readers = Readers(engine)
        readers.open()
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    return lock, engine, readers
