"""The mappings in force: loaded, watched, checked and tried before they are swapped, gone back from.

One `Catalogue` is in force at a time; a message ends on the one that it began with.
"""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from broker.domain.mappingset import KEPT, MappingSet
from broker.errors import BrokerError, without_values
from broker.mapping.catalogue import Catalogue
from broker.mapping.compare import Sample, compare
from broker.mapping.problems import Place, Problem
from broker.mapping.suite import run_tests
from broker.ports import Changes, Clock, Held, Job, Writer
from broker.services.inspect import MessageReader

log = structlog.get_logger()

POLL_SECONDS = 1.0
SHADOWED = 200
"""Stored messages over which a new set is tried before it is swapped in."""

SHORTEST_DIGEST = 4

Files = Mapping[str, bytes]


class SetReader(Protocol):
    """Reads kept sets."""

    async def newest(self, limit: int) -> Sequence[MappingSet]:
        """Give the newest sets, the one in force first."""

    async def get(self, digest: str) -> MappingSet | None:
        """Find a set by its digest or the beginning of it."""


class Counters(Protocol):
    """What is counted of mappings."""

    def mappings(self, outcome: str, problems: int) -> None:
        """Count one attempt: loaded, refused or rolled_back; show how many problems the folder has now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How an attempt to load ended. *flips* are messages that would be refused now and were not."""

    digest: str
    is_loaded: bool
    at: datetime
    reason: str
    problems: tuple[Problem, ...] = ()
    failures: tuple[str, ...] = ()
    flips: tuple[str, ...] = ()

    @property
    def why_not(self) -> str:
        """Say in words why the set was not loaded; empty when it was, or nothing had changed."""
        errors = [problem for problem in self.problems if problem.is_error]
        if errors:
            more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
            return f"{errors[0].place}: {errors[0].code} {errors[0].message}{more}"
        if self.failures:
            return f"{len(self.failures)} test(s) in the mappings fail: {self.failures[0]}"
        if self.flips:
            return f"{len(self.flips)} of the last {SHADOWED} messages would be refused: {self.flips[0]}"
        return ""


