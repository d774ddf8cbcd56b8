"""Waiting for something to do, but not for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

from broker.errors import BrokerError
from broker.ports import Job, Writer

R = TypeVar("R")

STORE_RETRY_SECONDS = 0.5


async def until_stored(writer: Writer, job: Job[R]) -> R:
    """Run a job whose cause cannot be repeated (a notice was sent): as often as it takes until the store can write."""
    while True:
        try:
            return await writer.run(job)
        except BrokerError as fault:
            if fault.ack != "AR":
                raise
        await asyncio.sleep(STORE_RETRY_SECONDS)


async def wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait until *event* is set or *seconds* are over.

    Not by asyncio.wait_for: that of Python 3.11 loses a cancellation that comes together with the event.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
