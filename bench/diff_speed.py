"""Print what ``broker diff`` takes over a folder of messages and over the same ones stored.

``python -m bench.diff_speed [MESSAGES]``, 10,000 unless told. The broker is started with a new database and sent the messages,
each of another patient and order; then the command runs as a process of its own against a version of the mappings that
differs in one rule of every order, so that both translate each message.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.hl7_intake import MAPPINGS, PEERS, broker
from broker.mllp.client import MllpClient

CONNECTIONS = 16
CHANGED, FILE = ("MedicalAlerts: OBR-13", "MedicalAlerts: {from: OBR-13, clean: [upper]}"), Path("ihe/orm-to-mwl.yaml")


def messages(count: int) -> Iterator[tuple[str, bytes]]:
    """Give orders with the control ID of each."""
    template = (PEERS / "order.hl7").read_bytes().replace(b"\n", b"\r")
    for number in range(1, count + 1):
        yield f"{number:010}", template.replace(b"@SEQ@", b"%010d" % number)


async def store(port: int, count: int) -> None:
    """Send *count* orders over several connections."""
    waiting = messages(count)

    async def send_in_turn() -> None:
        client = MllpClient("127.0.0.1", port, connect_timeout=10, answer_timeout=60)
        for control_id, message in waiting:
            answer = await client.send(message, control_id)
            if not answer.is_accepted:
                sys.exit(f"not accepted: {answer.text}")
        await client.close()

    await asyncio.gather(*(send_in_turn() for _ in range(CONNECTIONS)))


def version_before(folder: Path) -> Path:
    """Write the mappings with one rule changed."""
    for path in (path for path in MAPPINGS.rglob("*") if path.is_file()):
        copy = folder / path.relative_to(MAPPINGS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (folder / FILE).write_text((folder / FILE).read_text().replace(*CHANGED))
    return folder


def show(label: str, *arguments: str) -> None:
    """Run ``broker diff`` and print its time and what it said last."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "broker", "diff", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "120"})
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    said = (done.stdout or done.stderr).strip().splitlines()
    print(
        f"{label:<16}{seconds:6.1f} s, of them {processor:.1f} s of its processor   {used.ru_maxrss / 1000:.0f} MB at most   "
        f"{said[-1] if said else ''}",
        flush=True,
    )


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        folder = Path(name)
        corpus = folder / "corpus"
        corpus.mkdir()
        for control_id, message in messages(count):
            (corpus / f"{control_id}.hl7").write_bytes(message)
        common = ("--config", str(folder / "broker.json"), "--against", str(version_before(folder / "before")))
        show("a folder", "--corpus", str(corpus), *common)
        asyncio.run(store(port, count))
        show("stored messages", "--last", str(count), *common)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
