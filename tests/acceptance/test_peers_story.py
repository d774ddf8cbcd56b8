"""The loop with programs of others around it: Orthanc, DCMTK's dcmsend and storescp, Mosquitto."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.his import orm
from peers.hospital import Hospital
from peers.images import ct_images
from peers.programs import find_program
from peers.receivers import Bus, Ris
from peers.servers import Orthanc, Program, StoreScp
from peers.traffic import encoded
from peers.waiting import eventually, free_port, new_uid

ARCHIVES = pytest.mark.parametrize("archive_kind", [Orthanc, StoreScp])


@pytest.fixture
def hospital(tmp_path: Path, peer: Callable[[str], str]) -> Iterator[Hospital]:
    """A hospital with Mosquitto and a RIS, and a place for an archive; `.archive_port` is where it is looked for."""
    peer("mosquitto")
    made = Hospital.planned(tmp_path, "sqlite:///var/broker.db")
    made.archive_port, made.bus_port, made.ris = free_port(), free_port(), Ris()
    made.stoppers.append(made.ris.stop)
    made.configuration["dicom"]["nodes"] = {
        "CT1": {"role": "modality", "modality": "CT"},
        "PACS": {"host": "127.0.0.1", "port": made.archive_port, "role": "archive"},
    }
    made.configuration["studies"] = {"forward_to": ["PACS"], "quiet_period": "2s"}
    made.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": made.ris.port, "mapping": "ihe/study-to-oru"},
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{made.bus_port}", "events": ["*"]},
    }
    yield made
    made.stop()


def open_archive(hospital: Any, kind: Callable[[Path, int], Program]) -> Any:
    archive = kind(hospital.folder / "archive", hospital.archive_port)
    hospital.stoppers.append(archive.stop)
    return archive


def open_bus(hospital: Any) -> Bus:
    bus = Bus(hospital.folder, hospital.bus_port)
    hospital.stoppers.append(bus.stop)
    return bus


def dcmsend(hospital: Any, folder: Path, images: list[Any]) -> None:
    """Send images with DCMTK's dcmsend; fails when one is not answered 0000H."""
    folder.mkdir()
    for image in images:
        image.save_as(folder / f"{image.SOPInstanceUID}.dcm", enforce_file_format=True)
    report = folder / "report.txt"
    command = [find_program("dcmsend"), "-v", "-aet", "CT1", "-aec", "BROKER", "+crf", str(report), "+sd"]
    command += ["+sp", "*.dcm", "127.0.0.1", str(hospital.dicom_port), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report.read_text().count("0x0000 (Success)") >= len(images), report.read_text()


def data_sets(images: list[Any]) -> dict[str, bytes]:
    return {str(image.SOPInstanceUID): encoded(image) for image in images}


@ARCHIVES
def test_the_whole_loop_ends_in_an_archive_of_others_byte_for_byte(hospital: Any, archive_kind: Any) -> None:
    archive, bus = open_archive(hospital, archive_kind), open_bus(hospital)
    hospital.start()
    hospital.send(orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid, images = hospital.scanner("CT1"), new_uid(), ct_images(entry, 3)
    assert scanner.start_step(entry, mpps_uid) == 0
    dcmsend(hospital, hospital.folder / "images", images)
    assert scanner.end_step(mpps_uid, images) == 0

    eventually(lambda: [event["subject"] for event in bus.of_type("study.available")] == ["A1"])
    eventually(lambda: len(hospital.ris.messages) == 1)
    assert archive.data_sets() == data_sets(images)
    assert hospital.order("A1")["status"] == "completed"

    other = ct_images(entry, 1, PatientID="99999", PatientName="SOMEBODY^ELSE", PatientBirthDate="19500101")
    unscheduled = ct_images({"0010,0010": "EMERGENCY^ONE", "0010,0020": "E1"}, 1)
    dcmsend(hospital, hospital.folder / "more", [*other, *unscheduled])

    eventually(lambda: bus.of_type("study.mismatched"))
    eventually(lambda: bus.of_type("study.unscheduled"))
    eventually(lambda: archive.data_sets() == data_sets([*images, *other, *unscheduled]))


@ARCHIVES
def test_an_archive_and_a_bus_of_others_may_come_later_and_go_again(hospital: Any, archive_kind: Any) -> None:
    hospital.start()
    hospital.send(orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    first, second = ct_images(entry, 2), ct_images(entry, 2)
    dcmsend(hospital, hospital.folder / "first", first)

    archive, bus = open_archive(hospital, archive_kind), open_bus(hospital)
    eventually(lambda: archive.data_sets() == data_sets(first), 60)
    eventually(lambda: bus.of_type("study.available"), 60)
    archive.stop()
    dcmsend(hospital, hospital.folder / "second", second)
    eventually(lambda: hospital.order("A1")["studies"][0]["instances"] == 4)
    archive = open_archive(hospital, archive_kind)

    eventually(lambda: archive.data_sets() == data_sets([*first, *second]), 60)
    eventually(lambda: bus.of_type("study.extended"), 60)
    eventually(lambda: not list((hospital.folder / "var" / "spool").rglob("*.dcm")))


def test_orthanc_sends_a_study_that_belongs_to_an_order(hospital: Any) -> None:
    archive, bus = open_archive(hospital, StoreScp), open_bus(hospital)
    hospital.start()
    sender = Orthanc(hospital.folder / "sender", broker_port=hospital.dicom_port)
    hospital.stoppers.append(sender.stop)
    hospital.send(orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    images = ct_images(entry, 3)

    account = sender.send([sender.take(image) for image in images])

    assert (account["InstancesCount"], account["FailedInstancesCount"]) == (3, 0)
    eventually(lambda: bus.of_type("study.available"))
    eventually(lambda: archive.data_sets() == data_sets(images))
    assert [(one["verdict"], one["evidence"]) for one in hospital.order("A1")["studies"]] == [("matched", "quiet")]
    sender.send([sender.take(image) for image in images])
    assert hospital.order("A1")["studies"][0]["instances"] == 3
