"""The servers that are measured: the broker and its peers, each a process of its own on a port of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0
AE = "SERVER"


class NotInstalled(Exception):
    """A peer's program is not on this machine."""


@dataclass
class Server:
    """One process; *name* and *dress* head its column. *started* is the time from its start until it was ready."""

    name: str
    dress: str
    process: subprocess.Popen[bytes]
    port: int
    hl7_port: int = 0
    started: float = 0.0

    def rss(self) -> float:
        """Give the memory that the process holds, in MB (10^6 bytes)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024 / 1e6

    def stop(self) -> None:
        """End the process, by its own number."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(15)


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str, words: str) -> str:
    """Find a peer's program, by the first line it says of itself; raise NotInstalled."""
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/sbin"]:
        program = shutil.which(name, path=folder)
        if program is None:
            continue
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False, cwd="/")
        if words in told.stdout.partition("\n")[0]:
            return program
    raise NotInstalled(name)


def start_broker(folder: Path) -> Server:
    """Start the broker on what is in *folder*, and wait for its ``broker.ready``."""
    port, hl7_port, web_port = free_port(), free_port(), free_port()
    configuration = {
        "site": "bench",
        "timezone": "Europe/Madrid",
        "database": "sqlite:///broker.db",
        "spool": "spool",
        "mappings": str(ROOT / "mappings"),
        "hl7": {"listeners": {"his": {"host": "127.0.0.1", "port": hl7_port}}},
        "dicom": {"ae_title": AE, "host": "127.0.0.1", "port": port, "callers": "any"},
        "web": {"host": "127.0.0.1", "port": web_port, "auth": "none"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "broker.yaml"
    path.write_text(yaml.safe_dump(configuration))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROKER__")}
    began = time.perf_counter()
    command = [sys.executable, "-m", "broker", "run", "--config", str(path)]
    log = folder / "broker.log"  # a file, so that no thread of the client has to read while it measures
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stderr=stream, stdout=subprocess.DEVNULL, env=environment, cwd=ROOT)
    server = Server("radbroker", "", process, port, hl7_port)
    while b'"broker.ready"' not in log.read_bytes():
        if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
            server.stop()
            raise RuntimeError(f"the broker is not ready:\n{log.read_text(errors='replace')}")
        time.sleep(0.005)
    server.started = time.perf_counter() - began
    return server


def start_orthanc(folder: Path, worklists: Path, dress: str) -> Server:
    """Start Orthanc with its worklist plugin; its storage is synced and not compressed, its index in SQLite."""
    program = find_program("Orthanc", "Orthanc ")
    plugins = [path for path in Path("/usr").glob("*/orthanc/**/libModalityWorklists.so*") if path.is_file()]
    port = free_port()
    configuration = {
        "Name": "bench",
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "StorageCompression": False,
        "SyncStorageArea": True,
        "HttpPort": free_port(),
        "RemoteAccessAllowed": False,
        "DicomAet": AE,
        "DicomPort": port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFindWorklist": True,
        "MaximumPduLength": 131_072,
        "Plugins": [str(path) for path in plugins[:1]],
        "Worklists": {"Enable": True, "Database": str(worklists), "FilterIssuerAet": False, "LimitAnswers": 0},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    return _start("Orthanc", dress, [program, str(path)], port)


def start_wlmscpfs(worklists: Path, dress: str) -> Server:
    """Start DCMTK's worklist server on the folder above *worklists*, which bears the AE title."""
    program, port = find_program("wlmscpfs", "$dcmtk"), free_port()
    return _start(
        "wlmscpfs", dress, [program, "-dhl", "-pdu", "131072", "-dfp", str(worklists.parent), str(port)], port
    )


def start_storescp(folder: Path, dress: str) -> Server:
    """Start DCMTK's storage server, a process an association."""
    program, port = find_program("storescp", "$dcmtk"), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["--fork", "-dhl", "-pdu", "131072", "-od", str(folder), "-aet", AE, str(port)]
    return _start("storescp", dress, [program, *arguments], port)


def start_pynetdicom(folder: Path, worklists: Path, dress: str) -> Server:
    """Start a plain SCP of pynetdicom that holds everything in memory but images, which it writes without sync."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "bench" / "peers" / "plain_scp.py"), str(port), str(worklists), str(folder)]
    return _start("pynetdicom", dress, command, port)


def _start(name: str, dress: str, command: list[str], port: int) -> Server:
    environment = dict(os.environ)
    environment.pop("TCP_NODELAY", None)
    if dress:
        environment["TCP_NODELAY"] = "1"
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd="/")
    server = Server(name, dress, process, port)
    while time.perf_counter() - began < START_SECONDS:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}: {' '.join(command)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            server.started = time.perf_counter() - began
            return server
        time.sleep(0.005)
    server.stop()
    raise RuntimeError(f"{name} did not listen within {START_SECONDS:g} s")
