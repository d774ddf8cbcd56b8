"""Programs of others that serve: each with a port and a folder of its own, stopped by its process id."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from peers.programs import find_program
from peers.waiting import eventually, free_port, is_open


class Program:
    """A server in a process: started when made, ready when its *port* is open."""

    def __init__(self, folder: Path, port: int, command: Sequence[str]) -> None:
        self.folder, self.port = folder, port
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        eventually(self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text(errors="replace")
        return is_open(self.port)

    def stop(self) -> None:
        """Stop it; one that has no wish to is killed."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(60)


class StoreScp(Program):
    """DCMTK's storescp: an archive that writes each object to a file."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        port = port or free_port()
        command = [find_program("storescp"), "--fork", "-dhl", "+xa", "-aet", "PACS", "-od", str(folder), str(port)]
        super().__init__(folder, port, command)

    def data_sets(self) -> dict[str, bytes]:
        """Give the objects, SOP Instance UID -> data set."""
        found: dict[str, bytes] = {}
        for path in self.folder.iterdir():
            with contextlib.suppress(InvalidDicomError, EOFError, AttributeError):  # the log; one that is being written
                uid, data_set = data_set_of(path.read_bytes())
                found[uid] = data_set
        return found


class Orthanc(Program):
    """An Orthanc: takes objects as an archive, and sends those that it was given to the broker at *broker_port*."""

    def __init__(self, folder: Path, port: int | None = None, broker_port: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        port, self.http_port = port or free_port(), free_port()
        configuration = {
            "Name": "PACS",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": "PACS",
            "DicomPort": port,
            "DicomModalities": {"broker": ["BROKER", "127.0.0.1", broker_port]} if broker_port else {},
            "Plugins": [],
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        super().__init__(folder, port, [find_program("Orthanc"), str(folder / "orthanc.json")])
        eventually(lambda: is_open(self.http_port))

    def data_sets(self) -> dict[str, bytes]:
        """Give the objects, SOP Instance UID -> data set."""
        ids = json.loads(self._call("/instances"))
        return dict(data_set_of(self._call(f"/instances/{id}/file")) for id in ids)

    def take(self, image: Dataset) -> str:
        """Be given an object by HTTP; give Orthanc's name for it."""
        content = BytesIO()
        image.save_as(content, enforce_file_format=True)
        return str(json.loads(self._call("/instances", content.getvalue()))["ID"])

    def send(self, names: list[str]) -> dict[str, Any]:
        """C-STORE the named objects to the broker; give Orthanc's account of it."""
        answer: dict[str, Any] = json.loads(self._call("/modalities/broker/store", json.dumps(names).encode()))
        return answer

    def _call(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", body, timeout=30) as answer:
            return bytes(answer.read())


class Wlmscpfs(Program):
    """DCMTK's worklist server on a folder of files, one an entry; its AE title is BROKER, as the broker's."""

    def __init__(self, folder: Path, entries: Sequence[Dataset]) -> None:
        (folder / "BROKER").mkdir(parents=True)
        (folder / "BROKER" / "lockfile").touch()
        for number, entry in enumerate(entries):
            entry.save_as(folder / "BROKER" / f"{number}.wl", enforce_file_format=True)
        port = free_port()
        super().__init__(folder, port, [find_program("wlmscpfs"), "-dhl", "-csk", "-dfp", str(folder), str(port)])


def data_set_of(content: bytes) -> tuple[str, bytes]:
    """Take a Part 10 file apart: SOP Instance UID and data set."""
    read = dcmread(BytesIO(content), stop_before_pixels=True)
    before = len("preamble" * 16) + len("DICM") + 12  # and the element that tells the length of the meta
    return str(read.SOPInstanceUID), content[before + read.file_meta.FileMetaInformationGroupLength :]
