"""What the use cases ask of the outside: a store that runs jobs, senders, a clock, identifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Key = tuple[type, tuple[str, ...]]
"""What a job holds: a kind of row and one of its keys, e.g. ``(Order, ("filler", facility, namespace, number))``."""


class Held(Protocol):
    """The rows that a job sees: those of its transaction, with the changes of the jobs before it."""

    def find(self, kind: type[T], *key: str) -> tuple[T, ...]:
        """Find all rows of *kind* under *key*.

        Order: ``("id", id)``, ``("filler"|"placer", facility, namespace, number)``,
        ``("any filler"|"any placer", facility, number)`` in whatever namespace, ``("accession", accession)``,
        ``("study", study_uid)``, ``("step", step_id)``, ``("patient", patient_ref)``.
        Patient: ``("ref", ref)``, ``("identity", patient_id, issuer)``.
        PerformedStep: ``("uid", uid)``, ``("order", order_id)``, ``("study", study_uid)``.
        Study: ``("uid", uid)``, ``("order", order_id)``. Instance: ``("sop", sop_uid)``, ``("study", study_uid)``.
        Delivery: ``("id", id)``, ``("copy", study_uid, sop_uid)`` (unfinished rows of one object).
        StoredMessage: ``("key", key)``, ``("problem", problem_key)``. Tombstone: ``(kind, facility, namespace, number)``.
        Lease: ``("name", name)``.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Generic[R_co]):
    """What a job decided: rows to save whole, events in order, and what the waiter gets."""

    save: tuple[Any, ...] = ()
    delete: tuple[Any, ...] = ()
    events: tuple[Any, ...] = ()
    result: R_co


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[R]):
    """A decision inside the writing transaction: pure, synchronous, repeatable. *is_large*: it may concern thousands of rows."""

    keys: tuple[Key, ...]
    decide: Callable[[Held], Changes[R]]
    is_large: bool = False


class Writer(Protocol):
    """Runs jobs in order of arrival; returns when the job's transaction is on disk."""

    async def run(self, job: Job[R]) -> R:
        """Run *job*; raise BrokerError (ack AR, code 207) when the store cannot write."""


class Clock(Protocol):
    """The time of day, aware."""

    def __call__(self) -> datetime:
        """Tell the time now, in UTC."""


class Ids(Protocol):
    """Identifiers that sort by the order in which they were made."""

    def __call__(self) -> str:
        """Make a new one: 26 characters, Crockford base 32 (ULID)."""
