"""A disk that is full or read-only for a while: who cannot be served is told, nothing is lost, and it mends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.disk import Disk
from peers.his import msa, orm
from peers.hospital import Hospital, all_orders
from peers.images import ct_images
from peers.receivers import Archive, Ris
from peers.traffic import Link
from peers.waiting import eventually, free_port, new_uid

OUT_OF_RESOURCES, PROCESSING_FAILURE = 0xA700, 0x0110


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital whose database is a file on the disk."""
    made = Hospital.planned(tmp_path, "sqlite:///var/broker.db")
    yield made
    made.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk."""
    made = Disk(tmp_path / "disk")
    yield made
    made.remove()


@pytest.fixture
def waiting(hospital: Any, disk: Disk) -> Any:
    """A hospital with a RIS and with an archive that is not there yet: `.open_archive` starts it."""
    port, ris = free_port(), Ris()
    hospital.stoppers.append(ris.stop)
    hospital.configuration["dicom"]["nodes"] = {"PACS": {"host": "127.0.0.1", "port": port, "role": "archive"}}
    hospital.configuration["studies"] = {"forward_to": ["PACS"]}
    hospital.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": ris.port, "mapping": "ihe/study-to-oru"}
    }

    def open_archive() -> Archive:
        archive = Archive(port)
        hospital.stoppers.append(archive.stop)
        return archive

    hospital.ris, hospital.open_archive = ris, open_archive
    return hospital


def test_a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing(waiting: Any, disk: Disk) -> None:
    hospital = waiting
    hospital.folder = disk.folder
    hospital.start()
    link, kept = Link(hospital.hl7_port, hospital.dicom_port, "CT1"), []
    assert link.send(orm("A1")) == "AA"
    (entry,) = hospital.findscu("0008,0050=A1")
    mpps_uid, (before, after) = new_uid(), ct_images(entry, 2)
    scanner = hospital.scanner("CT1")
    assert scanner.start_step(entry, mpps_uid) == 0
    assert link.c_store(before) == 0

    disk.fill()
    refused = until_refused(hospital, kept)
    assert msa(refused)[1] == "AR"
    assert "^207" in refused or "|207" in refused
    assert link.c_store(after) == OUT_OF_RESOURCES
    assert scanner.end_step(mpps_uid, [before, after]) == PROCESSING_FAILURE
    assert hospital.get_status("/readyz") == 503
    assert hospital.get_status("/healthz") == 200
    assert len(hospital.findscu("0008,0050=A1")) == 1

    disk.make_room()
    eventually(lambda: hospital.get_status("/readyz") == 200)
    assert link.send(orm(f"F{len(kept)}")) == "AA"
    assert link.c_store(after) == 0
    assert scanner.end_step(mpps_uid, [before, after]) == 0
    archive = hospital.open_archive()
    eventually(lambda: len(archive.objects) == 2)
    eventually(lambda: hospital.ris.messages)
    assert all_orders(hospital) == {"A1", *kept, f"F{len(kept)}"}
    assert hospital.order("A1")["status"] == "completed"


def until_refused(hospital: Any, kept: list[str]) -> str:
    """Send orders until one is refused (the database has some room of its own); note those that were taken."""
    for number in range(2000):
        answer = hospital.send(orm(f"F{number}"))
        if msa(answer)[1] != "AA":
            return str(answer)
        kept.append(f"F{number}")
    raise AssertionError("a full disk takes everything")


def test_a_spool_that_is_read_only_refuses_images_alone(waiting: Any, disk: Disk) -> None:
    hospital = waiting
    hospital.configuration["spool"] = str(disk.folder / "spool")
    hospital.start()
    link = Link(hospital.hl7_port, hospital.dicom_port, "CT1")
    assert link.send(orm("A1")) == "AA"
    (entry,) = hospital.findscu("0008,0050=A1")
    before, after = ct_images(entry, 2)
    assert link.c_store(before) == 0

    disk.allow_writing(False)
    archive = hospital.open_archive()
    assert link.c_store(after) == OUT_OF_RESOURCES
    assert link.send(orm("A2")) == "AA"
    assert hospital.scanner("CT1").start_step(entry, new_uid()) == 0
    eventually(lambda: len(archive.objects) == 1)

    disk.allow_writing(True)
    assert link.c_store(after) == 0
    eventually(lambda: len(archive.objects) == 2)
    eventually(lambda: not list((disk.folder / "spool").rglob("*.*")))
    assert "worker.failed" not in hospital.read_log()
