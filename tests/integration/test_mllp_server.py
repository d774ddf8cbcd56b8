"""The MLLP listener over real sockets: order, limits, deadlines, answers to everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from broker.errors import BrokerError, ConfigurationError
from broker.hl7.framing import Frame, Framer, frame
from broker.hl7.message import Message
from broker.mllp.connection import Peer
from broker.mllp.server import MllpListener, MllpServer

WAIT_SECONDS = 10


def _message(control_id: str, size: int = 0) -> bytes:
    return f"MSH|^~\\&|HIS|N|B|R|||ORM^O01|{control_id}|P|2.5\rNTE|1||{'x' * size}\r".encode()


async def _echo(payload: bytes, peer: Peer) -> bytes:
    assert peer.host == "127.0.0.1"
    return payload


def _listener(**changes: Any) -> MllpListener:
    numbers = count(1)
    settings: dict[str, Any] = {
        "name": "his",
        "host": "127.0.0.1",
        "port": 0,
        "handle": _echo,
        "clock": lambda: datetime(2026, 4, 2, tzinfo=UTC),
        "ids": lambda: f"{next(numbers):026d}",
    }
    return MllpListener(**(settings | changes))


class Sender:
    """A HIS that writes bytes and reads frames, every wait bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._framer = Framer(10_000_000)
        self._found: list[Frame] = []

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        async with asyncio.timeout(WAIT_SECONDS):
            await self.writer.drain()

    async def answer(self) -> Message:
        while not self._found:
            async with asyncio.timeout(WAIT_SECONDS):
                chunk = await self.reader.read(65536)
            assert chunk, "closed without an answer"
            self._found += [event for event in self._framer.feed(chunk) if isinstance(event, Frame)]
        return Message.parse(self._found.pop(0).payload.decode())

    async def is_closed(self) -> bool:
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


@asynccontextmanager
async def _running(**changes: Any) -> AsyncIterator[tuple[MllpServer, Callable[[], Coroutine[Any, Any, Sender]]]]:
    server = MllpServer(_listener(**changes))
    await server.start()
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> Sender:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append(writer)
        return Sender(reader, writer)

    try:
        yield server, connect
    finally:
        for writer in writers:
            writer.close()
        await server.stop(1)


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_messages_of_a_connection_are_answered_in_order_in_any_portions() -> None:
    async def story() -> None:
        async with _running() as (_, connect):
            sender = await connect()
            stream = b"".join(frame(_message(str(n), n * 7)) for n in range(50))
            for place in range(0, len(stream), 97):
                await sender.send(stream[place : place + 97])
            assert [(await sender.answer()).control_id for _ in range(50)] == [str(n) for n in range(50)]

    asyncio.run(story())


def test_one_message_is_handled_at_a_time_and_the_socket_waits_meanwhile() -> None:
    async def story() -> None:
        gate, running, most = asyncio.Event(), 0, 0

        async def slow(payload: bytes, peer: Peer) -> bytes:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1
            return payload

        async with _running(handle=slow) as (_, connect):
            sender = await connect()
            sender.writer.write(frame(_message("1", 1000)) * 20_000)
            await asyncio.sleep(0.3)
            assert sender.writer.transport.get_write_buffer_size() > 1_000_000
            gate.set()
            for _ in range(200):
                await sender.answer()
            assert most == 1

    asyncio.run(story())


def test_a_handler_that_fails_is_answered_ar_and_the_next_message_works() -> None:
    async def failing(payload: bytes, peer: Peer) -> bytes:
        if b"|bad|" in payload:
            raise ZeroDivisionError("Doe^John")
        if b"|full|" in payload:
            raise BrokerError("the disk is full", code="S001", hint="free some space", hl7_code="206")
        return payload

    async def story() -> None:
        async with _running(handle=failing) as (_, connect):
            sender = await connect()
            with capture_logs() as logs:
                await sender.send(frame(_message("bad")) + frame(_message("full")) + frame(_message("good")))
                bad, full, good = [await sender.answer() for _ in range(3)]
            assert [bad.value(path) for path in ("MSA-1", "MSA-2", "ERR-3.1")] == ["AR", "bad", "207"]
            assert [full.value(path) for path in ("MSA-1", "MSA-2", "ERR-3.1")] == ["AR", "full", "206"]
            assert good.control_id == "good"
            failed = [entry for entry in logs if entry["event"] == "mllp.handler_failed"]
            assert [entry["error"] for entry in failed] == ["ZeroDivisionError", "BrokerError"]
            assert "Doe" not in str(logs)

    asyncio.run(story())


def test_a_frame_that_is_too_large_is_answered_ar_with_its_control_id_and_closed() -> None:
    async def story() -> None:
        async with _running(max_message=100_000) as (_, connect):
            sender, other = await connect(), await connect()
            await sender.send(frame(_message("first")) + frame(_message("huge", 40_000_000)) + frame(_message("last")))
            assert (await sender.answer()).control_id == "first"
            refused = await sender.answer()
            assert [refused.value(path) for path in ("MSA-1", "MSA-2")] == ["AR", "huge"]
            assert "100000 bytes" in refused.value("MSA-3")
            assert await sender.is_closed()
            await other.send(frame(_message("next")))
            assert (await other.answer()).control_id == "next"

    asyncio.run(story())


def test_an_unfinished_frame_has_a_deadline_and_an_idle_connection_has_none() -> None:
    async def story() -> None:
        async with _running(frame_timeout_seconds=0.2) as (_, connect):
            idle, unfinished = await connect(), await connect()
            await unfinished.send(b"\x0bMSH|^~\\&|")
            assert await unfinished.is_closed()
            await asyncio.sleep(0.3)
            await idle.send(frame(_message("1")))
            assert (await idle.answer()).control_id == "1"

    asyncio.run(story())


