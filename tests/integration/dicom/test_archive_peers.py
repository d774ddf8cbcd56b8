"""Archives that misbehave, played by pynetdicom: each object gets its outcome, and no object stops another."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt

from broker.dicom.archive import Acceptance, ArchiveNode, ArchiveSettings
from broker.dicom.client import Timeouts
from broker.dicom.storage_classes import STORAGE_CLASSES
from broker.domain.study import Instance
from broker.ul.pdu import ContextResult

CT, MR, PRIVATE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4.5"
IMPLICIT, EXPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
QUICK = Timeouts(connect_seconds=2, associate_seconds=2, answer_seconds=0.5, release_seconds=0.5)

Behave = Callable[[Any], int]


class Archive:
    """Takes CT and MR in two transfer syntaxes; *behave* gives the status of an object, by default success."""

    def __init__(self) -> None:
        self.behave: Behave = lambda event: 0x0000
        self.got: list[str] = []
        self.classes = {CT: [IMPLICIT, EXPLICIT], MR: [IMPLICIT, EXPLICIT]}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._server: Any = None

    def start(self) -> None:
        entity = AE("PACS")
        for uid, syntaxes in self.classes.items():
            entity.add_supported_context(uid, syntaxes)
        address = ("127.0.0.1", self.port)
        self._server = entity.start_server(address, block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _store(self, event: Any) -> int:
        status = self.behave(event)
        if status == 0:
            self.got.append(str(event.request.AffectedSOPInstanceUID))
        return status


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def send(archive: Archive, tmp_path: Path) -> Callable[..., list[str]]:
    """Send objects (each ``(SOP Instance UID, SOP class)``) over one association; give the kind of each outcome."""
    file = tmp_path / "object.dcm"
    file.write_bytes(b"\x08\x00\x16\x00UI\x04\x001.2\x00" + b"\x08\x00\x18\x00UI\x04\x001.3\x00")

    def go(*objects: tuple[str, str]) -> list[str]:
        async def story() -> list[str]:
            made = [instance(uid, sop_class) for uid, sop_class in objects]
            return [outcome.kind async for outcome in node(archive, file).send(made)]

        return asyncio.run(story())

    return go


def node(archive: Archive, file: Path) -> ArchiveNode:
    settings = ArchiveSettings(ae="PACS", host="127.0.0.1", port=archive.port, calling="BROKER", timeouts=QUICK)
    return ArchiveNode(settings, lambda instance: (file, 0))


def instance(uid: str, sop_class: str, transfer_syntax: str = EXPLICIT) -> Instance:
    return Instance(
        sop_uid=uid,
        digest=uid,
        sop_class=sop_class,
        transfer_syntax=transfer_syntax,
        study_uid="1.2",
        series_uid="1.2",
        ae="CT1",
        path="1.2/1.dcm",
        size=1,
        received_at=datetime(2026, 4, 1, tzinfo=UTC),
    )


async def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0x0122])
def test_an_object_that_is_refused_is_tried_again_and_the_next_goes_over_the_same_association(
    archive: Archive, send: Callable[..., list[str]], status: int
) -> None:
    archive.behave = lambda event: status if event.request.AffectedSOPInstanceUID == "1.1" else 0

    assert send(("1.1", CT), ("1.2", CT)) == ["retry", "delivered"]
    assert archive.got == ["1.2"]


def test_a_warning_is_success(archive: Archive, send: Callable[..., list[str]]) -> None:
    archive.behave = lambda event: 0xB000

    assert send(("1.1", CT)) == ["delivered"]


def test_a_class_that_is_not_taken_does_not_stop_the_others(archive: Archive, send: Callable[..., list[str]]) -> None:
    assert send(("1.1", CT), ("1.2", PRIVATE), ("1.3", MR)) == ["delivered", "retry", "delivered"]
    assert archive.got == ["1.1", "1.3"]


def test_an_association_that_is_aborted_over_an_object_is_that_objects_fault(
    archive: Archive, send: Callable[..., list[str]]
) -> None:
    def abort(event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == "1.2":
            event.assoc.abort()
        return 0

    archive.behave = abort

    assert send(("1.1", CT), ("1.2", CT), ("1.3", CT)) == ["delivered", "broken"]


def test_an_archive_that_falls_silent_is_left_in_time(archive: Archive, send: Callable[..., list[str]]) -> None:
    def sleep(event: Any) -> int:
        time.sleep(2)
        return 0

    archive.behave = sleep
    began = time.monotonic()

    assert send(("1.1", CT), ("1.2", CT)) == ["broken"]
    assert time.monotonic() - began < 2


def test_an_archive_that_is_not_there_is_down(archive: Archive, send: Callable[..., list[str]]) -> None:
    archive.stop()

    assert send(("1.1", CT), ("1.2", CT)) == ["down"]


def test_kinds_beyond_one_association_wait_for_the_next(archive: Archive, tmp_path: Path) -> None:
    file = tmp_path / "object.dcm"
    file.write_bytes(b"\x08\x00\x16\x00UI\x04\x001.2\x00")
    kinds = [replace(instance(f"1.{n}", CT), sop_class=f"1.2.{n}") for n in range(130)]

    async def story() -> list[str]:
        return [outcome.kind async for outcome in node(archive, file).send(kinds)]

    assert asyncio.run(story()) == ["retry"] * 128


def test_a_probe_says_what_is_taken_and_nothing_else_is_accepted_from_scanners(
    archive: Archive, tmp_path: Path
) -> None:
    acceptance = Acceptance(STORAGE_CLASSES, {"P1": frozenset({PRIVATE})})
    before = [acceptance.choose(CT, (RLE, EXPLICIT), "CT1"), acceptance.choose(PRIVATE, (EXPLICIT,), "P1")]

    async def story() -> None:
        watching = asyncio.create_task(acceptance.watch("PACS", node(archive, tmp_path), [PRIVATE]))
        await until(lambda: acceptance.choose(CT, (RLE,), "CT1") != RLE)
        watching.cancel()

    asyncio.run(story())

    assert before == [RLE, EXPLICIT]
    assert acceptance.choose(CT, (RLE, EXPLICIT), "CT1") == EXPLICIT
    assert acceptance.choose(CT, (RLE,), "CT1") is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    assert acceptance.choose(PRIVATE, (EXPLICIT,), "P1") is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    assert acceptance.choose(PRIVATE, (EXPLICIT,), "CT1") is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_an_archive_that_comes_back_with_less_is_asked_again(archive: Archive, tmp_path: Path) -> None:
    file = tmp_path / "object.dcm"
    file.write_bytes(b"\x08\x00\x16\x00UI\x04\x001.2\x00")
    acceptance, asked = Acceptance(STORAGE_CLASSES, {}), node(archive, file)

    async def story() -> list[str]:
        watching = asyncio.create_task(acceptance.watch("PACS", asked, []))
        await until(lambda: acceptance.choose(MR, (RLE,), "MR1") != RLE)
        archive.stop()
        del archive.classes[MR]
        archive.start()
        kinds = [outcome.kind async for outcome in asked.send([instance("1.1", MR)])]
        await until(lambda: acceptance.choose(MR, (EXPLICIT,), "MR1") != EXPLICIT)
        watching.cancel()
        return kinds

    assert asyncio.run(story()) == ["retry"]
