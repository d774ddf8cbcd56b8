"""Closed-loop MLLP load: ``python bench/peers/hl7_load.py PORT CONNECTIONS SECONDS WARM_UP_SECONDS FIRST_NUMBER``.

Each connection sends an order, waits for its answer, sends the next; every order and patient is new. Prints one line of
JSON: answers a second, latencies in milliseconds, answers that were not AA or not to the message that was sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import cast

END = b"\x1c\r"
TEMPLATE = Path(__file__).with_name("order.hl7").read_bytes().replace(b"\n", b"\r")


class Sender(asyncio.Protocol):
    """One connection of the hospital."""

    def __init__(self, numbers: Iterator[int], taken: list[float], faults: list[str]) -> None:
        self._parts = (b"\x0b" + TEMPLATE + END).split(b"@SEQ@")
        self._numbers = numbers
        self._taken = taken
        self._faults = faults
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._faults.append("a connection was closed")

    def _send(self) -> None:
        self._number = b"%010d" % next(self._numbers)
        self._transport.write(self._number.join(self._parts))
        self._sent = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._buffer.endswith(END):
            return
        self._taken.append(time.perf_counter() - self._sent)
        if b"\rMSA|AA|" + self._number not in self._buffer:
            self._faults.append(self._buffer.decode("latin-1"))
        self._buffer = b""
        self._send()


async def main(port: int, connections: int, seconds: float, warm_up: float, first: int) -> None:
    """Send and print."""
    numbers, taken, faults = count(first), [], []
    for _ in range(connections):
        await asyncio.get_running_loop().create_connection(lambda: Sender(numbers, taken, faults), "127.0.0.1", port)
    await asyncio.sleep(warm_up)
    taken.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    rate = len(taken) / (time.perf_counter() - began)
    in_order = [1e3 * one for one in sorted(taken)] or [0.0]
    print(
        json.dumps(
            {
                "rate": rate,
                "p50": in_order[len(in_order) // 2],
                "p99": in_order[len(in_order) * 99 // 100],
                "faults": faults[:1],
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])))
