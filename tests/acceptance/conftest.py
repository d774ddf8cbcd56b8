"""A small hospital around one `broker run`: a HIS, scanners, an archive, a RIS and an MQTT broker that are not ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MPPS = "1.2.840.10008.3.1.2.3.3"


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: Callable[[], T], seconds: float = 15.0) -> T:
    """Wait until *what* gives something true; fail with what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing came within {seconds} s; last: {found!r}")
        time.sleep(0.05)


class Mllp:
    """A HIS: one connection, one message at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, text: str) -> str:
        """Send a message, give the answer."""
        self.send_raw(b"\x0b" + text.replace("\n", "\r").encode() + b"\x1c\r")
        return self.receive()

    def send_raw(self, content: bytes) -> None:
        self.socket.sendall(content)

    def receive(self) -> str:
        """Give one answer; `` when the broker closed."""
        content = b""
        while b"\x1c\r" not in content:
            chunk = self.socket.recv(65536)
            if not chunk:
                return ""
            content += chunk
        return content.partition(b"\x1c\r")[0].lstrip(b"\x0b").decode()

    def close(self) -> None:
        self.socket.close()


class Ris:
    """A RIS: keeps what it is sent; *answer* is its MSA-1, or None for silence."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.messages: list[str] = []
        self.answer: str | None = "AA"
        ris = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                content = b""
                while chunk := self.request.recv(65536):
                    content += chunk
                    while b"\x1c\r" in content:
                        frame, _, content = content.partition(b"\x1c\r")
                        message = frame.lstrip(b"\x0b").decode()
                        ris.messages.append(message)
                        if ris.answer is not None:
                            control_id = message.split("|")[9]
                            ack = f"MSH|^~\\&|RIS|H|B|R|20260401||ACK|A{len(ris.messages)}|P|2.5.1\rMSA|{ris.answer}|{control_id}\r"
                            self.request.sendall(b"\x0b" + ack.encode() + b"\x1c\r")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Archive:
    """An archive of pynetdicom's: keeps the objects it is sent, by SOP Instance UID."""

    def __init__(self, port: int | None = None) -> None:
        from pynetdicom import AE, AllStoragePresentationContexts, evt
        from pynetdicom.presentation import DEFAULT_TRANSFER_SYNTAXES

        self.port = port or free_port()
        self.objects: dict[str, bytes] = {}
        entity = AE(ae_title="PACS")
        entity.maximum_associations = 20
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, DEFAULT_TRANSFER_SYNTAXES)
        entity.add_supported_context("1.2.840.10008.1.1")

        def keep(event: Any) -> int:
            self.objects[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
            return 0x0000

        self.server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])

    def stop(self) -> None:
        self.server.shutdown()


