"""Waiting for something to do, but not for ever."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait until *event* is set or *seconds* are over.

    Not by asyncio.wait_for: that of Python 3.11 loses a cancellation that comes together with the event.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
