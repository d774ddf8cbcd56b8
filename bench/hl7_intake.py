"""Orders in by HL7, durable, answered: the broker beside a bare acker. ``python bench/hl7_intake.py [SECONDS]``.

Each is a process of its own with a new database in $TMPDIR (which must be a disk that syncs) and gets the same orders
from the same third process: every connection waits for its answer before it sends again. The acker stores the bytes,
one commit a message; the broker decodes, maps, books patient and order, keeps message, event and answer.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

PEERS = Path(__file__).with_name("peers")
MAPPINGS = Path(__file__).resolve().parents[1] / "mappings"
CONNECTIONS = (1, 16, 64)
WARM_UP_SECONDS = 1.5
READY_SECONDS = 30
FIRST_NUMBERS = count(1_000_000_000, 1_000_000)


@contextmanager
def acker(folder: Path) -> Iterator[int]:
    """Start the acker; give its port."""
    command = [sys.executable, str(PEERS / "acker.py"), str(folder / "acker.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Start `broker run` on free ports; give that of its HL7 listener."""
    port, dicom, web = free_ports(3)
    configuration = {
        "timezone": "Europe/Madrid",
        "database": f"sqlite:///{folder}/broker.db",
        "spool": str(folder / "spool"),
        "mappings": str(MAPPINGS),
        "hl7": {"listeners": {"his": {"host": "127.0.0.1", "port": port}}},
        "dicom": {"host": "127.0.0.1", "port": dicom, "callers": "any"},
        "web": {"host": "127.0.0.1", "port": web, "auth": "none"},
    }
    file = folder / "broker.json"
    file.write_text(json.dumps(configuration))
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "broker", "run", "--config", str(file)], stderr=log)
    try:
        wait_until_open(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def free_ports(number: int) -> list[int]:
    """Find ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens on *port*."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("the broker has not started")


def measure(port: int, connections: int, seconds: float) -> dict[str, Any]:
    """Send orders for *seconds*; give rate and latencies."""
    arguments = (port, connections, seconds, WARM_UP_SECONDS, next(FIRST_NUMBERS))
    command = [sys.executable, str(PEERS / "hl7_load.py"), *map(str, arguments)]
    measured: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if measured["faults"]:
        sys.exit(f"not accepted: {measured['faults'][0]}")
    return measured


def main(seconds: float) -> None:
    """Measure both in turn and print."""
    print(f"{'connections':>11}  {'':<7}{'orders/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for connections in CONNECTIONS:
        found = {}
        for name, start in (("acker", acker), ("broker", broker)):
            with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as port:
                found[name] = measure(port, connections, seconds)
            told = found[name]
            print(f"{connections:>11}  {name:<7}{told['rate']:>9.0f}{told['p50']:>9.2f}{told['p99']:>9.2f}", flush=True)
        print(f"{'':>11}  broker / acker {found['broker']['rate'] / found['acker']['rate']:.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)
