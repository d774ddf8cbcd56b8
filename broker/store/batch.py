"""One transaction for many jobs; a batch that fails is redone job by job, so that a poison job fails alone.

A batch is a generator of steps, so that an event loop can run its short ones between other work and hand those that
wait for a disk to a thread: threads of Python that are busy at once hinder each other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.errors import BrokerError, NothingDone
from broker.ports import Changes, Held, Job
from broker.store.codec import moment_now
from broker.store.connection import Connection, compiled
from broker.store.dialects import is_conflict, is_shared, upsert
from broker.store.flush import Versions, flush
from broker.store.held import HeldRows, Statements
from broker.store.tables import probe

FanOut = Callable[[Event], tuple[Delivery, ...]]
"""Which deliveries an event asks for; saved in the event's own transaction."""


Steps = Generator[bool, None, list["Outcome"]]
"""A batch on its way. It stops before each step and says whether that may wait: for the disk, or for another program."""


TRIES = 5
"""How often jobs are decided that another broker's writer gets in the way of; all but the first time they run alone."""


class CannotWrite(Exception):
    """The database does not take anything now, whoever asks: full, locked, read-only, gone.

    *is_open*: the commit itself failed, so that what was to be written may turn out to be there.
    """

    def __init__(self, reason: str, *, is_open: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_open = is_open

    def for_sender(self) -> BrokerError:
        """Say it to one who waits: a later attempt may pass."""
        message, later = (
            f"the store cannot write: {self.reason}",
            "send again later; the broker's disk and database need a look",
        )
        if self.is_open:
            return BrokerError(
                message, code="S001", ack="AR", hint=f"whether it has taken effect is not known; {later}"
            )
        return NothingDone(message, code="S001", ack="AR", hint=f"nothing has taken effect; {later}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job."""

    result: Any = None
    error: Exception | None = None


class Batches:
    """Runs batches of jobs on one connection, which it opens when it needs one; one batch at a time, in whatever thread."""

    def __init__(self, engine: Engine, fan_out: FanOut) -> None:
        self._engine = engine
        self._fan_out = fan_out
        self._driver: Any = engine.dialect.loaded_dbapi
        self._statements = Statements(engine.dialect)
        self._probe = compiled(engine.dialect, upsert(engine.dialect, probe), column_keys=["name", "at"]).text
        self._versions = Versions()
        self._connection: Connection | None = None
        self._is_committing = False
        self._held: tuple[HeldRows, int | None] | None = None

    @property
    def is_remote(self) -> bool:
        """Say whether every step waits for a server."""
        return is_shared(self._engine.dialect)

    def run(self, jobs: Sequence[Job[Any]]) -> list[Outcome]:
        """Run *jobs* and commit; give what became of each. Raises CannotWrite when nothing of them is on disk."""
        steps = self.steps(jobs)
        while (outcomes := step(steps)[1]) is None:
            pass
        return outcomes

    def steps(self, jobs: Sequence[Job[Any]]) -> Steps:
        """Run *jobs* as `run` does, step by step.

        They are decided again when another broker's writer was in the way, and once when a row of theirs was taken or
        when the server had let go of the connection that was kept.
        """
        for tries in range(TRIES):
            was_kept = self._connection is not None
            try:
                return (yield from self._transact(jobs, is_alone=tries > 0))
            except self._driver.Error as error:
                fault: Exception = error
                is_stale = was_kept and self._connection is None and not self._is_committing
                is_taken = isinstance(error, self._driver.IntegrityError) and len(jobs) == 1
                if is_conflict(error) or (tries == 0 and (is_stale or is_taken)):
                    continue
                if self._is_unwritable(error):
                    raise CannotWrite(str(error), is_open=self._is_committing) from error
            except Exception as error:
                fault = error
            break
        if len(jobs) == 1:
            return [Outcome(error=_unstorable(fault))]
        outcomes: list[Outcome] = []
        for job in jobs:
            outcomes += yield from self._alone(job)
        return outcomes

    def prepare(self, held: Held) -> Changes[None]:
        """Make the statements ready; a job's `decide` that changes nothing."""
        self._statements.prepare()
        return Changes(result=None)

    def probe(self) -> str:
        """Try to write one row; give why it cannot be done, or the empty text.

        It may be the connection: one that was opened while nothing could be written never can. The next try has another.
        """
        try:
            connection = self._connected()
            connection.begin()
            connection.write(self._probe, [("probe", moment_now())])
            connection.commit()
        except self._driver.Error as error:
            self.close()
            return str(error)
        return ""

    def close(self) -> None:
        """Close the connection; what is not committed is lost."""
        connection, self._connection, self._held = self._connection, None, None
        if connection is not None:
            connection.close()

    def _alone(self, job: Job[Any]) -> Steps:
        try:
            return (yield from self.steps([job]))
        except CannotWrite as error:
            return [Outcome(error=error.for_sender())]

    def _transact(self, jobs: Sequence[Job[Any]], is_alone: bool) -> Steps:
        self._is_committing = False
        connection = self._connection
        if connection is None:
            yield True
            connection = self._connected()
        try:
            keys = [key for job in jobs for key in job.keys]
            names = ["\x1f".join((kind.__name__, *key)) for kind, key in keys] if self.is_remote else ()
            if not connection.begin_at_once():
                yield True
                connection.begin(names, is_alone=is_alone)
            held, version = self._hold(connection)
            held.prefetch(keys)
            outcomes: list[Outcome] = []
            for job in jobs:
                yield False
                outcomes.append(self._decide(job, held))
            is_changed = False
            for _ in flush(held, connection, self._versions.next()):
                is_changed = True
                yield False
            if is_changed:
                yield True
                self._is_committing = True
                connection.commit()
            else:
                connection.rollback()
            held.settle()
            self._held = held, version
        except BaseException:
            self._roll_back()
            raise
        return outcomes

    def _decide(self, job: Job[Any], held: HeldRows) -> Outcome:
        """Let *job* decide and take over its changes; whatever it raises is its own affair, but for the database's."""
        try:
            changes = job.decide(held)
            deliveries = [delivery for event in changes.events for delivery in self._fan_out(event)]
        except self._driver.Error:
            raise
        except Exception as error:
            return Outcome(error=error)
        for row in changes.delete:
            held.delete(row)
        for row in (*changes.save, *changes.events, *deliveries):
            held.save(row)
        return Outcome(result=changes.result)

    def _hold(self, connection: Connection) -> tuple[HeldRows, int | None]:
        """Give the rows that are known from the batch before, unless anybody else has changed the database since."""
        version = connection.foreign_version()
        before, self._held = self._held, None
        if before is not None and version is not None and before[1] == version:
            return before
        return HeldRows(self._statements, connection), version

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(self._engine)
        return self._connection

    def _roll_back(self) -> None:
        """Give up the transaction; a connection that cannot is closed, and the next batch opens another."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.rollback()
        except self._driver.Error:
            self.close()

    def _is_unwritable(self, error: Exception) -> bool:
        """Tell a fault of the database from one of the rows."""
        if is_conflict(error):
            return False
        of_rows = ("IntegrityError", "DataError", "ProgrammingError", "NotSupportedError")
        return not isinstance(error, tuple(getattr(self._driver, name) for name in of_rows))


def step(steps: Steps) -> tuple[bool, list[Outcome] | None]:
    """Run the next step: say whether the one after it may wait, or give what became of the jobs."""
    try:
        return next(steps), None
    except StopIteration as end:
        return False, end.value


def _unstorable(fault: Exception) -> BrokerError:
    if is_conflict(fault):
        hint = "send again; if it stays, look for other programs than brokers that write to the database"
        error = BrokerError("other writers were in the way each time", code="S001", ack="AR", hint=hint)
        error.__cause__ = fault
        return error
    error = BrokerError(
        f"what was decided cannot be stored: {type(fault).__name__}",
        code="S002",
        hint="another row has one of its keys, or a text holds characters that cannot be kept",
    )
    error.__cause__ = fault
    return error
