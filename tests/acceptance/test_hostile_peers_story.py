"""A store without room, archives and receivers that misbehave: nothing is lost, nobody else is kept waiting."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, Verification

from peers.his import Mllp, msa, orm
from peers.hospital import Hospital, all_orders
from peers.images import ct_images
from peers.receivers import Ris
from peers.waiting import eventually, free_port
from peers.withstanding import withstanding


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital whose store is a file: of a server's disk the broker has no say."""
    made = Hospital.planned(tmp_path, "sqlite:///var/broker.db")
    yield made
    made.stop()


TRANSIENT = {"his": "AR", "his_ae": "AE", "his_close": "close"}


@contextmanager
def no_room(hospital: Hospital) -> Iterator[None]:
    """The broker can write to no file, its log included."""
    assert hospital.process is not None
    pid = hospital.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def send(port: int, text: str) -> str:
    his = Mllp(port)
    try:
        return his.send(text)
    finally:
        his.close()


def test_a_store_that_cannot_write_refuses_for_now_and_recovers(hospital: Hospital) -> None:
    ports = {name: free_port() for name in TRANSIENT} | {"his": hospital.hl7_port}
    hospital.configuration["hl7"]["listeners"] = {
        name: {"host": "127.0.0.1", "port": ports[name], "transient": code} for name, code in TRANSIENT.items()
    }
    with withstanding(hospital):
        with no_room(hospital):
            answers = {name: [send(port, orm(f"B{n}")) for n in range(3)] for name, port in ports.items()}
            noise = send(hospital.hl7_port, "this is not HL7")
            states = [hospital.get_status(path) for path in ("/readyz", "/healthz", "/metrics", "/")]
            seen = hospital.findscu("0008,0050=FIRST")

        codes = {name: [(msa(answer) or ["", ""])[1] for answer in given] for name, given in answers.items()}
        assert codes == {"his": ["AR"] * 3, "his_ae": ["AE"] * 3, "his_close": [""] * 3}
        assert all("207" in answer for answer in answers["his"] + answers["his_ae"])
        assert msa(noise)[1] == "AR"
        assert states == [503, 200, 200, 200]
        assert len(seen) == 1
        eventually(lambda: hospital.get_status("/readyz") == 200)
        assert all_orders(hospital) == {"FIRST"}


class OddArchive:
    """Takes CT and no MR; answers the first object A900H; while *silent* is not set, it answers no object at all."""

    def __init__(self, *, is_odd: bool) -> None:
        self.port, self.objects, self.answers = free_port(), dict[str, bytes](), [0xA900] if is_odd else []
        self.speaks = threading.Event()
        entity = AE(ae_title="ODD")
        for syntax in (CTImageStorage, Verification, *([] if is_odd else [MRImageStorage])):
            entity.add_supported_context(syntax)
        if is_odd:
            self.speaks.set()
        self.server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self.keep)]
        )

    def keep(self, event: Any) -> int:
        self.speaks.wait(60)
        if self.answers:
            return self.answers.pop()
        self.objects[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
        return 0x0000

    def stop(self) -> None:
        self.speaks.set()
        self.server.shutdown()


@pytest.fixture
def archives(hospital: Hospital) -> tuple[OddArchive, OddArchive]:
    """One that is odd, one that is silent; every object goes to both."""
    odd, silent = OddArchive(is_odd=True), OddArchive(is_odd=False)
    for name, archive in (("ODD", odd), ("SILENT", silent)):
        hospital.configuration["dicom"].setdefault("nodes", {})[name] = {
            "host": "127.0.0.1",
            "port": archive.port,
            "role": "archive",
        }
        hospital.stoppers.append(archive.stop)
    hospital.configuration["studies"] = {"forward_to": ["ODD", "SILENT"], "quiet_period": "1s"}
    return odd, silent


def accepted(hospital: Hospital) -> set[str]:
    """Give which of CT and MR the broker takes from a scanner."""
    entity = AE(ae_title="CT1")
    for syntax in (CTImageStorage, MRImageStorage):
        entity.add_requested_context(syntax)
    association = entity.associate("127.0.0.1", hospital.dicom_port, ae_title="BROKER")
    found = {str(context.abstract_syntax) for context in association.accepted_contexts}
    association.release()
    return found


RECEIVERS = {
    "good": ("AA", "delivered", ""),
    "refuses": ("AE", "dead", "AE"),
    "rejects": ("AR", "dead", "AR"),
    "confused": ("AA", "retryable", "the message's control id is"),
    "mute": (None, "retryable", "gave no answer within"),
}


def test_archives_and_receivers_that_misbehave_cost_nothing(
    hospital: Hospital, archives: tuple[OddArchive, OddArchive], tmp_path: Path
) -> None:
    odd, silent = archives
    receivers = {name: Ris() for name in RECEIVERS}
    for name, ris in receivers.items():
        ris.answer, ris.answered_id = RECEIVERS[name][0], "OTHER" if name == "confused" else ""
        hospital.stoppers.append(ris.stop)
        hospital.configuration["destinations"][name] = {"type": "hl7", "port": ris.port, "answer_timeout": "1s"}

    with withstanding(hospital):
        eventually(lambda: accepted(hospital) == {CTImageStorage})
        hospital.send(orm("A1"))
        images = ct_images(hospital.findscu("0008,0050=A1")[0], 3)
        hospital.scanner().store(tmp_path, images)

        eventually(lambda: len(odd.objects) == 3)
        assert silent.objects == {}
        eventually(lambda: states(hospital, "ODD") == ["delivered"] * 3)
        rows = hospital.get("/api/v1/deliveries?destination=ODD")["items"]
        assert sorted(row["attempts"] for row in rows) == [1, 1, 2]

        silent.speaks.set()
        eventually(lambda: len(silent.objects) == 3)
        for name, (_, state, words) in RECEIVERS.items():
            eventually(lambda name=name, state=state: states(hospital, name) == [state])
            (row,) = hospital.get(f"/api/v1/deliveries?destination={name}")["items"]
            assert words in (row["error"] or "")
        assert len(receivers["good"].messages) == 1
        dead = [entry for entry in hospital.order("A1")["timeline"] if entry["event"] == "delivery.dead"]
        assert len(dead) == 2
        assert all(entry["alarm"] for entry in dead)


def states(hospital: Hospital, destination: str) -> list[str]:
    """Give the states of what is for *destination*."""
    return [row["state"] for row in hospital.get(f"/api/v1/deliveries?destination={destination}")["items"]]
