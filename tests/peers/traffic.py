"""Sixteen connections at once: senders of orders and scanners. Whatever is not answered is said again, until it is."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dsutils import encode

from peers.his import Mllp, msa, orm
from peers.images import CT_IMAGE, ct_images, mpps_create, mpps_set
from peers.scanner import MPPS
from peers.waiting import is_open, new_uid

WORKLIST = "1.2.840.10008.5.1.4.31"
SENDERS, SCANNERS, IMAGES = 10, 6, 3
LAST_WORDS_SECONDS = 60.0


class NotAnswered(Exception):
    """The broker went before it answered, or cannot answer now."""


class Traffic:
    """What was answered well is in *orders*, *examined* and *images* (UID -> data set); the rest in *refused*.

    What is answered with one of *later* (not now, say it again) is said again too.
    """

    def __init__(self, hl7_port: int, dicom_port: int, seed: int, later: tuple[object, ...] = ()) -> None:
        self.ports, self.seed, self._later = (hl7_port, dicom_port), seed, later
        self.orders: list[str] = []
        self.examined: list[str] = []
        self.images: dict[str, bytes] = {}
        self.refused: list[str] = []
        self.faults: list[BaseException] = []
        self.answers = self.repeats = 0
        self._stopping = threading.Event()
        self._deadline = float("inf")
        work = [(self._send_orders, n) for n in range(SENDERS)] + [(self._examine, n) for n in range(SCANNERS)]
        self._threads = [threading.Thread(target=self._run, args=one, daemon=True) for one in work]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody end what is in hand."""
        self._deadline = time.monotonic() + LAST_WORDS_SECONDS
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * LAST_WORDS_SECONDS)

    def _run(self, work: Callable[[int, Link], None], number: int) -> None:
        try:
            work(number, Link(*self.ports, ae=f"CT{number}"))
        except BaseException as fault:
            self.faults.append(fault)
            raise

    def _send_orders(self, number: int, link: Link) -> None:
        pause, count = random.Random(f"{self.seed} {number}"), 0
        while not self._stopping.is_set():
            count += 1
            self._order(link, f"H{number}N{count}")
            time.sleep(pause.uniform(0, 0.05))

    def _order(self, link: Link, accession: str) -> None:
        message = orm(accession)
        if self._said(f"order {accession}", lambda: link.send(message), "AA"):
            self.orders.append(accession)

    def _examine(self, number: int, link: Link) -> None:
        count = 0
        while not self._stopping.is_set():
            count += 1
            accession = f"E{number}N{count}"
            self._order(link, accession)
            self._examine_one(accession, link)

    def _examine_one(self, accession: str, link: Link) -> None:
        (entry,) = self._persist(lambda: link.find(accession))
        uid, images = new_uid(), ct_images(entry, IMAGES)
        created, ended = mpps_create(entry, uid, link.ae), mpps_set(images)
        self._said(f"N-CREATE {accession}", lambda: link.n_create(created, uid), 0)
        for image in images:
            if self._said(f"C-STORE {accession}", lambda sent=image: link.c_store(sent), 0):
                self.images[str(image.SOPInstanceUID)] = encoded(image)
        if self._said(f"N-SET {accession}", lambda: link.n_set(ended, uid), 0):
            self.examined.append(accession)

    def _said(self, what: str, ask: Callable[[], object], wanted: object) -> bool:
        answer = self._persist(ask)
        if answer != wanted:
            self.refused.append(f"{what}: {answer}")
        return answer == wanted

    def _persist(self, ask: Callable[[], Any]) -> Any:
        while True:
            try:
                answer = ask()
                if answer in self._later:
                    raise NotAnswered
            except (NotAnswered, OSError):
                self.repeats += 1
                if time.monotonic() > self._deadline:
                    raise
                time.sleep(0.3)
            else:
                self.answers += 1
                return answer


class Link:
    """The two connections of a sender or scanner, opened again when the broker has gone."""

    def __init__(self, hl7_port: int, dicom_port: int, ae: str) -> None:
        self.ae = ae
        self._hl7_port, self._dicom_port = hl7_port, dicom_port
        self._mllp: Mllp | None = None
        self._association: Any = None

    def send(self, message: str) -> str:
        """Send a message, give MSA-1."""
        try:
            self._mllp = self._mllp or Mllp(self._hl7_port)
            answer = self._mllp.send(message)
        except OSError:
            self._mllp = None
            raise
        if not answer:
            self._mllp = None
            raise NotAnswered
        return msa(answer)[1]

    def find(self, accession: str) -> list[dict[str, str]]:
        """Ask the worklist for an accession; give the entries as `ct_images` takes them."""
        answers = self._asked(lambda to: list(to.send_c_find(worklist_query(accession), WORKLIST)))
        if answers[-1][0].get("Status") != 0:
            self._association = None
            raise NotAnswered
        return [worklist_entry(identifier) for _, identifier in answers[:-1]]

    def n_create(self, data_set: Dataset, uid: str) -> int:
        return self._status(lambda to: to.send_n_create(data_set, MPPS, uid)[0])

    def n_set(self, data_set: Dataset, uid: str) -> int:
        return self._status(lambda to: to.send_n_set(data_set, MPPS, uid)[0])

    def c_store(self, image: Dataset) -> int:
        return self._status(lambda to: to.send_c_store(image))

    def _status(self, ask: Callable[[Any], Any]) -> int:
        status = self._asked(ask)
        if "Status" not in status:
            self._association = None
            raise NotAnswered
        return int(status.Status)

    def _asked(self, ask: Callable[[Any], Any]) -> Any:
        try:
            return ask(self._associated())
        except RuntimeError as fault:  # pynetdicom's word for an association that went between two requests
            self._association = None
            raise NotAnswered from fault

    def _associated(self) -> Any:
        if self._association is None or not self._association.is_established:
            if not is_open(self._dicom_port):  # a cheaper question than an association's
                raise NotAnswered
            entity = AE(ae_title=self.ae)
            entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 15
            entity.connection_timeout = 5
            for syntax in (WORKLIST, MPPS, CT_IMAGE):
                entity.add_requested_context(syntax, ExplicitVRLittleEndian)
            self._association = entity.associate("127.0.0.1", self._dicom_port, ae_title="BROKER")
        if not self._association.is_established:
            raise NotAnswered
        return self._association


def worklist_query(accession: str) -> Dataset:
    """Make the identifier that asks for everything a scanner copies."""
    query, step = Dataset(), Dataset()
    query.AccessionNumber = accession
    query.PatientName = query.PatientID = query.StudyInstanceUID = query.RequestedProcedureID = ""
    step.Modality = step.ScheduledProcedureStepID = ""
    query.ScheduledProcedureStepSequence = [step]
    return query


def worklist_entry(identifier: Dataset) -> dict[str, str]:
    """Give an answer as tag -> value, as `parse_dump` does."""
    (step,) = identifier.ScheduledProcedureStepSequence
    return {
        "0010,0010": str(identifier.PatientName),
        "0010,0020": identifier.PatientID,
        "0008,0050": identifier.AccessionNumber,
        "0020,000d": identifier.StudyInstanceUID,
        "0040,1001": identifier.RequestedProcedureID,
        "0040,0009": step.ScheduledProcedureStepID,
        "0008,0060": step.Modality,
    }


def encoded(image: Dataset) -> bytes:
    """Give the data set as `Link` sends it."""
    made = encode(image, is_implicit_vr=False, is_little_endian=True)
    assert made is not None
    return bytes(made)
