"""Mappings are swapped only when they are sound, pass their tests and take what was taken before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.config.mapping_files import read_mapping_files, stamp
from broker.domain.records import StoredMessage
from broker.errors import BrokerError
from broker.mapping.catalogue import Catalogue
from broker.observe.metrics import Metrics
from broker.ports import Changes, Job
from broker.services import mappings as service
from broker.services.mappings import Mappings, folder_digest
from broker.store.store import Store

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 4, 1, 8, tzinfo=UTC)
SOUND = """\
mapping: a
from: hl7/ORM^O01
to: dicom/mwl
action: {from: ORC-1, map: {NW: create, CA: cancel}}
set:
  PatientID: PID-3.1
  StudyInstanceUID: {uid_from: [ORC-2.1]}
  RequestedProcedureID: ORC-2.1
  ScheduledProcedureStepSequence: {item: {ScheduledProcedureStepID: ORC-2.1}}
tests:
  - name: one
    message: samples/one.hl7
    expect: {PatientID: '77'}
"""
CHILD = """\
mapping: b
extends: a
when: MSH-3 = "X"
tests:
  - name: as the parent
    message: samples/one.hl7
    expect: {RequestedProcedureID: P1}
"""
MESSAGE = b"MSH|^~\\&|RIS|NORTH|||20260401||ORM^O01|1|P|2.5.1\rPID|1||77\rORC|NW|P1\rOBR|1|P1\r"


class Place:
    """A folder of mappings and a database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mappings = folder / "mappings"
        self.write("a.yaml", SOUND)
        self.write("b.yaml", CHILD)
        self.write("samples/one.hl7", MESSAGE.decode())
        self.metrics = Metrics()
        self.unfit: list[str] = []
        self._minutes = count()

    def write(self, name: str, text: str) -> None:
        path = self.mappings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def now(self) -> datetime:
        return NOW + timedelta(minutes=next(self._minutes))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[Mappings, Store]]:
        """Open the mappings as a broker that starts does."""
        catalogue, _ = Catalogue.load(read_mapping_files(self.mappings))
        assert catalogue is not None
        url = f"sqlite:///{self.folder / 'broker.db'}"
        store = await Store.open(url, fan_out=lambda event: (), on_death=lambda fault: None)
        try:
            found = Mappings(
                catalogue=catalogue,
                read=lambda: read_mapping_files(self.mappings),
                stamp=lambda: stamp(self.mappings),
                unfit=lambda _: self.unfit,
                sets=store.mapping_sets,
                messages=store.messages,
                writer=store,
                zone=ZoneInfo("UTC"),
                clock=self.now,
                counters=self.metrics,
            )
            await found.open()
            yield found, store
        finally:
            await store.close()

    def counted(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("radbroker_mapping_sets_total", {"outcome": outcome}) or 0.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def keep(store: Store, raw: bytes = MESSAGE) -> None:
    message = StoredMessage(
        id="0" * 26,
        key="",
        listener="his",
        sender="RIS|NORTH",
        control_id="1",
        type="ORM^O01",
        received_at=NOW,
        raw=raw,
        charset="ascii",
        state="accepted",
        answer=b"",
    )
    await store.run(Job(keys=(), decide=lambda held: Changes(save=(message,), result=None)))


async def test_a_sound_change_is_in_force_at_once_and_messages_in_flight_keep_theirs(place: Place) -> None:
    async with place.opened() as (mappings, _):
        in_flight = mappings.current
        place.write("a.yaml", SOUND.replace("PID-3.1", 'PID-3.1 or "none"'))

        attempt = await mappings.reload("asked")

        assert (attempt.is_loaded, attempt.why_not, mappings.problem) == (True, "", "")
        assert mappings.current is not in_flight
        assert [one.reason for one in await mappings.kept()] == ["asked", "start"]
        assert place.counted("loaded") == 1


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.yaml", SOUND.replace("PID-3.1", "PID-3.99"), "a.yaml:6:14: M042"),
        ("c.yaml", "mapping: c\n  set: {", "c.yaml:2:"),
        (
            "a.yaml",
            SOUND.replace("PatientID: PID-3.1", "PatientID: PID-1"),
            "test(s) in the mappings fail: a.yaml:13:14: a: one",
        ),
        (
            "a.yaml",
            SOUND.replace("RequestedProcedureID: ORC-2.1", "RequestedProcedureID: '\"R\"'"),
            "b.yaml:7:14: b: as the parent",
        ),
    ],
)
async def test_what_is_broken_or_fails_a_test_of_its_own_or_of_a_child_keeps_the_old_set(
    place: Place, name: str, text: str, why: str
) -> None:
    async with place.opened() as (mappings, _):
        before = mappings.current
        place.write(name, text)

        attempt = await mappings.reload("asked")

        assert mappings.current is before
        assert not attempt.is_loaded
        assert why in attempt.why_not
        assert why in mappings.problem
        assert (place.counted("loaded"), place.counted("refused")) == (0, 1)
        place.write(name, SOUND if name == "a.yaml" else 'mapping: c\nextends: a\nwhen: MSH-3 = "C"\n')
        assert (await mappings.reload("asked")).why_not == ""
        assert mappings.problem == ""


