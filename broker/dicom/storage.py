"""C-STORE: an object goes to the spool as it arrives, then to its row, then it is answered (PS3.4 B.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

import structlog

from broker.dicom.header import HeaderReader
from broker.dicom.part10 import FileMeta
from broker.dicom.service import SUCCESS, Failure, Request, Response
from broker.dicom.spool import PartFile, Spool, instance_of
from broker.domain.study import Instance, ObjectFacts
from broker.errors import BrokerError, NothingDone
from broker.ports import Clock
from broker.ul.dimse import Status

log = structlog.get_logger()

HELD_LIMIT: Final = 1024 * 1024
"""A smaller object stays in memory until it is whole, so that the loop never waits for its file to be made."""
HELD_LIMIT_OF_ALL: Final = 64 * 1024 * 1024
"""What all arriving objects together may hold; those beyond it go to their files at once."""


class Arrival(Protocol):
    """What became of an object: *is_new* is False for one that was here already, byte for byte.

    *is_rejected*: a person has rejected its study.
    """

    @property
    def is_new(self) -> bool: ...
    @property
    def is_rejected(self) -> bool: ...


class Arrivals(Protocol):
    """The use case behind C-STORE."""

    async def received(self, facts: ObjectFacts, instance: Instance) -> Arrival:
        """Keep the row of an object that is synced in the spool. Raises BrokerError when nothing can be written."""


class Storage:
    """Takes the objects of every storage class."""

    def __init__(
        self, spool: Spool, arrivals: Arrivals, clock: Clock, implementation_uid: str, implementation_version: str
    ) -> None:
        self.spool = spool
        self.clock = clock
        self.held_size = 0
        self.implementation = (implementation_uid, implementation_version)
        self._arrivals = arrivals

    def begin(self, request: Request) -> Reception:
        """Open a sink for an object."""
        return Reception(self, request)

    async def record(self, facts: ObjectFacts, instance: Instance) -> None:
        """Commit the row of a stored object; of one that is here already the second file goes.

        Raises BrokerError when the store cannot write. The file stays then: the commit may have taken place, and the
        next start adopts or removes it.
        """
        arrival = await self._arrivals.received(facts, instance)
        if not arrival.is_new:
            await self.spool.forget(instance.path)
        elif arrival.is_rejected:
            await self.spool.put_aside(instance.study_uid)

    async def adopt(self, known: Collection[str]) -> int:
        """Commit the rows of whole files that a dead process left without; *known* are the paths that have one.

        Say how many there were.
        """
        found = await asyncio.to_thread(lambda: list(self.spool.reconcile(known)))
        for facts, instance in found:
            await self.record(facts, instance)
        return len(found)


class Reception:
    """One object that is arriving.

    The data set says what it is; the command set only where the data set does not: an archive, and the MPPS that
    names it, go by the data set.
    """

    def __init__(self, storage: Storage, request: Request) -> None:
        command = request.command
        self._storage = storage
        self._request = request
        self._header = HeaderReader(
            request.transfer_syntax, command.sop_class or request.abstract_syntax, command.sop_instance
        )
        self._facts: ObjectFacts | None = None
        self._held: list[bytes] = []
        self._held_size = 0
        self._part: PartFile | None = None

    def write(self, fragment: bytes) -> None:
        """Take the next piece of the data set; raise Failure A700H when the spool cannot."""
        self._facts = self._header.feed(fragment)
        try:
            if self._part is not None:
                self._part.write(fragment)
                return
            self._held.append(fragment)
            self._held_size += len(fragment)
            self._storage.held_size += len(fragment)
            if self._held_size > HELD_LIMIT or self._storage.held_size > HELD_LIMIT_OF_ALL:
                self._part = self._storage.spool.create(self._meta(), self._held)
                self._let_go()
        except OSError as fault:
            raise _cannot_store(self._request, fault.strerror or str(fault)) from fault

    async def finish(self) -> Response:
        """Sync the object, commit its row, then answer 0000H."""
        facts = self._facts = self._facts or self._header.finish()
        if not facts.sop_uid:
            self.abandon()
            raise Failure(Status.CANNOT_UNDERSTAND, "no SOP Instance UID in command and data set")
        if self._header.is_cut_short:
            self.abandon()
            log.error("storage.object_refused", calling=self._request.calling_ae, reason="the data set is cut short")
            raise Failure(Status.CANNOT_UNDERSTAND, "the data set ends in the middle of an element")
        self._warn_of_contradiction(facts)
        spool, meta = self._storage.spool, self._meta()
        try:
            if self._part is None:
                kept = await spool.put(meta, self._held, facts.study_uid)
            else:
                kept = await spool.keep(self._part, facts.study_uid)
        except OSError as fault:
            raise _cannot_store(self._request, fault.strerror or str(fault)) from fault
        finally:
            self._let_go()
        try:
            await self._storage.record(facts, instance_of(facts, kept, meta, self._storage.clock()))
        except BrokerError as fault:
            if isinstance(fault, NothingDone):
                await spool.forget(kept.path)
            raise _cannot_store(self._request, fault.message) from fault
        return SUCCESS

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._let_go()
        if self._part is not None:
            self._part.discard()

    def _meta(self) -> FileMeta:
        """Make the meta information: by the data set, as far as that is known."""
        command, facts, (uid, version) = self._request.command, self._facts, self._storage.implementation
        return FileMeta(
            sop_class=facts.sop_class if facts else command.sop_class,
            sop_uid=facts.sop_uid if facts else command.sop_instance,
            transfer_syntax=self._request.transfer_syntax,
            implementation_uid=uid,
            implementation_version=version,
            source_ae=self._request.calling_ae,
        )

    def _let_go(self) -> None:
        self._storage.held_size -= self._held_size
        self._held_size = 0
        self._held.clear()

    def _warn_of_contradiction(self, facts: ObjectFacts) -> None:
        announced = self._request.command.sop_instance
        if announced != facts.sop_uid:
            log.warning(
                "storage.command_contradicts_object",
                calling=self._request.calling_ae,
                announced=announced,
                found=facts.sop_uid,
            )


def _cannot_store(request: Request, reason: str) -> Failure:
    log.error("storage.object_refused", calling=request.calling_ae, reason=reason)
    return Failure(Status.OUT_OF_RESOURCES, f"cannot store: {reason}")
