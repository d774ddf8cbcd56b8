"""The cases of a day: what people do with an order, and what the broker is seen to do about it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from inspect import isawaitable
from typing import Literal

from broker.domain.order import Item
from broker.domain.study import Verdict
from broker.errors import BrokerError
from broker.services.waiting import wait_at_most
from broker.sim.his import SimulatedHis
from broker.sim.objects import Image, make_images, unscheduled_entry
from broker.sim.orders import SimulatedOrder, make_name
from broker.sim.receivers import SimulatedArchive, SimulatedRis
from broker.sim.scanner import Scanner
from broker.sim.tally import Tally, Tell
from broker.store.store import Store

Case = Literal["plain", "cancelled", "moved", "wrong patient", "broken off", "emergency"]
ENDS: Mapping[Case, Literal["cancelled", "discontinued"]] = {"cancelled": "cancelled", "broken off": "discontinued"}

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.05


class DayOver(Exception):
    """Everybody goes home; what is under way is left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What an examination came to: its images, and what is told of the way there."""

    images: tuple[Image, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Everybody who takes part, and the ways an order can go. *over* is set when the day ends."""

    his: SimulatedHis
    scanners: Mapping[str, Scanner]
    archive: SimulatedArchive
    ris: SimulatedRis
    store: Store
    tally: Tally
    tell: Tell
    chance: random.Random
    clock: Callable[[], datetime]
    quiet_seconds: float
    over: asyncio.Event

    async def order(self, order: SimulatedOrder, case: Case) -> None:
        """Take one order to its end, by way of *case*, and tell how it ended."""
        with suppress(DayOver):
            try:
                await self._order(order, case)
            except BrokerError as fault:
                self.tally.counts["lost"] += 1
                self._went_wrong(f"order {order.accession} ({order.procedure}, {case}): {fault}")

    async def emergency(self, number: int) -> None:
        """Scan somebody whom nobody has ordered anything for."""
        with suppress(DayOver):
            try:
                await self._emergency(f"E{number}")
            except BrokerError as fault:
                self._went_wrong(f"emergency E{number}: {fault}")

    def _went_wrong(self, text: str) -> None:
        self.tally.wrong(text)
        self.tell(f"went wrong: {text}")

    async def _order(self, order: SimulatedOrder, case: Case) -> None:
        scanner = self.scanners[order.modality]
        sent_at = time.monotonic()
        self.tally.counts["sent"] += 1
        await self.his.send(order, "NW")
        entry = await self._find(scanner, order)
        self.tally.scheduled(time.monotonic() - sent_at)
        await self._pause(self.chance.uniform(0.2, 1.0))
        match case:
            case "cancelled":
                made = await self._take_back(scanner, order)
            case "moved":
                made = await self._move(scanner, order)
            case "wrong patient":
                made = await self._mix_up(scanner, entry)
            case "broken off":
                made = Made(
                    images=await self._scan(scanner, entry, "DISCONTINUED"), remark="broken off at the scanner; "
                )
            case _:
                made = Made(images=await self._scan(scanner, entry))
        await self._end(order, scanner, case, made)

    async def _find(self, scanner: Scanner, order: SimulatedOrder) -> Item:
        found = await scanner.worklist(order.accession)
        if len(found) != 1:
            raise BrokerError(f"{scanner.ae} was given {len(found)} entries of it", code="X002")
        step = found[0]["ScheduledProcedureStepSequence"][0]
        start = step["ScheduledProcedureStepStartDate"] + step["ScheduledProcedureStepStartTime"][:4]
        if start != order.start.strftime("%Y%m%d%H%M"):
            raise BrokerError(f"{scanner.ae} was given the start {start}", code="X004")
        return found[0]

    async def _scan(
        self, scanner: Scanner, entry: Item, status: str = "COMPLETED", images_of: Item | None = None
    ) -> tuple[Image, ...]:
        """Examine: MPPS of *entry*, images of *images_of* when somebody else's name is on them."""
        uid = await scanner.begin(entry, self.clock())
        images = make_images(images_of or entry, scanner.modality, self.chance.randint(2, 6), self.clock())
        await self._pause(self.chance.uniform(0.2, 1.0))
        await scanner.store(images)
        await scanner.end(uid, images, status, self.clock())
        return tuple(images)

    async def _take_back(self, scanner: Scanner, order: SimulatedOrder) -> Made:
        await self.his.send(order, "CA")
        if await scanner.worklist(order.accession):
            raise BrokerError(f"it is still on the list of {scanner.ae}", code="X005")
        return Made(remark=f"the HIS took it back; gone from the list of {scanner.ae}")

    async def _move(self, scanner: Scanner, order: SimulatedOrder) -> Made:
        moved = order.moved()
        await self.his.send(moved, "XO")
        entry = await self._find(scanner, moved)
        remark = f"moved from {order.start:%H:%M} to {moved.start:%H:%M}, {scanner.ae} saw the new time; "
        return Made(images=await self._scan(scanner, entry), remark=remark)

    async def _mix_up(self, scanner: Scanner, entry: Item) -> Made:
        other = make_name(self.chance, unlike=entry["PatientName"])
        mixed = {**entry, "PatientName": other, "PatientID": str(self.chance.randint(10_000, 60_000))}
        images = await self._scan(scanner, entry, images_of=mixed)
        return Made(
            images=images, remark="another patient's name on the images; flagged on the page, nothing held back; "
        )

    async def _end(self, order: SimulatedOrder, scanner: Scanner, case: Case, made: Made) -> None:
        """Wait until everybody has what is theirs, and tell it."""
        expected: Literal["completed", "cancelled", "discontinued"] = ENDS.get(case, "completed")
        remark = made.remark
        if made.images:
            await self._arrived(made.images, "mismatched" if case == "wrong patient" else "matched")
            await self._until(lambda: self.ris.told.has([order.accession]), "the RIS has not been told")
            if not scanner.has_mpps:
                remark += f"{scanner.ae} reports no MPPS, so complete after {self.quiet_seconds:g} s without an image; "
            remark += f"{len(made.images)} images in the archive, RIS told"
        await self._until(lambda: self._is_ended(order.accession, expected), f"it is not {expected}")
        self.tally.counts[expected] += 1
        self.tell(f"order {order.accession} {expected}  {order.procedure}: {remark}")

    async def _emergency(self, patient_id: str) -> None:
        scanner = self.scanners["CT"]
        images = make_images(
            unscheduled_entry(patient_id, "Unknown^Emergency"), "CT", self.chance.randint(2, 6), self.clock()
        )
        await scanner.store(images)
        await self._arrived(images, "unscheduled")
        text = f"{len(images)} images taken and in the archive, flagged on the page"
        self.tell(f"study {patient_id} unscheduled  CT of an emergency that nobody has ordered: {text}")

    async def _arrived(self, images: Sequence[Image], verdict: Verdict) -> None:
        """Wait until the archive has the images and the broker has judged the study like this."""
        uids = [image.uid for image in images]
        await self._until(lambda: self.archive.objects.has(uids), "its images are not all in the archive")
        await self._until(lambda: self._is_judged(images[0].study_uid, verdict), f"its study is not {verdict}")
        self.tally.counts[verdict] += 1

    async def _is_ended(self, accession: str, expected: str) -> bool:
        return [order.status for order in await self.store.orders.by_accession(accession)] == [expected]

    async def _is_judged(self, study_uid: str, verdict: Verdict) -> bool:
        study = await self.store.studies.get(study_uid)
        return study is not None and study.verdict == verdict

    async def _until(self, is_so: Callable[[], bool | Awaitable[bool]], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = is_so()
            if await found if isawaitable(found) else found:
                return
            if time.monotonic() > deadline:
                raise BrokerError(f"{otherwise} after {PATIENCE_SECONDS:g} s", code="X006")
            await self._pause(LOOK_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Let time go by; raise DayOver once the day is over."""
        await wait_at_most(seconds, self.over)
        if self.over.is_set():
            raise DayOver