class Mappings:
    """Keeps the mappings in force: at first *catalogue*, None where only the database is read.

    *read* gives the folder's files, *unfit* what a configuration misses in a set.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue | None,
        read: Callable[[], Files],
        stamp: Callable[[], object],
        unfit: Callable[[Catalogue], Sequence[str]],
        sets: SetReader,
        messages: MessageReader,
        writer: Writer,
        zone: ZoneInfo,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._read, self._stamp, self._unfit = read, stamp, unfit
        self._sets, self._messages, self._writer = sets, messages, writer
        self.zone, self._clock, self._counters = zone, clock, counters
        self._turn = asyncio.Lock()
        self._current = catalogue
        self._seen: object = None
        self._loaded: dict[str, Catalogue | None] = {}
        self.attempt: Attempt | None = None
        self.instead_of = self._gone_back_to = ""

    @property
    def current(self) -> Catalogue:
        """The set in force."""
        assert self._current is not None, "mappings are asked for before they are opened"
        return self._current

    @property
    def is_open(self) -> bool:
        """Say whether mappings are in force: not in a process that only reads the database."""
        return self._current is not None

    @property
    def problem(self) -> str:
        """Why the folder is not what is in force, in words; empty when it is."""
        if self.attempt is not None and (why_not := self.attempt.why_not):
            return f"mappings not loaded: {why_not}"
        if self.instead_of:
            return f"a person went back to {self._gone_back_to}; the folder ({self.instead_of}) is not in force"
        return ""

    async def open(self) -> None:
        """Keep the set, or go back to the one that a person went back to when the folder is still the same."""
        catalogue, folder = self.current, folder_digest(self.current.files)
        self._seen = await asyncio.to_thread(self._stamp)
        newest = next(iter(await self._sets.newest(1)), None)
        if newest is not None and newest.instead_of == folder:
            before = _catalogue_of(newest)
            if before is not None:
                self._current, self.instead_of, self._gone_back_to = before, folder, newest.digest
                log.warning("mapping.rolled_back", digest=newest.digest, instead_of=folder)
                return
        if newest is None or newest.digest != folder or newest.instead_of:
            try:
                await self._keep(catalogue, "start")
            except BrokerError as fault:  # a full disk keeps nobody from starting
                log.warning("mapping.not_kept", error=fault.code)
        log.info("mapping.loaded", digest=folder, mappings=len(catalogue.entries))

    async def watch(self) -> None:
        """Load the folder whenever it has changed and has been quiet since the last look."""
        before = self._seen
        while True:
            await asyncio.sleep(POLL_SECONDS)
            now = await asyncio.to_thread(self._stamp)
            if now == before and now != self._seen:
                self._seen = now
                await self.reload("changed")
            before = now

    async def reload(self, reason: str, *, is_forced: bool = False) -> Attempt:
        """Check the folder, run its tests, try it over stored messages, swap it in; any failure keeps the set in force.

        With *is_forced* messages that would be refused now do not keep it out.
        """
        async with self._turn:
            attempt, catalogue = await self._try(reason, is_forced)
            self.attempt = attempt
            problems = sum(problem.is_error for problem in attempt.problems) + len(attempt.failures)
            if attempt.is_loaded and catalogue is not None:
                await self._keep(catalogue, reason)
                self._current, self.instead_of = catalogue, ""
                log.info("mapping.loaded", digest=attempt.digest, mappings=len(catalogue.entries), reason=reason)
            elif attempt.why_not:
                log.error("mapping.not_loaded", digest=attempt.digest, reason=reason, problems=problems)
            self._counters.mappings("loaded" if attempt.is_loaded else "refused", problems)
            return attempt

    async def rollback(self, digest: str = "") -> Attempt:
        """Go back to the set *digest*, else to the one before; it stays in force until the folder changes.

        Raise BrokerError M080 when there is no such set, M081 when it cannot be used any more.
        """
        async with self._turn:
            kept = await self._sets.get(digest) if digest else await self._one_before()
            if kept is None:
                wanted = f"no kept set {digest}" if digest else "there is no set before this one"
                raise BrokerError(wanted, code="M080", hint="broker mappings list shows what is kept")
            catalogue = _catalogue_of(kept)
            if catalogue is None or self._unfit(catalogue):
                raise BrokerError(
                    f"the set {kept.digest} cannot be used any more", code="M081", hint="take another one"
                )
            folder = folder_digest(await asyncio.to_thread(self._read))
            await self._keep(catalogue, "went back", "" if kept.digest == folder else folder)
            self._current = catalogue
            self.instead_of, self._gone_back_to = "" if kept.digest == folder else folder, kept.digest
            self.attempt = Attempt(digest=kept.digest, is_loaded=True, at=self._clock(), reason="went back")
            self._counters.mappings("rolled_back", 0)
            log.warning("mapping.rolled_back", digest=kept.digest, instead_of=self.instead_of)
            return self.attempt

    async def kept(self) -> Sequence[MappingSet]:
        """Give the kept sets, the one in force first."""
        return await self._sets.newest(KEPT)

    async def find(self, digest: str) -> MappingSet | None:
        """Find a kept set by its digest, else the newest that holds a mapping of that digest, as messages note it."""
        found = await self._sets.get(digest)
        if found is not None or len(digest) < SHORTEST_DIGEST:
            return found
        for kept in await self.kept():
            catalogue = await asyncio.to_thread(self.catalogue_of, kept)
            entries = catalogue.entries.values() if catalogue else ()
            if any(entry.mapping.digest.startswith(digest) for entry in entries):
                return kept
        return None

    def catalogue_of(self, kept: MappingSet) -> Catalogue | None:
        """Load a kept set again; None when it cannot be used any more. The last few are remembered."""
        if kept.digest not in self._loaded:
            if len(self._loaded) >= KEPT:
                self._loaded.clear()
            self._loaded[kept.digest] = _catalogue_of(kept)
        return self._loaded[kept.digest]

    async def _one_before(self) -> MappingSet | None:
        mine = folder_digest(self.current.files)
        return next((one for one in await self._sets.newest(KEPT) if one.digest != mine), None)

    async def _try(self, reason: str, is_forced: bool) -> tuple[Attempt, Catalogue | None]:
        begun = Attempt(digest="", is_loaded=False, at=self._clock(), reason=reason)
        try:
            files = await asyncio.to_thread(self._read)
        except BrokerError as fault:
            unreadable = Problem(code=fault.code, place=Place(path="mappings"), message=fault.message, hint=fault.hint)
            return replace(begun, problems=(unreadable,)), None
        begun = replace(begun, digest=folder_digest(files))
        if begun.digest == folder_digest(self.current.files):
            return begun, None
        catalogue, problems = await asyncio.to_thread(Catalogue.load, files)
        begun = replace(begun, problems=tuple(problems))
        if catalogue is None or begun.why_not:
            return begun, None
        failures = [*self._unfit(catalogue), *await asyncio.to_thread(_failures, catalogue, self.current)]
        flips = () if failures else await self._flips(catalogue)
        attempt = replace(begun, failures=tuple(failures), flips=() if is_forced else flips)
        return replace(attempt, is_loaded=not attempt.why_not), catalogue

    async def _flips(self, catalogue: Catalogue) -> tuple[str, ...]:
        """Say which of the last messages were taken and would be refused; what neither or both take is no flip."""
        found, _ = await self._messages.search(limit=SHADOWED)
        samples = [
            Sample(label=m.id, raw=m.raw, received_at=m.received_at, charsets=(m.charset,)) for m in found if m.charset
        ]
        comparison = await asyncio.to_thread(compare, self.current, catalogue, samples, self.zone)
        return tuple(f"{flip.label}: {without_values(flip.after)}" for flip in comparison.flips if flip.is_loss)

    async def _keep(self, catalogue: Catalogue, reason: str, instead_of: str = "") -> None:
        now = self._clock()
        kept = MappingSet(
            digest=folder_digest(catalogue.files),
            loaded_at=now,
            mappings=len(catalogue.entries),
            reason=reason,
            content=packed(catalogue.files),
            instead_of=instead_of,
        )
        old = tuple(await self._sets.newest(10 * KEPT))
        gone = tuple(one for one in old[KEPT - 1 :] if one.digest != kept.digest)

        def decide(held: Held) -> Changes[None]:
            held.find(MappingSet, "digest", kept.digest)
            return Changes(save=(kept,), delete=gone, result=None)

        keys = tuple(
            (MappingSet, ("digest", digest)) for digest in sorted({kept.digest, *(one.digest for one in gone)})
        )
        await self._writer.run(Job(keys=keys, decide=decide))


def _failures(catalogue: Catalogue, before: Catalogue) -> list[str]:
    """Run the tests of every mapping whose digest, which covers its parents and tables, is new."""
    changed = {
        name
        for name, entry in catalogue.entries.items()
        if name not in before.entries or before.entries[name].mapping.digest != entry.mapping.digest
    }
    return [
        f"{failure.place}: {result.mapping}: {result.name}: {failure.text}"
        for result in run_tests(catalogue)
        if result.mapping in changed
        for failure in result.failures
    ]


def folder_digest(files: Files) -> str:
    """Name the content of a folder of mappings: mappings, tables and samples."""
    digest = sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + sha256(files[name]).digest())
    return digest.hexdigest()[:12]


def packed(files: Files) -> bytes:
    """Write *files* as one text of bytes, compressed."""
    texts = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return zlib.compress(json.dumps(texts).encode())


def unpacked(content: bytes) -> dict[str, bytes]:
    """Read what `packed` wrote."""
    return {name: base64.b64decode(text) for name, text in json.loads(zlib.decompress(content)).items()}


def _catalogue_of(kept: MappingSet) -> Catalogue | None:
    catalogue, problems = Catalogue.load(unpacked(kept.content))
    return None if any(problem.is_error for problem in problems) else catalogue
