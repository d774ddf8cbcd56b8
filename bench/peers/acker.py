"""The least that a durable HL7 listener does: ``python bench/peers/acker.py DATABASE`` prints its port and acknowledges.

Plain asyncio; each message is one row and one synced commit in SQLite, then AA. It reads MSH-10 and nothing else: no
character sets, no mapping, no order book. What it takes is the price of the network and the disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import cast

VT, END = b"\x0b", b"\x1c\r"
ACK = b"\x0bMSH|^~\\&|ACKER||||20260401||ACK|%b|P|2.3.1\rMSA|AA|%b\r\x1c\r"


class Acker(asyncio.Protocol):
    """One connection: frames in, answers out."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *frames, self._buffer = (self._buffer + data).split(END)
        for frame in frames:
            message = frame.lstrip(VT)
            control_id = message.split(b"|", 10)[9]
            self._database.execute("INSERT INTO messages (control_id, raw) VALUES (?, ?)", (control_id, message))
            self._database.commit()
            self._transport.write(ACK % (control_id, control_id))


async def main(path: str) -> None:
    """Listen until somebody ends the process."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, control_id TEXT, raw BLOB)")
    server = await asyncio.get_running_loop().create_server(lambda: Acker(database), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