class Bus:
    """An MQTT broker and one subscriber to everything below radbroker/."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.events: list[tuple[str, dict[str, Any]]] = []
        mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        configuration = folder / f"bus-{self.port}.conf"
        if mosquitto:
            configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
            command = [mosquitto, "-c", str(configuration)]
        else:
            configuration.write_text(
                yaml.safe_dump(
                    {
                        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
                        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                    }
                )
            )
            command = [str(Path(sys.executable).parent / "amqtt"), "-c", str(configuration)]
        self.log = (folder / f"bus-{self.port}.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        eventually(lambda: is_open(self.port))
        self._subscribe()

    def _subscribe(self) -> None:
        import paho.mqtt.client as mqtt

        subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("radbroker/#", qos=1)
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = lambda _c, _u, message: self.events.append(
            (message.topic, json.loads(message.payload))
        )
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert subscribed.wait(10)

    def of_type(self, type: str) -> list[dict[str, Any]]:
        """Give the events of *type* (without the prefix) so far."""
        return [event for _topic, event in self.events if event["type"] == f"radbroker.{type}"]

    def stop(self) -> None:
        self.client.loop_stop()
        self.client.disconnect()
        self.process.terminate()
        self.process.wait(10)
        self.log.close()


def is_open(port: int) -> bool:
    """Say whether somebody listens on *port*."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Hospital:
    """One broker process with its configuration, and what stands around it."""

    folder: Path
    configuration: dict[str, Any]
    hl7_port: int
    dicom_port: int
    web_port: int
    process: subprocess.Popen[bytes] | None = None
    stoppers: list[Callable[[], None]] = field(default_factory=list)

    def start(self, seconds: float = 20.0) -> None:
        """Start `broker run` and wait until it is ready."""
        path = self.folder / "broker.yaml"
        path.write_text(yaml.safe_dump(self.configuration))
        self.log = (self.folder / "broker.log").open("ab")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BROKER__")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "broker", "run", "--config", str(path)],
            stdout=self.log,
            stderr=self.log,
            env=environment,
        )
        process = self.process

        def is_ready() -> bool:
            assert process.poll() is None, f"broker ended with {process.returncode}:\n{self.read_log()}"
            return self.get_status("/readyz") == 200

        eventually(is_ready, seconds)

    def read_log(self) -> str:
        return (self.folder / "broker.log").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self, seconds: float = 15.0) -> int:
        """SIGTERM; give the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def restart(self) -> None:
        """kill -9, then start again."""
        self.kill()
        self.start()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for stopper in self.stoppers:
            stopper()

    def get_status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def get(self, path: str) -> Any:
        """GET a JSON answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def post(self, path: str) -> Any:
        """POST without a body; give the JSON answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def order(self, accession: str) -> dict[str, Any] | None:
        """Give one order's life by accession number, or None."""
        try:
            return self.get("/api/v1/orders/" + urllib.parse.quote(accession, safe=""))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def his(self) -> Mllp:
        """Connect a HIS."""
        his = Mllp(self.hl7_port)
        self.stoppers.append(his.close)
        return his

    def send(self, text: str) -> str:
        """Send one message on a connection of its own; give the answer."""
        his = Mllp(self.hl7_port)
        try:
            return his.send(text)
        finally:
            his.close()

    def findscu(self, *keys: str, ae: str = "CT1") -> list[dict[str, str]]:
        """Ask the worklist with DCMTK's findscu; give each answer as tag -> value."""
        asked = ["0010,0010", "0010,0020", "0008,0050", "0020,000d", "0040,1001"]
        step = [
            f"(0040,0100)[0].{name}"
            for name in ("Modality", "0040,0001", "0040,0002", "0040,0003", "0040,0009", "0040,0020")
        ]
        tags = [k.partition("=")[0].lower() for k in keys]
        command = [dcmtk("findscu"), "-v", "-W", "-aet", ae, "-aec", "BROKER"]
        for key in [*(a for a in asked if a not in tags), *step, *keys]:
            command += ["-k", key]
        done = subprocess.run(
            [*command, "127.0.0.1", str(self.dicom_port)], capture_output=True, text=True, timeout=30, errors="replace"
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return parse_dump(output)

    def scanner(self, ae: str = "CT1") -> Scanner:
        """Give a modality (pynetdicom) with that AE title."""
        return Scanner(self, ae)


def parse_dump(output: str) -> list[dict[str, str]]:
    """Read findscu's -v output: one dictionary of tag -> value an answer (sequences flattened)."""
    answers: list[dict[str, str]] = []
    for line in output.splitlines():
        if "Find Response" in line and "Pending" in line:
            answers.append({})
        found = re.match(r"I:\s+\((\w{4},\w{4})\) \w\w (?:\[(.*?)\]|\(no value available\)|=\S+)", line)
        if found and answers:
            answers[-1][found[1].lower()] = (found[2] or "").strip(" \0")
    return answers


def dcmtk(name: str) -> str:
    """Find DCMTK's own *name*: pynetdicom installs scripts of the same names."""
    for folder in os.environ["PATH"].split(os.pathsep):
        tool = Path(folder) / name
        if tool.exists():
            version = subprocess.run([str(tool), "--version"], capture_output=True, text=True, timeout=20).stdout
            if version.startswith("$dcmtk"):
                return str(tool)
    if os.environ.get("CI"):
        pytest.fail(f"DCMTK's {name} is not installed")
    pytest.skip(f"DCMTK's {name} is not installed")


@dataclass
class Scanner:
    """A modality: reports MPPS and sends images with pynetdicom, or images with DCMTK's storescu."""

    hospital: Hospital
    ae: str

    def _associate(self, syntax: str) -> Any:
        from pynetdicom import AE

        entity = AE(ae_title=self.ae)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 15
        entity.add_requested_context(syntax)
        association = entity.associate("127.0.0.1", self.hospital.dicom_port, ae_title="BROKER")
        assert association.is_established, "no association"
        return association

    def start_step(self, entry: dict[str, str], uid: str, patient_id: str | None = None) -> int:
        """N-CREATE an MPPS for a worklist entry (as findscu gave it); give the status."""
        return self.create(mpps_create(entry, uid, self.ae, patient_id), uid)

    def create(self, data_set: Any, uid: str) -> int:
        association = self._associate(MPPS)
        status, _ = association.send_n_create(data_set, MPPS, uid)
        association.release()
        return int(status.Status)

    def end_step(self, uid: str, images: list[Any], status: str = "COMPLETED") -> int:
        """N-SET the final status, naming *images*; give the status."""
        association = self._associate(MPPS)
        answer, _ = association.send_n_set(mpps_set(images, status), MPPS, uid)
        association.release()
        return int(answer.Status)

    def store(self, folder: Path, images: list[Any]) -> None:
        """Send images with DCMTK's storescu; fails when one is not answered 0000H."""
        paths = []
        folder.mkdir(parents=True, exist_ok=True)
        for image in images:
            path = folder / f"{image.SOPInstanceUID}.dcm"
            image.save_as(path, enforce_file_format=True)
            paths.append(str(path))
        done = subprocess.run(
            [
                dcmtk("storescu"),
                "-v",
                "-aet",
                self.ae,
                "-aec",
                "BROKER",
                "127.0.0.1",
                str(self.hospital.dicom_port),
                *paths,
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (done.stdout + done.stderr).count("(Success)") >= len(images), done.stdout + done.stderr


def mpps_create(entry: dict[str, str], uid: str, ae: str, patient_id: str | None = None) -> Any:
    """Make an N-CREATE data set from a worklist entry."""
    from pydicom.dataset import Dataset

    now = datetime.now()
    step = Dataset()
    step.StudyInstanceUID = entry.get("0020,000d", "")
    step.ReferencedStudySequence = []
    step.AccessionNumber = entry.get("0008,0050", "")
    step.RequestedProcedureID = entry.get("0040,1001", "")
    step.RequestedProcedureDescription = ""
    step.ScheduledProcedureStepID = entry.get("0040,0009", "")
    step.ScheduledProcedureStepDescription = ""
    step.ScheduledProtocolCodeSequence = []
    made = Dataset()
    made.ScheduledStepAttributesSequence = [step]
    made.PatientName = entry.get("0010,0010", "")
    made.PatientID = patient_id or entry.get("0010,0020", "")
    made.PatientBirthDate = ""
    made.PatientSex = ""
    made.ReferencedPatientSequence = []
    made.PerformedProcedureStepID = "PPS" + uid[-4:]
    made.PerformedStationAETitle = ae
    made.PerformedStationName = ""
    made.PerformedLocation = ""
    made.PerformedProcedureStepStartDate = now.strftime("%Y%m%d")
    made.PerformedProcedureStepStartTime = now.strftime("%H%M%S")
    made.PerformedProcedureStepEndDate = ""
    made.PerformedProcedureStepEndTime = ""
    made.PerformedProcedureStepStatus = "IN PROGRESS"
    made.PerformedProcedureStepDescription = ""
    made.PerformedProcedureTypeDescription = ""
    made.ProcedureCodeSequence = []
    made.Modality = entry.get("0008,0060", "CT") or "CT"
    made.StudyID = ""
    made.PerformedProtocolCodeSequence = []
    made.PerformedSeriesSequence = []
    return made


def mpps_set(images: list[Any], status: str = "COMPLETED") -> Any:
    """Make the final N-SET data set that names *images*."""
    from pydicom.dataset import Dataset

    now = datetime.now()
    changed = Dataset()
    changed.PerformedProcedureStepStatus = status
    changed.PerformedProcedureStepEndDate = now.strftime("%Y%m%d")
    changed.PerformedProcedureStepEndTime = now.strftime("%H%M%S")
    changed.PerformedSeriesSequence = []
    for series_uid in dict.fromkeys(str(image.SeriesInstanceUID) for image in images):
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.PerformingPhysicianName = ""
        series.OperatorsName = "TECH^ONE"
        series.ProtocolName = "P"
        series.SeriesDescription = ""
        series.RetrieveAETitle = ""
        series.ReferencedNonImageCompositeSOPInstanceSequence = []
        series.ReferencedImageSequence = []
        for image in images:
            if str(image.SeriesInstanceUID) == series_uid:
                reference = Dataset()
                reference.ReferencedSOPClassUID = image.SOPClassUID
                reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
                series.ReferencedImageSequence.append(reference)
        changed.PerformedSeriesSequence.append(series)
    return changed


def ct_images(entry: dict[str, str], count: int, **changes: str) -> list[Any]:
    """Make *count* small CT images that belong to a worklist entry; *changes* by keyword."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    series_uid = generate_uid()
    study_uid = changes.pop("StudyInstanceUID", "") or entry.get("0020,000d") or generate_uid()
    images = []
    for number in range(1, count + 1):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = CT_IMAGE
        image.SOPInstanceUID = generate_uid()
        image.StudyInstanceUID = study_uid
        image.SeriesInstanceUID = series_uid
        image.Modality = "CT"
        image.PatientName = entry.get("0010,0010", "")
        image.PatientID = entry.get("0010,0020", "")
        image.PatientBirthDate = ""
        image.PatientSex = ""
        image.AccessionNumber = entry.get("0008,0050", "")
        image.StudyDate = image.SeriesDate = "20260401"
        image.StudyTime = image.SeriesTime = "101500"
        image.StudyID = "1"
        image.ReferringPhysicianName = ""
        image.SeriesNumber = 1
        image.InstanceNumber = number
        image.Rows = image.Columns = 8
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
        image.SamplesPerPixel, image.PixelRepresentation = 1, 0
        image.PhotometricInterpretation = "MONOCHROME2"
        image.PixelData = bytes(range(128))
        request = Dataset()
        request.RequestedProcedureID = entry.get("0040,1001", "")
        request.ScheduledProcedureStepID = entry.get("0040,0009", "")
        image.RequestAttributesSequence = [request]
        for keyword, value in changes.items():
            setattr(image, keyword, value)
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        images.append(image)
    return images


_control = iter(range(1, 1_000_000))


def orm(accession: str = "A1", control: str = "NW", *, group: str | None = None, **values: str) -> str:
    """Make an ORM^O01 for one CT order; values by name: patient, name, start, procedure, step, code, station ..."""
    v = {
        "patient": "77041",
        "issuer": "GENERAL",
        "name": "IBANEZ^NURIA",
        "birth": "19790312",
        "sex": "F",
        "status": "SC" if control == "NW" else "",
        "start": "20260401101500",
        "modality": "CT",
        "number": accession,
        "version": "2.3.1",
        **values,
    }
    v["number"]
    lines = [
        f"MSH|^~\\&|HIS|HOSPITAL|BROKER|RAD|20260401100000||ORM^O01|M{next(_control)}|P|{v['version']}||||||UNICODE UTF-8",
        f"PID|1||{v['patient']}^^^{v['issuer']}||{v['name']}||{v['birth']}|{v['sex']}",
        "PV1|1|O|RAD^R12",
        group or order_group(accession, control, **v),
        *([f"ZDS|{v['study']}^HIS^Application^DICOM"] if "study" in v else []),
    ]
    return "\n".join(lines) + "\n"


def order_group(accession: str, control: str = "NW", **v: str) -> str:
    """Make one ORC/OBR pair."""
    number = v.get("number", accession)
    step, procedure = v.get("step", f"SP{accession}"), v.get("procedure", f"RP{accession}")
    start = v.get("start", "20260401101500")
    return (
        f"ORC|{control}|P{number}^HIS|F{number}^RIS||{v.get('status', 'SC')}||^^^{start}^^R\n"
        f"OBR|1|P{number}^HIS|F{number}^RIS|{v.get('code', 'CTABD^CT abdomen^L')}||||||||||||||{accession}"
        f"|{procedure}|{step}||||{v.get('modality', 'CT')}|||^^^{start}^^R"
    )


def msa(answer: str) -> list[str]:
    """Give the fields of MSA: [MSA, code, control id, ...]."""
    return next((line.split("|") for line in answer.split("\r") if line.startswith("MSA")), [])


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital whose broker is not started yet: change `.configuration`, then `.start()`."""
    hl7_port, dicom_port, web_port = free_port(), free_port(), free_port()
    configuration: dict[str, Any] = {
        "site": "test",
        "timezone": "Europe/Madrid",
        "database": "sqlite:///var/broker.db",
        "spool": "var/spool",
        "mappings": str(ROOT / "mappings"),
        "hl7": {"listeners": {"his": {"host": "127.0.0.1", "port": hl7_port}}},
        "dicom": {"ae_title": "BROKER", "host": "127.0.0.1", "port": dicom_port},
        "studies": {},
        "destinations": {},
        "web": {"host": "127.0.0.1", "port": web_port, "auth": "none"},
    }
    made = Hospital(
        folder=tmp_path,
        configuration=configuration,
        hl7_port=hl7_port,
        dicom_port=dicom_port,
        web_port=web_port,
    )
    yield made
    made.stop()


def stays(what: Callable[[], bool], seconds: float) -> None:
    """Fail when *what* stops being true within *seconds*."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert what()
        time.sleep(0.05)


def new_uid() -> str:
    """Make a UID."""
    from pydicom.uid import generate_uid

    return str(generate_uid())


def all_orders(hospital: Hospital) -> set[str]:
    """Give the accession numbers of all orders; fail when one is there twice."""
    found: list[str] = []
    cursor = ""
    while True:
        page = hospital.get(f"/api/v1/orders?limit=100&cursor={cursor}")
        found += [order["accession"] for order in page["items"]]
        if not page["next"]:
            break
        cursor = urllib.parse.quote(page["next"], safe="")
    assert len(found) == len(set(found))
    return set(found)


@pytest.fixture
def story() -> Any:
    """Give the words of this file to the stories: messages, images, peers, waiting."""
    return sys.modules[__name__]
