"""What is finished is kept as long as the site says, then goes: messages, events, ended deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from broker.ports import Changes, Clock, Held, Job, Writer

log = structlog.get_logger()

EVERY_SECONDS = 3600.0
AT_ONCE = 200
"""Rows in one transaction, so that nobody waits long behind it."""


class AgedReader(Protocol):
    """A part of the store whose rows grow old."""

    async def finished_before(self, before: datetime, limit: int) -> Sequence[Any]:
        """Give rows that ended before *before* and that nobody waits for any more."""


class Retention:
    """Removes what is older than its site keeps it. *kept*: name -> (reader, how long)."""

    def __init__(self, kept: Mapping[str, tuple[AgedReader, timedelta]], writer: Writer, clock: Clock) -> None:
        self._kept = kept
        self._writer = writer
        self._clock = clock

    async def run(self) -> None:
        """Remove every hour, for ever."""
        while True:
            await self.remove()
            await asyncio.sleep(EVERY_SECONDS)

    async def remove(self) -> int:
        """Remove all that is too old now; give how many rows."""
        total = 0
        for name, (reader, period) in self._kept.items():
            before = self._clock() - period
            count = 0
            while rows := await reader.finished_before(before, AT_ONCE):
                await self._writer.run(_removal(rows))
                count += len(rows)
            if count:
                log.info("retention.removed", kind=name, count=count)
            total += count
        return total


def _removal(rows: Sequence[Any]) -> Job[None]:
    def decide(held: Held) -> Changes[None]:
        return Changes(delete=tuple(rows), result=None)

    return Job(keys=(), decide=decide, is_large=True)