def test_the_deadline_stands_still_while_the_handler_lets_the_sender_wait() -> None:
    async def slow(payload: bytes, peer: Peer) -> bytes:
        await asyncio.sleep(0.2)
        return payload

    async def story() -> None:
        async with _running(handle=slow, frame_timeout_seconds=0.3) as (_, connect):
            sender = await connect()
            third = frame(_message("3"))
            await sender.send(frame(_message("1")) + frame(_message("2")) + frame(_message("2b")) + third[:9])
            await asyncio.sleep(0.1)
            await sender.send(third[9:])
            assert [(await sender.answer()).control_id for _ in range(4)] == ["1", "2", "2b", "3"]

    asyncio.run(story())


def test_a_connection_beyond_the_limit_is_closed_and_the_others_go_on() -> None:
    async def story() -> None:
        async with _running(max_connections=2) as (server, connect):
            first, second = await connect(), await connect()
            await _until(lambda: server.connections == 2)
            with capture_logs() as logs:
                assert await (await connect()).is_closed()
            assert [entry["event"] for entry in logs] == ["mllp.connection_refused"]
            for sender in (first, second):
                await sender.send(frame(_message("1")))
                assert (await sender.answer()).control_id == "1"
            first.writer.close()
            await _until(lambda: server.connections == 1)
            third = await connect()
            await third.send(frame(_message("3")))
            assert (await third.answer()).control_id == "3"

    asyncio.run(story())


def test_who_is_not_allowed_is_closed() -> None:
    async def story() -> None:
        async with _running(allow=(ip_network("10.0.0.0/8"),)) as (_, connect):
            assert await (await connect()).is_closed()
        async with _running(allow=(ip_network("127.0.0.0/8"),)) as (_, connect):
            sender = await connect()
            await sender.send(frame(_message("1")))
            assert (await sender.answer()).control_id == "1"

    asyncio.run(story())


def test_noise_is_told_once_and_a_tls_hello_is_closed_with_a_reason() -> None:
    async def story() -> None:
        async with _running() as (_, connect):
            sender, secured = await connect(), await connect()
            with capture_logs() as logs:
                await sender.send(b"Doe^John" + frame(_message("1")) + b"noise" + frame(_message("2")))
                assert [(await sender.answer()).control_id for _ in range(2)] == ["1", "2"]
                await secured.send(b"\x16\x03\x01\x02\x00\x01")
                assert await secured.is_closed()
            events = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
            assert events == ["mllp.noise_ignored", "mllp.tls_refused"]
            assert "Doe" not in str(logs)

    asyncio.run(story())


def test_a_sender_that_ends_its_side_still_gets_its_answer() -> None:
    async def slow(payload: bytes, peer: Peer) -> bytes:
        await asyncio.sleep(0.1)
        return payload

    async def story() -> None:
        async with _running(handle=slow) as (_, connect):
            sender = await connect()
            await sender.send(frame(_message("1")) + b"\x0bMSH|half")
            sender.writer.write_eof()
            assert (await sender.answer()).control_id == "1"
            assert await sender.is_closed()

    asyncio.run(story())


def test_a_sender_that_never_reads_is_closed_and_nobody_else_waits() -> None:
    async def large(payload: bytes, peer: Peer) -> bytes:
        return payload * 5000

    async def story() -> None:
        async with _running(handle=large, frame_timeout_seconds=0.3) as (server, connect):
            deaf = await connect()
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
            deaf.writer.write(frame(_message("1", 1000)) * 50)
            await _until(lambda: server.connections == 1)
            await _until(lambda: server.connections == 0)

    asyncio.run(story())


def test_an_empty_answer_closes_the_connection() -> None:
    async def silent(payload: bytes, peer: Peer) -> bytes:
        return b""

    async def story() -> None:
        async with _running(handle=silent) as (_, connect):
            sender = await connect()
            await sender.send(frame(_message("1")))
            assert await sender.is_closed()

    asyncio.run(story())


def test_stopping_finishes_what_has_arrived_and_takes_no_more() -> None:
    async def story() -> None:
        begun = asyncio.Event()

        async def slow(payload: bytes, peer: Peer) -> bytes:
            begun.set()
            await asyncio.sleep(0.2)
            return payload

        async with _running(handle=slow) as (server, connect):
            sender, idle = await connect(), await connect()
            port = server.port
            await sender.send(frame(_message("1")))
            await begun.wait()
            await server.stop(5)
            assert (await sender.answer()).control_id == "1"
            assert await sender.is_closed()
            assert await idle.is_closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(story())


def test_stopping_gives_up_after_its_grace() -> None:
    async def endless(payload: bytes, peer: Peer) -> bytes:
        await asyncio.sleep(3600)
        return payload

    async def story() -> None:
        async with _running(handle=endless) as (server, connect):
            sender = await connect()
            await sender.send(frame(_message("1")))
            await _until(lambda: server.connections == 1)
            async with asyncio.timeout(WAIT_SECONDS):
                await server.stop(0.1)
            assert await sender.is_closed()

    asyncio.run(story())


def test_a_busy_port_is_told() -> None:
    async def story() -> None:
        async with _running() as (server, _):
            with pytest.raises(ConfigurationError, match=r"cannot listen on 127\.0\.0\.1"):
                await MllpServer(_listener(port=server.port)).start()

    asyncio.run(story())
