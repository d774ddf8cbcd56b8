"""The MLLP client against receivers that behave and receivers that do not."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.errors import Unreachable
from broker.hl7.framing import frame
from broker.mllp.client import MllpClient
from broker.mllp.connection import Peer
from broker.mllp.server import MllpListener, MllpServer

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WAIT_SECONDS = 10


def _order(control_id: str) -> bytes:
    return f"MSH|^~\\&|B|R|RIS|N|||ORU^R01|{control_id}|P|2.5\r".encode()


def _ack(control_id: str, code: str = "AA") -> bytes:
    return frame(f"MSH|^~\\&|RIS|N|B|R|||ACK|9|P|2.5\rMSA|{code}|{control_id}\r".encode())


async def _read(reader: asyncio.StreamReader) -> str:
    raw = await reader.readuntil(b"\x1c\r")
    return raw.split(b"|")[9].decode()


@asynccontextmanager
async def _receiver(talk: Talk, port: int = 0) -> AsyncIterator[int]:
    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left
        finally:
            writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(_ack(await _read(reader)))


def _client(port: int, **changes: float) -> MllpClient:
    return MllpClient("127.0.0.1", port, **{"connect_timeout": WAIT_SECONDS, "answer_timeout": WAIT_SECONDS} | changes)


def test_messages_go_over_one_connection_that_stays_open() -> None:
    async def story() -> None:
        connections = 0

        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await _polite(reader, writer)

        async with _receiver(counted) as port:
            client = _client(port)
            await client.connect()
            answers = await asyncio.gather(*(client.send(_order(str(n)), str(n)) for n in range(20)))
            assert {answer.code for answer in answers} == {"AA"}
            assert connections == 1
            await client.close()

    asyncio.run(story())


def test_a_receiver_that_restarted_while_idle_is_reached_at_once() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_ack(await _read(reader)))

    async def story() -> None:
        async with _receiver(once) as port:
            client = _client(port)
            for n in range(5):
                assert (await client.send(_order(str(n)), str(n))).is_accepted
                await asyncio.sleep(0.02)
            await client.close()

    asyncio.run(story())


def test_a_link_that_breaks_under_a_message_is_opened_anew_and_the_message_sent_again() -> None:
    async def story() -> None:
        seen: list[str] = []

        async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await _read(reader))
            writer.write(_ack(seen[-1]))
            seen.append(await _read(reader))

        async with _receiver(breaking) as port:
            client = _client(port)
            assert (await client.send(_order("1"), "1")).is_accepted
            assert (await client.send(_order("2"), "2")).is_accepted
            assert seen == ["1", "2", "2"]
            await client.close()

    asyncio.run(story())


def test_a_receiver_that_closes_instead_of_answering_is_unreachable() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader)

    async def story() -> None:
        async with _receiver(rude) as port:
            with pytest.raises(Unreachable) as caught:
                await _client(port).send(_order("1"), "1")
            assert caught.value.code == "N012"

    asyncio.run(story())


def test_no_answer_in_time_drops_the_link_so_that_a_late_answer_cannot_be_mistaken() -> None:
    async def story() -> None:
        first = True

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal first
            control_id = await _read(reader)
            if first:
                first = False
                await asyncio.sleep(0.3)
            writer.write(_ack(control_id))
            await reader.read()

        async with _receiver(late) as port:
            client = _client(port, answer_timeout=0.1)
            with pytest.raises(Unreachable) as caught:
                await client.send(_order("1"), "1")
            assert caught.value.code == "N011"
            assert (await client.send(_order("2"), "2")).is_accepted
            await client.close()

    asyncio.run(story())


def test_an_answer_to_another_message_is_told_and_the_link_dropped() -> None:
    async def story() -> None:
        connections = 0

        async def confused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            while True:
                control_id = await _read(reader)
                writer.write(_ack("other" if connections == 1 else control_id))

        async with _receiver(confused) as port:
            client = _client(port)
            answer = await client.send(_order("1"), "1")
            assert (answer.code, answer.is_accepted) == ("", False)
            assert "MSA-2 is 'other'" in answer.text
            assert (await client.send(_order("1"), "1")).is_accepted
            assert connections == 2
            await client.close()

    asyncio.run(story())


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next() -> None:
    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            control_id = await _read(reader)
            writer.write(_ack(control_id) + _ack(control_id))

    async def story() -> None:
        async with _receiver(chatty) as port:
            client = _client(port)
            for n in range(3):
                assert (await client.send(_order(str(n)), str(n))).is_accepted
                await asyncio.sleep(0.02)
            await client.close()

    asyncio.run(story())


def test_nobody_listening_is_unreachable_and_later_reached() -> None:
    async def story() -> None:
        async with _receiver(_polite) as port:
            pass
        client = _client(port)
        with pytest.raises(Unreachable) as caught:
            await client.send(_order("1"), "1")
        assert caught.value.code == "N010"
        with pytest.raises(Unreachable):
            await client.connect()
        async with _receiver(_polite, port):
            assert (await client.send(_order("1"), "1")).is_accepted
            await client.close()

    asyncio.run(story())


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        asyncio.run(MllpClient("no-such-host.invalid", 2575, connect_timeout=WAIT_SECONDS).connect())


async def _accept(payload: bytes, peer: Peer) -> bytes:
    return f"MSH|^~\\&|||||||ACK|9|P|2.5\rMSA|AA|{payload.split(b'|')[9].decode()}\r".encode()


def test_an_answer_that_comes_while_its_sender_gives_up_is_nothing_to_wonder_about() -> None:
    async def story() -> None:
        sending: list[asyncio.Task[object]] = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            control_id = await _read(reader)
            asyncio.get_running_loop().call_soon(sending[0].cancel)
            writer.write(_ack(control_id))
            await _polite(reader, writer)

        async with _receiver(talk) as port:
            client = _client(port)
            with capture_logs() as logs:
                sending.append(asyncio.create_task(client.send(_order("1"), "1")))
                await asyncio.wait(sending)
                assert sending[0].cancelled()
                assert (await client.send(_order("2"), "2")).is_accepted
            assert logs == []
            await client.close()

    asyncio.run(story())


def _certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server with a certificate of its own making, and of a client that trusts it."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    return serving, ssl.create_default_context(cafile=str(certificate))


def test_client_and_server_speak_tls(tmp_path: Path) -> None:
    serving, asking = _certified(tmp_path)
    listener = MllpListener(
        name="tls",
        host="127.0.0.1",
        port=0,
        handle=_accept,
        clock=lambda: datetime(2026, 4, 2, tzinfo=UTC),
        ids=lambda: "0" * 26,
        tls=serving,
    )

    async def story() -> None:
        server = MllpServer(listener)
        await server.start()
        client = MllpClient("127.0.0.1", server.port, tls=asking, connect_timeout=WAIT_SECONDS)
        for n in range(3):
            assert (await client.send(_order(str(n)), str(n))).is_accepted
        with pytest.raises(Unreachable):
            await _client(server.port, answer_timeout=1).send(_order("plain"), "plain")
        await client.close()
        await server.stop(1)

    asyncio.run(story())
