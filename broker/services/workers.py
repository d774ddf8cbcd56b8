"""Workers: what runs for as long as the broker does, each started again when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from broker.errors import BrokerError

log = structlog.get_logger()

RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 60.0
STORE_WAIT_SECONDS = 4.0
"""The longest wait of a worker for a store that is away."""


class Workers:
    """Workers by name."""

    def __init__(self) -> None:
        self._runs: dict[str, Callable[[], Awaitable[None]]] = {}

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Add what is to run once `start` is called."""
        self._runs[name] = run

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Run all of them in *group* until their tasks are cancelled."""
        return [group.create_task(_keep_running(name, run), name=name) for name, run in self._runs.items()]


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a worker for ever: one that fails starts again, with back-off; one that only misses the store, soon."""
    wait = RESTART_SECONDS
    while True:
        try:
            await run()
        except Exception as fault:
            if isinstance(fault, BrokerError) and fault.ack == "AR":
                log.warning("worker.waiting", worker=name, error=fault.code)
                wait = min(wait, STORE_WAIT_SECONDS)
            else:
                log.exception("worker.failed", worker=name, error=type(fault).__name__)
        await asyncio.sleep(wait)
        wait = min(LONGEST_RESTART_SECONDS, wait * 2)
