"""What only one of several brokers does: the notices of a destination are carried by the one that has its lease.

A lease is a row that its owner renews. Whoever sees one stay as it is for `LEASE_SECONDS` takes it over. Nobody's clock is
compared with another's, and time in which nobody could look does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import structlog

from broker.domain.records import Lease
from broker.errors import BrokerError
from broker.ports import Changes, Held, Job, Writer

log = structlog.get_logger()

LEASE_SECONDS = 15.0
RENEW_SECONDS = 3.0
LONGEST_GAP_SECONDS = 9.0
"""Two looks further apart do not tell whether the owner was alive in between: the store may have been away for all."""


class Alone:
    """The duties of a broker that shares its store with nobody: all of them."""

    def holds(self, name: str) -> bool:
        """Say yes."""
        return True


@dataclass(frozen=True, slots=True)
class _Seen:
    """Another broker's lease: since when it has looked like this, and when that was seen last."""

    lease: Lease
    since: float
    last: float


class Leases:
    """The leases of *names* as far as they are those of *owner*: a name that no other broker has and that stays."""

    def __init__(
        self, names: Sequence[str], owner: str, writer: Writer, moment: Callable[[], float] = monotonic
    ) -> None:
        self._names = tuple(names)
        self._owner = owner
        self._writer = writer
        self._moment = moment
        self._until: dict[str, float] = {}
        self._seen: dict[str, _Seen] = {}

    def holds(self, name: str) -> bool:
        """Say whether *name* is ours, surely and for a while."""
        return self._moment() < self._until.get(name, 0.0)

    async def run(self) -> None:
        """Renew what is ours and take what is nobody's, for ever: so a store that is away is noticed too."""
        while True:
            with suppress(BrokerError):
                await self.renew()
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Renew what is ours and take what is nobody's, once. Raises BrokerError when the store cannot write."""
        began = self._moment()
        for lease in await self._writer.run(self._renewal(began)):
            if lease.owner == self._owner:
                if not self.holds(lease.name):
                    log.info("destination.taken", destination=lease.name)
                self._until[lease.name] = began + LEASE_SECONDS - RENEW_SECONDS
            else:
                self._note(lease, began)

    async def release(self) -> None:
        """Let others have what is ours, as far as the store can write."""
        self._until.clear()
        keys = tuple((Lease, ("name", name)) for name in self._names)

        def decide(held: Held) -> Changes[None]:
            found = [lease for _, key in keys for lease in held.find(Lease, *key)]
            return Changes(delete=tuple(lease for lease in found if lease.owner == self._owner), result=None)

        with suppress(BrokerError):
            await self._writer.run(Job(keys=keys, decide=decide))

    def _renewal(self, now: float) -> Job[tuple[Lease, ...]]:
        keys = tuple((Lease, ("name", name)) for name in self._names)

        def decide(held: Held) -> Changes[tuple[Lease, ...]]:
            found = [next(iter(held.find(Lease, *key)), Lease(name=key[1], owner="")) for _, key in keys]
            ours = tuple(
                Lease(name=lease.name, owner=self._owner, renewals=lease.renewals + 1)
                for lease in found
                if lease.owner in ("", self._owner) or self._is_abandoned(lease, now)
            )
            taken = {lease.name for lease in ours}
            return Changes(save=ours, result=(*ours, *(lease for lease in found if lease.name not in taken)))

        return Job(keys=keys, decide=decide)

    def _is_abandoned(self, lease: Lease, now: float) -> bool:
        seen = self._seen.get(lease.name)
        if seen is None or seen.lease != lease or now - seen.last > LONGEST_GAP_SECONDS:
            return False
        return now - seen.since >= LEASE_SECONDS

    def _note(self, lease: Lease, now: float) -> None:
        seen = self._seen.get(lease.name)
        is_same = seen is not None and seen.lease == lease and now - seen.last <= LONGEST_GAP_SECONDS
        self._seen[lease.name] = _Seen(lease, seen.since if seen is not None and is_same else now, now)
