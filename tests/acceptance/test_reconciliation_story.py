"""Studies that fit no order, fit several, or grow: held, released, rejected, linked; group case and append case."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

SOMEBODY = {"PatientID": "99999", "PatientName": "SOMEBODY^ELSE", "PatientBirthDate": "19500101"}


@pytest.fixture
def department(hospital: Any, story: Any, tmp_path: Path) -> Any:
    """A hospital with an archive, a RIS and an MQTT broker that holds what is of another patient; not started."""
    archive, ris, bus = story.Archive(), story.Ris(), story.Bus(tmp_path)
    hospital.stoppers += [archive.stop, ris.stop, bus.stop]
    hospital.configuration["dicom"]["nodes"] = {
        "CT1": {"role": "modality", "modality": "CT"},
        "CT2": {"role": "modality", "modality": "CT", "on_mismatch": "forward"},
        "PACS": {"host": "127.0.0.1", "port": archive.port, "role": "archive"},
    }
    hospital.configuration["studies"] = {"forward_to": ["PACS"], "quiet_period": "2s", "on_mismatch": "hold"}
    hospital.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": ris.port, "mapping": "ihe/study-to-oru"},
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{bus.port}"},
    }
    hospital.archive, hospital.ris, hospital.bus = archive, ris, bus
    return hospital


def order(hospital: Any, story: Any, accession: str, **values: str) -> dict[str, str]:
    """Send an order; give its worklist entry."""
    hospital.send(story.orm(accession, **values))
    (entry,) = hospital.findscu(f"0008,0050={accession}")
    return dict(entry)


def broker(hospital: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "broker", *arguments, "--config", str(hospital.folder / "broker.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def held(hospital: Any) -> list[dict[str, Any]]:
    return list(hospital.get("/api/v1/studies?state=held")["items"])


def events(hospital: Any, accession: str) -> list[str]:
    return [entry["event"] for entry in hospital.order(accession)["timeline"]]


def in_archive(hospital: Any, images: list[Any]) -> bool:
    return {str(image.SOPInstanceUID) for image in images} <= set(hospital.archive.objects)


def test_images_of_another_patient_wait_for_a_person_through_every_restart(
    department: Any, story: Any, tmp_path: Path
) -> None:
    hospital = department
    hospital.start()
    scanner = hospital.scanner("CT1")
    images = {}
    for accession in ("RELEASE", "REJECT", "LINK"):
        images[accession] = story.ct_images(order(hospital, story, accession), 2, **SOMEBODY)
        scanner.store(tmp_path / accession, images[accession])
    hospital.send(story.orm("URGENT").replace("^^R", "^^S"))
    (urgent,) = hospital.findscu("0008,0050=URGENT")
    images["URGENT"] = story.ct_images(urgent, 1, **SOMEBODY)
    scanner.store(tmp_path / "urgent", images["URGENT"])
    images["CT2"] = story.ct_images(order(hospital, story, "OTHER"), 1, **SOMEBODY)
    hospital.scanner("CT2").store(tmp_path / "ct2", images["CT2"])
    order(hospital, story, "TRUE", patient="99999", name="SOMEBODY^ELSE", birth="19500101", sex="M")
    story.eventually(lambda: in_archive(hospital, images["CT2"] + images["URGENT"]))

    hospital.restart()
    uids = {accession: str(some[0].StudyInstanceUID) for accession, some in images.items()}
    waiting = {study["uid"]: study for study in held(hospital)}
    assert set(waiting) == {uids["RELEASE"], uids["REJECT"], uids["LINK"]}
    shown = waiting[uids["RELEASE"]]
    assert {finding["attribute"] for finding in shown["findings"] if finding["weight"]} >= {"PatientID", "PatientName"}
    assert (shown["instances"], shown["orders"][0]["accession"]) == (2, "RELEASE")
    assert shown["held_at"] < shown["release_at"]
    assert len(hospital.archive.objects) == 2
    assert {event["subject"] for event in hospital.bus.of_type("study.mismatched")} >= {"RELEASE", "REJECT", "LINK"}
    assert hospital.read_log().count("study.held") == 3
    story.eventually(lambda: "radbroker_studies_held 3.0" in metrics(hospital))
    page = read_page(hospital)
    assert "3 held for a decision" in page
    assert "PatientName" in page
    assert "SOMEBODY" not in page

    assert hospital.post(f"/api/v1/studies/{uids['RELEASE']}/release")["status"] == "released"
    rejected = broker(hospital, "studies", "reject", uids["REJECT"], "--json")
    assert (rejected.returncode, json.loads(rejected.stdout)[0]["status"]) == (0, "rejected")
    assert broker(hospital, "studies", "link", uids["LINK"], "TRUE").returncode == 0
    assert broker(hospital, "studies", "release", uids["REJECT"]).returncode == 1
    with pytest.raises(urllib.error.HTTPError) as refused:
        hospital.post(f"/api/v1/studies/{uids['REJECT']}/release")
    assert refused.value.code == 409
    hospital.restart()

    story.eventually(lambda: in_archive(hospital, images["RELEASE"]) and in_archive(hospital, images["LINK"]))
    story.eventually(
        lambda: {"RELEASE", "TRUE"} <= {event["subject"] for event in hospital.bus.of_type("study.available")}
    )
    scanner.store(tmp_path / "more", story.ct_images({}, 1, StudyInstanceUID=uids["REJECT"], **SOMEBODY))
    assert events(hospital, "RELEASE")[-2:] == ["study.released", "study.available"]
    assert hospital.order("TRUE")["status"] == "completed"
    assert hospital.order("LINK")["studies"] == []
    story.eventually(lambda: any("|TRUE" in message for message in hospital.ris.messages))
    life = hospital.order("REJECT")
    assert [study["status"] for study in life["studies"]] == ["rejected"]
    assert "rejected by" in next(e["text"] for e in life["timeline"] if e["event"] == "study.rejected")
    assert "study.available" not in events(hospital, "REJECT")
    assert not any("|REJECT" in message for message in hospital.ris.messages)
    assert not in_archive(hospital, images["REJECT"][:1])
    aside = hospital.folder / "var" / "spool" / "rejected" / uids["REJECT"]
    story.eventually(lambda: len(list(aside.glob("*.dcm"))) == 3)
    story.eventually(lambda: "radbroker_studies_held 0.0" in metrics(hospital))


def metrics(hospital: Any) -> str:
    return read_page(hospital, "/metrics")


def read_page(hospital: Any, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{hospital.web_port}{path}", timeout=30) as answer:
        return str(answer.read().decode())


def test_what_nobody_decides_leaves_flagged(department: Any, story: Any, tmp_path: Path) -> None:
    hospital = department
    hospital.configuration["studies"]["hold_max"] = "3s"
    hospital.start()
    images = story.ct_images(order(hospital, story, "A1"), 2, **SOMEBODY)
    hospital.scanner("CT1").store(tmp_path / "images", images)
    assert hospital.order("A1")["studies"][0]["status"] in ("held", "released", "available")

    story.eventually(lambda: in_archive(hospital, images))
    story.eventually(lambda: "study.available" in events(hospital, "A1"))

    (released,) = [e for e in hospital.order("A1")["timeline"] if e["event"] == "study.released"]
    assert released["alarm"]
    assert "nobody decided" in released["text"]
    (event,) = story.eventually(lambda: hospital.bus.of_type("study.released"))
    assert event["data"]["verdict"] == "mismatched"


def test_two_orders_done_in_one_study_and_more_images_later_are_told_to_both(
    department: Any, story: Any, tmp_path: Path
) -> None:
    hospital = department
    hospital.start()
    scanner, study_uid = hospital.scanner("CT1"), story.new_uid()
    entries = [order(hospital, story, accession) for accession in ("G1", "G2")]

    def perform(name: str, named: list[dict[str, str]], count: int) -> list[Any]:
        mpps_uid = story.new_uid()
        started, *others = (story.mpps_create(entry, mpps_uid, "CT1") for entry in named)
        for other in others:
            started.ScheduledStepAttributesSequence.extend(other.ScheduledStepAttributesSequence)
        images = story.ct_images({**entries[0], "0008,0050": ""}, count, StudyInstanceUID=study_uid)
        for image in images:
            image.RequestAttributesSequence = [request_of(entry) for entry in named]
        assert scanner.create(started, mpps_uid) == 0
        scanner.store(tmp_path / name, images)
        assert scanner.end_step(mpps_uid, images) == 0
        return list(images)

    perform("group", entries, 2)
    story.eventually(lambda: len(hospital.ris.messages) == 2)
    for accession in ("G1", "G2"):
        life = hospital.order(accession)
        (study,) = life["studies"]
        assert (study["uid"], study["verdict"], study["evidence"]) == (study_uid, "matched", "mpps")
        assert life["status"] == "completed"
        assert study_uid in read_page(hospital, f"/orders/{accession}")
    assert all(study_uid in message for message in hospital.ris.messages)
    assert {message.split("OBR|")[1].split("|")[17] for message in hospital.ris.messages} == {"G1", "G2"}

    perform("append", entries[:1], 3)
    story.eventually(lambda: len(hospital.ris.messages) == 4)
    life = hospital.order("G1")
    (study,) = life["studies"]
    assert (study["verdict"], study["evidence"], study["instances"]) == ("matched", "mpps", 5)
    assert len(life["performed_steps"]) == 2
    assert events(hospital, "G1").count("study.available") == events(hospital, "G1").count("study.extended") == 1
    assert not {"study.mismatched", "study.released"} & {*events(hospital, "G1"), *events(hospital, "G2")}


def request_of(entry: dict[str, str]) -> Any:
    from pydicom.dataset import Dataset

    request = Dataset()
    request.AccessionNumber = entry["0008,0050"]
    request.RequestedProcedureID = entry["0040,1001"]
    request.ScheduledProcedureStepID = entry["0040,0009"]
    return request
