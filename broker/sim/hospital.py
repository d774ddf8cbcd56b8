"""The simulated hospital: the broker with everybody around it, and the plan of its day."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from broker.app import App
from broker.config.model import Configuration
from broker.services.identifiers import Ulids
from broker.services.waiting import wait_at_most
from broker.sim.cases import Case, Cases
from broker.sim.his import SimulatedHis
from broker.sim.orders import make_order
from broker.sim.receivers import SimulatedArchive, SimulatedRis
from broker.sim.scanner import Scanner
from broker.sim.tally import Tally, Tell
from broker.wiring import now

PLAN: Sequence[tuple[str, Case]] = (
    ("CT", "plain"),
    ("MR", "plain"),
    ("US", "plain"),
    ("CT", "cancelled"),
    ("MR", "moved"),
    ("CT", "wrong patient"),
    ("CT", "emergency"),
    ("US", "plain"),
    ("CT", "plain"),
    ("MR", "plain"),
    ("CT", "broken off"),
    ("MR", "plain"),
    ("CT", "plain"),
)
"""What happens, again and again, one after the other; an emergency is no order."""

SCANNERS = {"CT1": "CT", "MR1": "MR", "US1": "US"}
WITHOUT_MPPS = frozenset({"US1"})
QUIET_SECONDS = 3.0
GRACE_SECONDS = 5.0
ROOMS = 32
"""Happenings under way at a time; when all rooms are taken the next one waits, however fast the pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the day goes: happenings a minute, after *lively_seconds* a sixth of it; how many orders (None: for ever)."""

    orders_a_minute: float = 60.0
    orders: int | None = None
    lively_seconds: float = 600.0

    def pause(self, elapsed_seconds: float) -> float:
        """Say how many seconds to let go by before the next happening."""
        return 60 / self.orders_a_minute * (1 if elapsed_seconds < self.lively_seconds else 6)


class Hospital:
    """The broker with everybody around it, in one process, over real sockets; local time is that of *zone*."""

    def __init__(self, folder: Path, ports: dict[str, int], pace: Pace, zone: ZoneInfo, tell: Tell) -> None:
        self.tally = Tally()
        self._folder = folder
        self._ports = ports
        self._pace = pace
        self._zone = zone
        self._tell = tell
        self._chance = random.Random()
        self._over = asyncio.Event()
        self._archive = SimulatedArchive("PACS")
        self._ris = SimulatedRis(now, Ulids(now))

    def stop(self) -> None:
        """Ask everybody to go home: orders that are under way are left, the broker ends in order."""
        self._over.set()

    async def run(self) -> None:
        """Run until `stop`, or until the last order of the pace has ended; then tell what was seen."""
        async with AsyncExitStack() as stack:
            for server in (self._archive.server, self._ris.server):
                await server.start()
                stack.push_async_callback(server.stop, 0)
            app = App(self._configuration())
            async with asyncio.TaskGroup() as group:
                broker = group.create_task(app.run())
                await app.ready.wait()
                self._tell(f"ready: the page is on http://127.0.0.1:{self._ports['web']}")
                self._tell("at work: a HIS, CT1, MR1, US1, an archive, a RIS; Ctrl-C ends the day with a table")
                began_at = time.monotonic()
                work = group.create_task(self._work(app))
                over = group.create_task(self._over.wait())
                await asyncio.wait({broker, work, over}, return_when=asyncio.FIRST_COMPLETED)
                self.stop()
                await asyncio.wait({work}, timeout=GRACE_SECONDS)
                work.cancel()
                app.stop()
        self._tell_end(time.monotonic() - began_at)

    def _tell_end(self, seconds: float) -> None:
        for line in self.tally.table(seconds=seconds, images=self._archive.objects.count, notices=self._ris.told.count):
            self._tell(line)

    def _configuration(self) -> Configuration:
        scanners = {ae: {"role": "modality", "modality": modality} for ae, modality in SCANNERS.items()}
        archive = {"host": "127.0.0.1", "port": self._archive.server.port, "role": "archive"}
        return Configuration.model_validate(
            {
                "site": "demo",
                "timezone": self._zone.key,
                "database": f"sqlite:///{self._folder}/broker.db",
                "spool": str(self._folder / "spool"),
                "mappings": str(Path(__file__).parents[2] / "mappings"),
                "hl7": {"listeners": {"his": {"port": self._ports["hl7"]}}},
                "dicom": {"port": self._ports["dicom"], "nodes": {**scanners, "PACS": archive}},
                "studies": {"forward_to": ["PACS"], "quiet_period": f"{QUIET_SECONDS:g}s"},
                "destinations": {"ris": {"type": "hl7", "port": self._ris.server.port, "events": ["study.available"]}},
                "web": {"port": self._ports["web"], "auth": "none"},
                "retention": {"messages": "30m", "events": "30m", "delivered": "30m"},
            },
            context={"folder": self._folder, "looks": True},
        )

    async def _work(self, app: App) -> None:
        """Let one thing happen after another; several orders are under way at a time."""
        his = SimulatedHis(self._ports["hl7"], self._clock)
        cases = self._cases(app, his)
        first = int(time.time()) % 1_000_000 * 10
        rooms = asyncio.Semaphore(ROOMS)
        began_at = time.monotonic()
        orders = number = 0
        async with asyncio.TaskGroup() as group:
            while (self._pace.orders is None or orders < self._pace.orders) and not self._over.is_set():
                modality, case = PLAN[number % len(PLAN)]
                number += 1
                await rooms.acquire()
                if case == "emergency":
                    happening = group.create_task(cases.emergency(first + number))
                else:
                    orders += 1
                    order = make_order(first + number, modality, self._chance, self._clock())
                    happening = group.create_task(cases.order(order, case))
                happening.add_done_callback(lambda _: rooms.release())
                await wait_at_most(self._pace.pause(time.monotonic() - began_at), self._over)
        await his.close()

    def _cases(self, app: App, his: SimulatedHis) -> Cases:
        scanners = {
            modality: Scanner(
                ae=ae, modality=modality, has_mpps=ae not in WITHOUT_MPPS, port=self._ports["dicom"], called="BROKER"
            )
            for ae, modality in SCANNERS.items()
        }
        return Cases(
            his=his,
            scanners=scanners,
            archive=self._archive,
            ris=self._ris,
            store=app.store,
            tally=self.tally,
            tell=self._tell,
            chance=self._chance,
            clock=self._clock,
            quiet_seconds=QUIET_SECONDS,
            over=self._over,
        )

    def _clock(self) -> datetime:
        return datetime.now(self._zone)
