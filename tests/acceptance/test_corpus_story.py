"""Whole folders of messages and objects: each is answered, no fault is ours, and data sets go through byte for byte.

``RADBROKER_CORPORA=folder make test TESTS="-s tests/acceptance/test_corpus_story.py"`` sends another folder than
tests/corpus, and tells what became of it. In tests/corpus/hl7 a folder is named for the answer that its messages get.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.corpora import Answered, Stored, send_messages, send_objects, write_objects
from peers.hospital import Hospital
from peers.receivers import Archive
from peers.waiting import eventually

OURS = Path(__file__).parents[1] / "corpus"
OUR_FAULTS = ("worker.failed", "handler_failed", "request_failed", "Traceback", "S002", "N003")


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital whose broker has a file for its database."""
    made = Hospital.planned(tmp_path, "sqlite:///var/broker.db")
    yield made
    made.stop()


@pytest.fixture
def corpora() -> Path | None:
    """The folder of somebody else whose files are sent."""
    named = os.environ.get("RADBROKER_CORPORA")
    return Path(named) if named else None


def test_every_message_is_answered_and_none_ends_in_a_fault_of_ours(hospital: Any, corpora: Path | None) -> None:
    hospital.configuration["hl7"]["listeners"]["his"]["processing_ids"] = ["P", "T", "D"]
    hospital.start()

    answered = list(send_messages(corpora or OURS, hospital.hl7_port))

    tell_messages(answered)
    assert len(answered) > 0
    assert [one.path.name for one in answered if one.code not in ("AA", "AE", "AR")] == []
    assert [one.path.name for one in answered if any(fault in one.answer for fault in OUR_FAULTS)] == []
    assert faults_told(hospital) == []
    if corpora is None:
        assert {one.path.name: one.code for one in answered} == {
            one.path.name: one.path.parent.name for one in answered
        }


def test_every_object_reaches_the_archive_byte_for_byte(hospital: Any, corpora: Path | None, tmp_path: Path) -> None:
    archive = Archive()
    hospital.stoppers.append(archive.stop)
    hospital.configuration["dicom"]["nodes"] = {"PACS": {"host": "127.0.0.1", "port": archive.port, "role": "archive"}}
    hospital.configuration["studies"] = {"forward_to": ["PACS"]}
    hospital.start()
    eventually(lambda: "archive.probed" in hospital.read_log())
    write_objects(tmp_path / "objects")

    stored = list(send_objects(corpora or tmp_path / "objects", hospital.dicom_port, tmp_path / "object.dcm"))

    tell_objects(stored)
    sent = {one.data_set for one in stored if one.status == 0}
    assert len(sent) > 0
    eventually(lambda: len({data_set for _, data_set in archive.received}) >= len(sent), 60)
    assert {data_set for _, data_set in archive.received} == sent
    assert faults_told(hospital) == []
    if corpora is None:
        assert {one.status for one in stored} == {0}


def faults_told(hospital: Any) -> list[str]:
    """Give the lines of the log that tell a fault of the broker's own."""
    return [line for line in hospital.read_log().splitlines() if any(fault in line for fault in OUR_FAULTS)]


def tell_messages(answered: list[Answered]) -> None:
    """Print how many got which answer, and the slowest."""
    print(len(answered), "messages:", dict(Counter(one.code or "none" for one in answered)))
    for one in sorted(answered, key=lambda one: -one.seconds)[:5]:
        print(f"{one.seconds * 1000:.1f} ms {one.path.name}")


def tell_objects(stored: list[Stored]) -> None:
    """Print how many got which status, and each that was not taken."""
    statuses = Counter("context refused" if one.status is None else f"{one.status:04X}H" for one in stored)
    print(len(stored), "objects:", dict(statuses))
    for one in stored:
        if one.status != 0:
            status = "context refused" if one.status is None else f"{one.status:04X}H"
            print(status, one.sop_class or "no SOP class", one.transfer_syntax, one.path.name)
