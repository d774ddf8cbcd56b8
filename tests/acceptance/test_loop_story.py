"""The whole loop: order, worklist, MPPS, images, archive, RIS and MQTT."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any

import pytest


class Gate:
    """Opens *port* as another way to *target*: the subscriber is there before the broker can be."""

    def __init__(self, port: int, target: int) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", target)) as inner:
                    back = threading.Thread(target=carry, args=(inner, self.request), daemon=True)
                    back.start()
                    carry(self.request, inner)
                    back.join(5)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def carry(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way until one end closes."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def surrounded(hospital: Any, story: Any, tmp_path: Path) -> Any:
    """A hospital with an archive, a RIS and an MQTT broker, started."""
    archive, ris, bus = story.Archive(), story.Ris(), story.Bus(tmp_path)
    hospital.stoppers += [archive.stop, ris.stop, bus.stop]
    hospital.configuration["dicom"]["nodes"] = {
        "CT1": {"role": "modality", "modality": "CT"},
        "PACS": {"host": "127.0.0.1", "port": archive.port, "role": "archive"},
    }
    hospital.configuration["studies"] = {"forward_to": ["PACS"], "quiet_period": "2s"}
    hospital.configuration["destinations"] = {
        "ris": {
            "type": "hl7",
            "host": "127.0.0.1",
            "port": ris.port,
            "mapping": "ihe/study-to-oru",
            "events": ["study.available"],
        },
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{bus.port}", "events": ["*"]},
    }
    hospital.archive, hospital.ris, hospital.bus = archive, ris, bus
    hospital.start()
    return hospital


def test_one_order_goes_its_whole_way(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A41"))
    (entry,) = hospital.findscu("0008,0050=A41")
    scanner, mpps_uid = hospital.scanner("CT1"), story.new_uid()
    images = story.ct_images(entry, 3)

    assert scanner.start_step(entry, mpps_uid) == 0
    assert hospital.order("A41")["status"] == "in_progress"
    scanner.store(tmp_path / "images", images)
    assert scanner.end_step(mpps_uid, images) == 0

    (oru,) = story.eventually(lambda: hospital.ris.messages)
    assert "|ORU^R01" in oru
    assert "|A41" in oru
    assert images[0].StudyInstanceUID in oru
    assert set(hospital.archive.objects) == {str(image.SOPInstanceUID) for image in images}
    (event,) = story.eventually(lambda: hospital.bus.of_type("study.available"))
    assert event["subject"] == "A41"
    assert event["data"]["verdict"] == "matched"
    assert ("radbroker/test/study/available/A41") in [topic for topic, _ in hospital.bus.events]
    order = story.eventually(
        lambda: (
            (o := hospital.order("A41"))
            and o["deliveries"]
            and all(d["state"] == "delivered" for d in o["deliveries"])
            and o
        )
    )
    assert order["status"] == "completed"
    (study,) = order["studies"]
    assert (study["status"], study["verdict"], study["evidence"], study["instances"]) == (
        "available",
        "matched",
        "mpps",
        3,
    )
    (performed,) = order["performed_steps"]
    assert (performed["uid"], performed["status"], performed["ae"]) == (mpps_uid, "COMPLETED", "CT1")
    assert performed["step_ids"] == [entry["0040,0009"]]
    told = [line["event"] for line in order["timeline"]]
    assert told.index("order.scheduled") < told.index("procedure.started") < told.index("study.started")
    assert told.index("procedure.completed") < told.index("study.available")
    assert hospital.findscu("0008,0050=A41") == []
    story.eventually(lambda: not list((hospital.folder / "var" / "spool").rglob("*.dcm")))


def test_a_late_change_never_reopens_a_completed_step(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid, images = hospital.scanner("CT1"), story.new_uid(), story.ct_images(entry, 1)
    scanner.start_step(entry, mpps_uid)
    scanner.end_step(mpps_uid, images)

    for control in ("XO", "NW", "SC"):
        assert story.msa(hospital.send(story.orm("A1", control, status="SC")))[1] == "AA"

    assert hospital.order("A1")["status"] == "completed"
    assert hospital.findscu("0008,0050=A1") == []


def test_a_cancel_after_start_is_recorded_not_applied(surrounded: Any, story: Any) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    hospital.scanner("CT1").start_step(entry, story.new_uid())

    answer = hospital.send(story.orm("A1", "CA"))

    assert story.msa(answer)[1] == "AA"
    order = hospital.order("A1")
    assert order["status"] == "in_progress"
    assert any("cancel asked while running" in line["text"] for line in order["timeline"])


def test_two_steps_of_one_procedure_end_in_one_study_and_one_notice(
    surrounded: Any, story: Any, tmp_path: Path
) -> None:
    hospital = surrounded
    groups = "\n".join(story.order_group("A2", procedure="RP2", step=step) for step in ("SP2A", "SP2B"))
    hospital.send(story.orm("A2", group=groups))
    entries = sorted(hospital.findscu("0008,0050=A2"), key=lambda entry: entry["0040,0009"])
    scanner = hospital.scanner("CT1")
    for number, entry in enumerate(entries):
        mpps_uid, images = story.new_uid(), story.ct_images(entry, 2)
        assert scanner.start_step(entry, mpps_uid) == 0
        scanner.store(tmp_path / f"images{number}", images)
        assert scanner.end_step(mpps_uid, images) == 0

    story.eventually(lambda: hospital.ris.messages)

    order = hospital.order("A2")
    assert order["status"] == "completed"
    assert [step["status"] for step in order["steps"]] == ["COMPLETED", "COMPLETED"]
    (study,) = order["studies"]
    assert study["instances"] == 4
    story.stays(lambda: len(hospital.ris.messages) == 1, 1.0)


def test_a_step_discontinued_without_objects_is_scheduled_again(surrounded: Any, story: Any) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid = hospital.scanner("CT1"), story.new_uid()
    scanner.start_step(entry, mpps_uid)

    assert scanner.end_step(mpps_uid, [], "DISCONTINUED") == 0

    assert hospital.order("A1")["status"] == "scheduled"
    assert len(hospital.findscu("0008,0050=A1")) == 1


def test_a_step_discontinued_with_objects_waits_for_a_decision(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid, images = hospital.scanner("CT1"), story.new_uid(), story.ct_images(entry, 1)
    scanner.start_step(entry, mpps_uid)
    scanner.store(tmp_path / "images", images)

    scanner.end_step(mpps_uid, images, "DISCONTINUED")

    assert hospital.order("A1")["status"] == "discontinued"
    assert hospital.findscu("0008,0050=A1") == []


def test_a_study_of_the_wrong_patient_is_forwarded_and_told(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    images = story.ct_images(entry, 2, PatientID="99999", PatientName="SOMEBODY^ELSE", PatientBirthDate="19500101")

    hospital.scanner("CT1").store(tmp_path / "images", images)

    story.eventually(lambda: len(hospital.archive.objects) == 2)
    (event,) = story.eventually(lambda: hospital.bus.of_type("study.mismatched"))
    assert event["subject"] == "A1"
    (study,) = hospital.order("A1")["studies"]
    assert study["verdict"] == "mismatched"
    assert "PatientID" in [finding["attribute"] for finding in study["findings"]]


def test_an_unscheduled_study_is_forwarded_and_told(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    images = story.ct_images({"0010,0010": "EMERGENCY^ONE", "0010,0020": "E1"}, 2)

    hospital.scanner("CT1").store(tmp_path / "images", images)

    story.eventually(lambda: len(hospital.archive.objects) == 2)
    (event,) = story.eventually(lambda: hospital.bus.of_type("study.unscheduled"))
    assert event["subject"] == str(images[0].StudyInstanceUID)
    available = story.eventually(lambda: hospital.bus.of_type("study.available"))
    assert available[0]["data"]["verdict"] == "unscheduled"
    assert hospital.ris.messages == []


def test_a_scanner_without_mpps_completes_by_quiet_time(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")

    hospital.scanner("CT1").store(tmp_path / "images", story.ct_images(entry, 2))

    story.eventually(lambda: hospital.ris.messages)
    order = hospital.order("A1")
    assert order["status"] == "completed"
    assert order["studies"][0]["evidence"] == "quiet"


def test_objects_after_completion_extend_the_study(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner = hospital.scanner("CT1")
    scanner.store(tmp_path / "first", story.ct_images(entry, 1))
    story.eventually(lambda: hospital.bus.of_type("study.available"))

    scanner.store(tmp_path / "second", story.ct_images(entry, 1))

    (event,) = story.eventually(lambda: hospital.bus.of_type("study.extended"))
    assert event["data"]["study"]["instances"] == 2
    story.eventually(lambda: len(hospital.ris.messages) == 2)


def test_the_archive_the_ris_and_mqtt_may_be_down_at_start(hospital: Any, story: Any, tmp_path: Path) -> None:
    ports = {name: story.free_port() for name in ("archive", "ris", "bus")}
    hospital.configuration["dicom"]["nodes"] = {
        "PACS": {"host": "127.0.0.1", "port": ports["archive"], "role": "archive"}
    }
    hospital.configuration["studies"] = {"forward_to": ["PACS"], "quiet_period": "1s"}
    hospital.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": ports["ris"], "mapping": "ihe/study-to-oru"},
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{ports['bus']}"},
    }
    hospital.start()
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    images = story.ct_images(entry, 2)
    hospital.scanner("CT1").store(tmp_path / "images", images)

    bus = story.Bus(tmp_path)
    gate = Gate(ports["bus"], bus.port)
    hospital.stoppers.append(gate.stop)
    ris, archive = story.Ris(ports["ris"]), story.Archive(ports["archive"])
    hospital.stoppers += [bus.stop, ris.stop, archive.stop]

    story.eventually(lambda: len(archive.objects) == 2, 30)
    story.eventually(lambda: ris.messages, 30)
    story.eventually(lambda: bus.of_type("study.available"), 30)
    assert [event["type"] for event in bus.of_type("order.scheduled")] == ["radbroker.order.scheduled"]


def test_a_group_of_two_orders_in_one_study_of_the_scanner_gives_each_its_notice(
    surrounded: Any, story: Any, tmp_path: Path
) -> None:
    from pydicom.dataset import Dataset

    hospital, scanner, mpps_uid = surrounded, surrounded.scanner("CT1"), story.new_uid()
    entries = []
    for accession in ("G1", "G2"):
        hospital.send(story.orm(accession))
        entries += hospital.findscu(f"0008,0050={accession}")
    started, other = (story.mpps_create(entry, mpps_uid, "CT1") for entry in entries)
    started.ScheduledStepAttributesSequence.extend(other.ScheduledStepAttributesSequence)
    images = story.ct_images({**entries[0], "0008,0050": ""}, 2, StudyInstanceUID=story.new_uid())
    for image in images:
        image.RequestAttributesSequence = []
        for entry in entries:
            request = Dataset()
            request.AccessionNumber = entry["0008,0050"]
            request.RequestedProcedureID = entry["0040,1001"]
            request.ScheduledProcedureStepID = entry["0040,0009"]
            image.RequestAttributesSequence.append(request)

    assert scanner.create(started, mpps_uid) == 0
    scanner.store(tmp_path / "images", images)
    assert scanner.end_step(mpps_uid, images) == 0

    messages = story.eventually(lambda: len(hospital.ris.messages) == 2 and hospital.ris.messages)
    assert all(str(images[0].StudyInstanceUID) in message for message in messages)
    for accession in ("G1", "G2"):
        order = hospital.order(accession)
        assert order["status"] == "completed"
        assert [study["verdict"] for study in order["studies"]] == ["matched"]


def test_images_after_the_final_mpps_complete_the_study(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid, images = hospital.scanner("CT1"), story.new_uid(), story.ct_images(entry, 3)
    scanner.start_step(entry, mpps_uid)
    scanner.end_step(mpps_uid, images)

    scanner.store(tmp_path / "first", images[:2])
    story.eventually(lambda: len(hospital.archive.objects) == 2)
    story.stays(lambda: not hospital.ris.messages, 3.0)
    scanner.store(tmp_path / "last", images[2:])

    story.eventually(lambda: hospital.ris.messages)
    assert hospital.order("A1")["studies"][0]["evidence"] == "mpps"


def test_a_silent_ris_delays_nobody_else(surrounded: Any, story: Any, tmp_path: Path) -> None:
    hospital = surrounded
    hospital.ris.answer = None
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")

    hospital.scanner("CT1").store(tmp_path / "images", story.ct_images(entry, 1))

    story.eventually(lambda: hospital.bus.of_type("study.available"))
    assert len(hospital.archive.objects) == 1


def test_a_ris_that_refuses_three_times_gets_a_dead_letter_that_can_be_resent(
    surrounded: Any, story: Any, tmp_path: Path
) -> None:
    hospital = surrounded
    hospital.ris.answer = "AE"
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    hospital.scanner("CT1").store(tmp_path / "images", story.ct_images(entry, 1))
    (dead,) = story.eventually(lambda: hospital.get("/api/v1/deliveries?state=dead&destination=ris")["items"], 30)
    assert story.eventually(lambda: hospital.bus.of_type("delivery.dead"))
    hospital.ris.answer = "AA"

    hospital.post(f"/api/v1/deliveries/{dead['id']}/retry")

    story.eventually(lambda: hospital.get("/api/v1/deliveries?state=delivered&destination=ris")["items"])


def test_an_mpps_of_a_cancelled_order_is_recorded_and_alarmed(surrounded: Any, story: Any) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    hospital.send(story.orm("A1", "CA"))

    assert hospital.scanner("CT1").start_step(entry, story.new_uid()) == 0

    assert hospital.order("A1")["performed_steps"][0]["status"] == "IN PROGRESS"


def test_a_repeated_n_create_is_success_and_one_with_other_content_is_0111h(surrounded: Any, story: Any) -> None:
    hospital = surrounded
    hospital.send(story.orm("A1"))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, mpps_uid = hospital.scanner("CT1"), story.new_uid()
    data_set = story.mpps_create(entry, mpps_uid, "CT1")

    assert scanner.create(data_set, mpps_uid) == 0
    assert scanner.create(data_set, mpps_uid) == 0
    data_set.PatientID = "other"
    assert scanner.create(data_set, mpps_uid) == 0x0111
