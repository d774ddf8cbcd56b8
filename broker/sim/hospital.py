"""The simulated hospital: orders come at a steady pace, a CT works them off, each one's end is told in a line."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from broker.app import App
from broker.config.model import Configuration
from broker.errors import BrokerError
from broker.mllp.client import MllpClient
from broker.sim.orders import SimulatedOrder, make_order
from broker.sim.receivers import SimulatedArchive, SimulatedRis
from broker.sim.scanner import Scanner
from broker.wiring import now

WAIT_SECONDS = 30.0
SHORT = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the day goes: orders a minute, and how many (None: for ever)."""

    orders_a_minute: float = 60.0
    orders: int | None = None


class Hospital:
    """The broker with everybody around it, in one process, over real sockets."""

    def __init__(self, folder: Path, ports: dict[str, int], pace: Pace, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._ports = ports
        self._pace = pace
        self._tell = tell
        self._chance = random.Random()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask everybody to go home: orders that are under way are left, the broker ends in order."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until `stop`, or until the last order of the pace has ended."""
        async with AsyncExitStack() as stack:
            self._archive = SimulatedArchive("PACS")
            await self._archive.server.start()
            stack.push_async_callback(self._archive.server.stop, 0)
            app = App(self._configuration(0))
            self._ris = SimulatedRis(now, app.ids)
            await self._ris.server.start()
            stack.push_async_callback(self._ris.server.stop, 0)
            app = App(self._configuration(self._ris.server.port))
            self._app = app
            self._scanner = Scanner(ae="CT1", port=self._ports["dicom"], called="BROKER")
            async with asyncio.TaskGroup() as group:
                broker = group.create_task(app.run())
                await app.ready.wait()
                self._tell(f"ready: the page is on http://127.0.0.1:{self._ports['web']}")
                work = group.create_task(self._work())
                stopping = group.create_task(self._stopping.wait())
                await asyncio.wait({broker, work, stopping}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                work.cancel()
                await asyncio.wait({work})
                app.stop()

    def _configuration(self, ris_port: int) -> Configuration:
        return Configuration.model_validate(
            {
                "site": "demo",
                "database": f"sqlite:///{self._folder}/broker.db",
                "spool": str(self._folder / "spool"),
                "mappings": str(Path(__file__).parents[2] / "mappings"),
                "hl7": {"listeners": {"his": {"port": self._ports["hl7"]}}},
                "dicom": {
                    "port": self._ports["dicom"],
                    "nodes": {
                        "CT1": {"role": "modality", "modality": "CT"},
                        "PACS": {"host": "127.0.0.1", "port": self._archive.server.port, "role": "archive"},
                    },
                },
                "studies": {"forward_to": ["PACS"]},
                "destinations": {"ris": {"type": "hl7", "port": ris_port or 1, "events": ["study.available"]}},
                "web": {"port": self._ports["web"], "auth": "none"},
            },
            context={"folder": self._folder, "looks": True},
        )

    async def _work(self) -> None:
        """Order, scan, end: one order after another starts, several are under way."""
        his = MllpClient("127.0.0.1", self._ports["hl7"])
        first = int(time.time()) % 1_000_000 * 10
        number = 0
        async with asyncio.TaskGroup() as group:
            while self._pace.orders is None or number < self._pace.orders:
                number += 1
                start = datetime.now() + timedelta(minutes=15)
                order = make_order(first + number, self._chance, start)
                group.create_task(self._one_order(his, order, number))
                await asyncio.sleep(60 / self._pace.orders_a_minute)
        await his.close()

    async def _one_order(self, his: MllpClient, order: SimulatedOrder, number: int) -> None:
        """Take one order to its end: most are scanned, some cancelled, a few broken off."""
        try:
            await self._send(his, order, "NW")
            entry = await self._find(order.accession)
            await asyncio.sleep(self._chance.uniform(0.2, 1.0))
            if number % 7 == 5:
                await self._send(his, order, "CA")
            else:
                await self._scan(entry, "DISCONTINUED" if number % 11 == 9 else "COMPLETED")
            await self._tell_end(order)
        except BrokerError as fault:
            self._tell(f"{order.accession} went wrong: {fault}")

    async def _find(self, accession: str) -> dict[str, Any]:
        found = await self._scanner.worklist(accession)
        if len(found) != 1:
            raise BrokerError(f"the CT was given {len(found)} entries of it", code="X002")
        return found[0]

    async def _send(self, his: MllpClient, order: SimulatedOrder, control: str) -> None:
        control_id = uuid4().hex[:20]
        answer = await his.send(order.message(control, control_id, datetime.now()).encode(), control_id)
        if not answer.is_accepted:
            self._tell(f"the broker answered {answer.code} to {control} {order.accession}: {answer.text}")

    async def _scan(self, entry: dict[str, Any], status: str) -> None:
        uid = await self._scanner.start(entry, datetime.now())
        series_uid = f"2.25.{uuid4().int}"
        images = self._scanner.expose(entry, series_uid, self._chance.randint(2, 6), datetime.now())
        await asyncio.sleep(self._chance.uniform(0.2, 1.0))
        await self._scanner.store(images)
        await self._scanner.end(uid, series_uid, images, datetime.now(), status)

    async def _tell_end(self, order: SimulatedOrder) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            (booked,) = await self._app.store.orders.by_accession(order.accession)
            is_told = order.accession in self._ris.told or not booked.study_uids
            if booked.status in ("completed", "discontinued", "cancelled") and is_told:
                life = await self._app.store.orders.life(booked.id)
                assert life is not None
                images = sum(study.instances for study in life.studies)
                rest = f"{images} images in the archive, RIS told" if images else "taken off the list"
                self._tell(f"order {order.accession} {booked.status}  {order.procedure}: {rest}")
                return
            await asyncio.sleep(SHORT)
        self._tell(f"{order.accession} has not ended within {WAIT_SECONDS:g} s")
