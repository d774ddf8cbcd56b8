"""What is acknowledged survives: kill -9, SIGTERM, restarts, many senders at once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def surrounded(hospital: Any, story: Any, tmp_path: Path) -> Any:
    """A hospital with an archive and a RIS, started."""
    archive, ris = story.Archive(), story.Ris()
    hospital.stoppers += [archive.stop, ris.stop]
    hospital.configuration["dicom"]["nodes"] = {"PACS": {"host": "127.0.0.1", "port": archive.port, "role": "archive"}}
    hospital.configuration["studies"] = {"forward_to": ["PACS"], "quiet_period": "2s"}
    hospital.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": ris.port, "mapping": "ihe/study-to-oru"}
    }
    hospital.archive, hospital.ris = archive, ris
    hospital.start()
    return hospital


@pytest.mark.parametrize("killed_after", ["order", "N-CREATE", "C-STORE", "N-SET"])
def test_a_kill_between_two_steps_loses_nothing(surrounded: Any, story: Any, tmp_path: Path, killed_after: str) -> None:
    hospital = surrounded

    def reached(step: str) -> None:
        if step == killed_after:
            hospital.restart()

    hospital.send(story.orm("A1"))
    reached("order")
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid, images = hospital.scanner("CT1"), story.new_uid(), story.ct_images(entry, 2)
    assert scanner.start_step(entry, mpps_uid) == 0
    reached("N-CREATE")
    scanner.store(tmp_path / "images", images)
    reached("C-STORE")
    assert scanner.end_step(mpps_uid, images) == 0
    reached("N-SET")

    story.eventually(lambda: hospital.ris.messages, 30)
    order = story.eventually(lambda: (o := hospital.order("A1")) and o["status"] == "completed" and o)
    assert order["studies"][0]["status"] == "available"
    assert len(hospital.archive.objects) == 2


def test_images_in_the_spool_reach_the_archive_after_a_kill(hospital: Any, story: Any, tmp_path: Path) -> None:
    port = story.free_port()
    hospital.configuration["dicom"]["nodes"] = {"PACS": {"host": "127.0.0.1", "port": port, "role": "archive"}}
    hospital.configuration["studies"] = {"forward_to": ["PACS"], "quiet_period": "1s"}
    hospital.start()
    images = story.ct_images({"0010,0020": "E1", "0010,0010": "E^ONE"}, 3)
    hospital.scanner("CT1").store(tmp_path / "images", images)
    hospital.kill()

    archive = story.Archive(port)
    hospital.stoppers.append(archive.stop)
    hospital.start()

    story.eventually(lambda: len(archive.objects) == 3, 30)


def test_an_archive_that_is_down_keeps_the_files_until_it_has_them_too(
    hospital: Any, story: Any, tmp_path: Path
) -> None:
    one, port = story.Archive(), story.free_port()
    hospital.stoppers.append(one.stop)
    hospital.configuration["dicom"]["nodes"] = {
        "PACS": {"host": "127.0.0.1", "port": one.port, "role": "archive"},
        "TWO": {"host": "127.0.0.1", "port": port, "role": "archive"},
    }
    hospital.configuration["studies"] = {"forward_to": ["PACS", "TWO"], "quiet_period": "1s"}
    hospital.start()
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    hospital.scanner("CT1").store(tmp_path / "images", story.ct_images(entry, 3))
    story.eventually(lambda: len(one.objects) == 3)
    hospital.restart()
    spooled = list((hospital.folder / "var" / "spool").rglob("*.dcm"))
    waiting = hospital.order("A1")["studies"][0]["status"]

    two = story.Archive(port)
    hospital.stoppers.append(two.stop)

    story.eventually(lambda: hospital.order("A1")["studies"][0]["status"] == "available", 60)
    assert (len(spooled), waiting) == (3, "arriving")
    assert set(two.objects) == set(one.objects)
    story.eventually(lambda: not list((hospital.folder / "var" / "spool").rglob("*.dcm")))


def test_a_kill_while_images_come_loses_none_and_doubles_none(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    images = story.ct_images(entry, 40)
    sending = threading.Thread(target=lambda: _try_to_store(hospital, tmp_path / "first", images))
    sending.start()
    story.eventually(
        lambda: len(list((hospital.folder / "var" / "spool").rglob("*.dcm"))) > 3 or hospital.archive.objects
    )
    hospital.kill()
    sending.join(60)

    hospital.start()
    hospital.scanner("CT1").store(tmp_path / "again", images)

    sent = {str(image.SOPInstanceUID) for image in images}
    story.eventually(lambda: set(hospital.archive.objects) == sent, 60)
    story.eventually(lambda: hospital.ris.messages, 60)
    assert hospital.order("A1")["studies"][0]["instances"] == 40


def _try_to_store(hospital: Any, folder: Path, images: list[Any]) -> None:
    with contextlib.suppress(AssertionError):
        hospital.scanner("CT1").store(folder, images)


def test_a_restart_keeps_the_outbox(hospital: Any, story: Any, tmp_path: Path) -> None:
    port = story.free_port()
    hospital.configuration["destinations"] = {"bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{port}"}}
    hospital.start()
    hospital.send(story.orm("A1"))
    assert hospital.terminate() == 0

    bus = story.Bus(tmp_path, port)
    hospital.stoppers.append(bus.stop)
    hospital.start()

    story.eventually(lambda: bus.of_type("order.scheduled"), 30)


def test_sigterm_under_load_ends_cleanly_and_keeps_what_was_acknowledged(hospital: Any, story: Any) -> None:
    hospital.start()
    acknowledged: list[str] = []

    def send(sender: int) -> None:
        his = hospital.his()
        for number in range(500):
            accession = f"L{sender}N{number}"
            try:
                answer = his.send(story.orm(accession))
            except OSError:
                return
            if not answer:
                return
            if story.msa(answer)[1] == "AA":
                acknowledged.append(accession)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    story.eventually(lambda: len(acknowledged) > 40)

    assert hospital.terminate() == 0

    for thread in threads:
        thread.join(20)
    hospital.start()
    booked = story.all_orders(hospital)
    assert set(acknowledged) <= booked


def test_a_kill_under_load_keeps_every_acknowledged_order_exactly_once(hospital: Any, story: Any) -> None:
    hospital.start()
    acknowledged: list[str] = []

    def send(sender: int) -> None:
        his = hospital.his()
        for number in range(500):
            accession = f"K{sender}N{number}"
            try:
                answer = his.send(story.orm(accession))
            except OSError:
                return
            if not answer:
                return
            acknowledged.append(accession)

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    story.eventually(lambda: len(acknowledged) > 40)
    hospital.kill()
    for thread in threads:
        thread.join(20)

    hospital.start()

    assert set(acknowledged) <= story.all_orders(hospital)


def test_sixteen_senders_at_once_are_all_answered(hospital: Any, story: Any) -> None:
    hospital.start()
    answers: list[str] = []

    def send(sender: int) -> None:
        his = hospital.his()
        answers.extend(story.msa(his.send(story.orm(f"S{sender}N{number}")))[1] for number in range(10))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == ["AA"] * 160
    assert len(story.all_orders(hospital)) == 160


def test_a_second_broker_on_the_same_file_is_refused(hospital: Any, story: Any) -> None:
    hospital.start()
    second = {**hospital.configuration}
    second["hl7"] = {"listeners": {"his": {"port": story.free_port()}}}
    second["dicom"] = {"port": story.free_port()}
    second["web"] = {"port": story.free_port(), "auth": "none"}
    path = hospital.folder / "second.yaml"
    path.write_text(yaml.safe_dump(second))

    done = subprocess.run(
        [sys.executable, "-m", "broker", "run", "--config", str(path)], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 78
    assert "another broker" in done.stderr


def test_a_bad_configuration_is_told_all_at_once_with_exit_78(hospital: Any) -> None:
    path = hospital.folder / "bad.yaml"
    path.write_text("site: x\nhl7:\n  listners: {}\ndicom:\n  port: many\n")

    done = subprocess.run(
        [sys.executable, "-m", "broker", "run", "--config", str(path)], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 78
    assert "bad.yaml:3:3" in done.stderr
    assert "listeners" in done.stderr
    assert "bad.yaml:5:9" in done.stderr
