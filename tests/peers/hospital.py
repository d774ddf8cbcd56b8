"""One `broker run` as a process, and its outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from peers.his import Mllp
from peers.programs import find_program
from peers.scanner import Scanner, parse_dump
from peers.waiting import eventually, free_port

ROOT = Path(__file__).parents[2]


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

    @classmethod
    def planned(cls, folder: Path, database: str) -> Hospital:
        """Plan a hospital in *folder* with nothing around its broker."""
        hl7_port, dicom_port, web_port = free_port(), free_port(), free_port()
        configuration: dict[str, Any] = {
            "site": "test",
            "timezone": "Europe/Madrid",
            "database": database,
            "spool": "var/spool",
            "mappings": str(ROOT / "mappings"),
            "hl7": {"listeners": {"his": {"host": "127.0.0.1", "port": hl7_port}}},
            "dicom": {"ae_title": "BROKER", "host": "127.0.0.1", "port": dicom_port},
            "studies": {},
            "destinations": {},
            "web": {"host": "127.0.0.1", "port": web_port, "auth": "none"},
        }
        return cls(
            folder=folder,
            configuration=configuration,
            hl7_port=hl7_port,
            dicom_port=dicom_port,
            web_port=web_port,
        )

    def start(self, seconds: float = 60.0) -> None:
        """Start `broker run` and wait until it is ready."""
        path = self.folder / "broker.yaml"
        path.write_text(yaml.safe_dump(self.configuration))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BROKER__")}
        with (self.folder / "broker.log").open("ab") as log:
            process = self.process = subprocess.Popen(
                [sys.executable, "-m", "broker", "run", "--config", str(path)], stdout=log, stderr=log, env=environment
            )

        def is_ready() -> bool:
            assert process.poll() is None, f"broker ended with {process.returncode}:\n{self.read_log()}"
            return self.get_status("/readyz") == 200

        eventually(is_ready, seconds)

    def memory(self) -> int:
        """Give how much memory the broker has in use, in MB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) // 1024

    def read_log(self) -> str:
        return (self.folder / "broker.log").read_text(errors="replace")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

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
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=30) as answer:
            return json.loads(answer.read())

    def get_text(self, path: str) -> str:
        """GET a page or the metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def post(self, path: str) -> Any:
        """POST without a body; give the JSON answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.web_port}{path}", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
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
        command = [find_program("findscu"), "-v", "-W", "-aet", ae, "-aec", "BROKER"]
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