async def test_a_set_without_what_a_destination_needs_is_not_loaded(place: Place) -> None:
    async with place.opened() as (mappings, _):
        place.unfit.append("there is no mapping x")
        place.write("a.yaml", SOUND + "# changed\n")

        assert "there is no mapping x" in (await mappings.reload("asked")).why_not


async def test_a_set_that_would_refuse_what_was_taken_waits_for_a_person(place: Place) -> None:
    async with place.opened() as (mappings, store):
        await keep(store, MESSAGE.replace(b"|77", b"|123456789"))
        place.write("a.yaml", SOUND.replace("PID-3.1", "{from: PID-3.1, map: {'77': '77'}, on_unknown: reject}"))

        refused = await mappings.reload("asked")
        forced = await mappings.reload("asked", is_forced=True)

        assert "1 of the last 200 messages would be refused" in refused.why_not
        assert "'***' (from PID-3.1) is not in table" in refused.why_not
        assert (forced.is_loaded, mappings.problem) == (True, "")


async def test_a_file_that_is_not_read_keeps_the_old_set_and_is_no_failed_test(place: Place) -> None:
    async with place.opened() as (mappings, _):
        before = mappings.current
        place.write("huge.yaml", "# nothing\n" * 600_000)

        attempt = await mappings.reload("asked")

        assert mappings.current is before
        assert attempt.failures == ()
        assert "C041" in attempt.why_not
        assert "huge.yaml has more than 5000000 bytes" in attempt.why_not


async def test_a_kept_set_is_found_by_its_digest_or_by_that_of_a_mapping_in_it(place: Place) -> None:
    async with place.opened() as (mappings, _):
        before = mappings.current
        place.write("a.yaml", SOUND + "# changed\n")
        attempt = await mappings.reload("asked")
        first = folder_digest(before.files)

        found = [
            await mappings.find(one)
            for one in (first, attempt.digest[:6], before.entries["b"].mapping.digest[:8], "ffffffff", "")
        ]

        assert [one and one.digest for one in found] == [first, attempt.digest, first, None, None]


async def test_one_goes_back_to_the_set_before_until_the_folder_changes(place: Place) -> None:
    async with place.opened() as (mappings, _):
        first = mappings.current.digest
        set_digest = folder_digest(mappings.current.files)
        place.write("a.yaml", SOUND + "# changed\n")
        await mappings.reload("asked")

        await mappings.rollback()

        assert mappings.current.digest == first
        assert f"went back to {set_digest};" in mappings.problem
    async with place.opened() as (mappings, _):
        assert mappings.current.digest == first
        assert f"went back to {set_digest};" in mappings.problem
        place.write("a.yaml", SOUND + "# changed again\n")
        assert (await mappings.reload("asked")).is_loaded
        assert mappings.problem == ""


async def test_a_set_is_found_by_its_digest_and_an_unknown_one_is_refused(place: Place) -> None:
    async with place.opened() as (mappings, _):
        (first,) = await mappings.kept()
        place.write("a.yaml", SOUND + "# changed\n")
        await mappings.reload("asked")

        assert (await mappings.rollback(first.digest[:6])).digest == first.digest
        before = mappings.catalogue_of(first)
        assert before is not None
        assert before.files["a.yaml"] == SOUND.encode()
        with pytest.raises(BrokerError, match="no kept set ffff"):
            await mappings.rollback("ffff")


async def test_the_last_20_sets_are_kept(place: Place) -> None:
    async with place.opened() as (mappings, _):
        for number in range(22):
            place.write("a.yaml", SOUND + f"# {number}\n")
            assert (await mappings.reload("asked")).is_loaded

        kept = await mappings.kept()

        assert len(kept) == 20
        assert kept[0].digest == service.folder_digest(mappings.current.files)


async def test_a_change_of_the_folder_is_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POLL_SECONDS", 0.02)
    async with place.opened() as (mappings, _):
        before = mappings.current
        watching = asyncio.create_task(mappings.watch())
        place.write("a.yaml", SOUND + "# changed\n")
        for _ in range(1500):
            await asyncio.sleep(0.02)
            if mappings.current is not before:
                break
        watching.cancel()

        assert mappings.current is not before
        assert mappings.attempt is not None
        assert mappings.attempt.reason == "changed"


async def test_a_store_that_cannot_write_keeps_nobody_from_starting(place: Place) -> None:
    async with place.opened() as (first, store):
        place.write("a.yaml", SOUND + "# changed\n")
        catalogue, _ = Catalogue.load(read_mapping_files(place.mappings))

        class Full:
            async def run(self, job: Job[Any]) -> Any:
                raise BrokerError("the disk is full", code="S001", ack="AR")

        second = Mappings(
            catalogue=catalogue,
            read=lambda: read_mapping_files(place.mappings),
            stamp=lambda: stamp(place.mappings),
            unfit=lambda _: (),
            sets=store.mapping_sets,
            messages=store.messages,
            writer=Full(),
            zone=ZoneInfo("UTC"),
            clock=place.now,
            counters=place.metrics,
        )
        await second.open()

        assert second.current is catalogue
        assert len(await first.kept()) == 1
