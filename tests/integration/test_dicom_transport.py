"""The broker's own client and server, and raw sockets that misbehave, over loopback."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from broker.dicom.client import ClientAssociation, NotAccepted, Timeouts, associate
from broker.dicom.requestor import Rejected
from broker.dicom.server import DicomServer, ServerSettings, Service
from broker.dicom.service import SUCCESS, Failure, Request, Response
from broker.errors import ConfigurationError, Unreachable
from broker.ul.codec import encode_fragment, encode_pdu
from broker.ul.dimse import VERIFICATION, Command, Kind, Status, encode_command
from broker.ul.items import UserInformation
from broker.ul.pdu import AssociateRequest, ProposedContext, RejectReason, ReleaseRequest

pytestmark = pytest.mark.anyio

WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
CONTEXTS = [(uid, [IMPLICIT]) for uid in (VERIFICATION, WORKLIST, MPPS, CT)]
QUICK = Timeouts(connect_seconds=5, associate_seconds=5, answer_seconds=5, release_seconds=5)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@asynccontextmanager
async def serving(services: Mapping[str, Service], **settings: Any) -> AsyncIterator[DicomServer]:
    admit = settings.pop("admit", lambda calling, called, host: None)
    server = DicomServer(
        ServerSettings(port=0, **settings),
        services,
        lambda abstract, offered, calling: IMPLICIT if IMPLICIT in offered else None,
        admit,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace_seconds=1)


def calling(server: DicomServer, **options: Any) -> Any:
    options = {"calling": "CT1", "called": "BROKER", "contexts": CONTEXTS, "timeouts": QUICK} | options
    return associate("127.0.0.1", server.port, **options)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for *condition*, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def search(association: ClientAssociation) -> list[tuple[int, bytes]]:
    return [answer async for answer in association.find(WORKLIST, b"", IMPLICIT)]


class Shelf:
    """A storage service that keeps what it gets, and can be told to fail."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ends: list[str] = []
        self.write_fault: Exception | None = None
        self.finish_fault: Exception | None = None
        self.may_finish = asyncio.Event()
        self.may_finish.set()

    def begin(self, request: Request) -> Shelf:
        return self

    def write(self, fragment: bytes) -> None:
        if self.write_fault is not None:
            raise self.write_fault
        self.pieces.append(fragment)

    async def finish(self) -> Response:
        await self.may_finish.wait()
        if self.finish_fault is not None:
            raise self.finish_fault
        self.ends.append("finished")
        return SUCCESS

    def abandon(self) -> None:
        self.ends.append("abandoned")


async def test_an_echo_is_answered() -> None:
    async with serving({}) as server, calling(server) as association:
        assert (await association.echo()).is_success


async def test_a_search_yields_its_answers_and_then_its_status() -> None:
    async def find(request: Request) -> AsyncIterator[Response | bytes]:
        yield b"first"
        yield Response(status=Status.PENDING_WITHOUT_ALL_KEYS, data_set=b"second")

    async with serving({WORKLIST: find}) as server, calling(server) as association:
        assert await search(association) == [(0xFF00, b"first"), (0xFF01, b"second"), (0, b"")]


async def test_a_handler_sees_who_asks_and_for_what() -> None:
    seen: list[Request] = []

    async def create(request: Request) -> Response:
        seen.append(request)
        return Response(sop_instance="2.25.7")

    async with serving({MPPS: create}) as server, calling(server) as association:
        answer = await association.n_create(MPPS, "", b"step", IMPLICIT)
    assert answer.sop_instance == "2.25.7"
    (request,) = seen
    assert (request.calling_ae, request.called_ae, request.peer_host) == ("CT1", "BROKER", "127.0.0.1")
    assert (request.abstract_syntax, request.transfer_syntax, request.data_set) == (MPPS, IMPLICIT, b"step")
    assert request.command.kind == Kind.N_CREATE_RQ


async def test_a_refusal_carries_status_comment_and_error_id() -> None:
    async def refuse(request: Request) -> Response:
        raise Failure(Status.PROCESSING_FAILURE, "already COMPLETED", error_id=0xA710)

    async with serving({MPPS: refuse}) as server, calling(server) as association:
        answer = await association.n_set(MPPS, "1.2.3", b"step", IMPLICIT)
    assert (answer.status, answer.comment, answer.error_id) == (0x0110, "already COMPLETED", 0xA710)
    assert not answer.is_success


async def test_a_handler_that_breaks_is_a_processing_failure_and_the_association_lives_on() -> None:
    async def find(request: Request) -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("broken")

    async def change(request: Request) -> Response:
        raise RuntimeError("broken")

    async with serving({WORKLIST: find, MPPS: change}) as server, calling(server) as association:
        assert await search(association) == [(0xFF00, b"first"), (0xC001, b"")]
        assert (await association.n_set(MPPS, "1.2.3", b"", IMPLICIT)).status == 0x0110
        assert (await association.echo()).is_success


async def test_a_cancelled_search_is_closed_and_answered_as_cancelled() -> None:
    closed = asyncio.Event()

    async def find(request: Request) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
        finally:
            assert request.is_cancelled()
            closed.set()

    async with serving({WORKLIST: find}) as server, calling(server) as association:
        statuses = []
        async for status, _ in association.find(WORKLIST, b"", IMPLICIT):
            statuses.append(status)
            if len(statuses) == 10:
                association.cancel()
        assert closed.is_set()
        assert statuses[-1] == 0xFE00


async def test_a_search_that_is_left_early_does_not_disturb_the_next_request() -> None:
    async def find(request: Request) -> AsyncIterator[bytes]:
        while True:
            yield bytes(1000)

    async with serving({WORKLIST: find}) as server, calling(server) as association:
        answers = association.find(WORKLIST, b"", IMPLICIT)
        async for _ in answers:
            break
        await answers.aclose()
        assert (await association.echo()).is_success


async def test_an_object_is_streamed_from_its_file_in_pieces(tmp_path: Path) -> None:
    shelf, content = Shelf(), os.urandom(3_000_001)
    file = tmp_path / "object.dcm"
    file.write_bytes(b"preamble" + content)
    async with serving({CT: shelf}, max_pdu=32768) as server, calling(server) as association:
        answer = await association.store(CT, "1.2.3", IMPLICIT, file, offset=8)
    assert answer.is_success
    assert b"".join(shelf.pieces) == content
    assert max(map(len, shelf.pieces)) <= 32768
    assert shelf.ends == ["finished"]


async def test_an_object_may_come_from_an_iterator() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    shelf = Shelf()
    async with serving({CT: shelf}) as server, calling(server) as association:
        await association.store(CT, "1.2.3", IMPLICIT, pieces())
    assert b"".join(shelf.pieces) == b"onetwo"


async def test_a_file_that_is_missing_leaves_the_association_alone(tmp_path: Path) -> None:
    async with serving({CT: Shelf()}) as server, calling(server) as association:
        with pytest.raises(FileNotFoundError):
            await association.store(CT, "1.2.3", IMPLICIT, tmp_path / "missing")
        assert (await association.echo()).is_success


async def test_a_sink_that_cannot_write_refuses_the_object_and_the_association_lives_on() -> None:
    shelf = Shelf()
    shelf.write_fault = Failure(Status.OUT_OF_RESOURCES, "disk full")
    async with serving({CT: shelf}) as server, calling(server) as association:
        answer = await association.store(CT, "1.2.3", IMPLICIT, bytes(500_000))
        assert (answer.status, answer.comment, shelf.ends) == (0xA700, "disk full", ["abandoned"])
        assert (await association.echo()).is_success


async def test_a_sink_that_cannot_finish_is_a_processing_failure() -> None:
    shelf = Shelf()
    shelf.finish_fault = OSError("no")
    async with serving({CT: shelf}) as server, calling(server) as association:
        assert (await association.store(CT, "1.2.3", IMPLICIT, b"x")).status == 0x0110


async def test_an_object_whose_association_dies_is_abandoned() -> None:
    async def half() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        yield bytes(100_000)
        raise OSError("the disk went away")

    shelf = Shelf()
    async with serving({CT: shelf}) as server:
        with pytest.raises(OSError, match="went away"):
            async with calling(server) as association:
                await association.store(CT, "1.2.3", IMPLICIT, half())
        await until(lambda: bool(shelf.ends))
        assert shelf.ends == ["abandoned"]
        await until(lambda: server.associations == 0)


async def test_a_data_set_that_is_too_large_is_refused_not_kept() -> None:
    async def change(request: Request) -> Response:
        raise AssertionError("never asked")

    async with serving({MPPS: change}, max_message=1000) as server, calling(server) as association:
        assert (await association.n_set(MPPS, "1.2", bytes(100_000), IMPLICIT)).status == 0x0213
        assert (await association.echo()).is_success


async def test_an_operation_of_another_service_is_not_recognized() -> None:
    async with serving({CT: Shelf()}) as server, calling(server) as association:
        assert (await association.n_set(CT, "1.2", b"", IMPLICIT)).status == 0x0211
        assert (await association.n_set(VERIFICATION, "1.2", b"", IMPLICIT)).status == 0x0211


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ae_titles": ("OTHER", "THIRD")}, "called AE title not recognized (permanently)"),
        (
            {"admit": lambda calling, called, host: RejectReason.CALLING_AE_NOT_RECOGNIZED},
            "calling AE title not recognized (permanently)",
        ),
        ({"max_associations": 0}, "local limit exceeded (for now)"),
    ],
)
async def test_a_refused_association_is_told_in_words(settings: dict[str, Any], words: str) -> None:
    async with serving({}, **settings) as server:
        with pytest.raises(Rejected, match=r"BROKER at 127\.0\.0\.1") as refusal:
            async with calling(server):
                pass
    assert words in refusal.value.message


async def test_an_association_without_any_accepted_context_is_one() -> None:
    async with serving({}) as server, calling(server, contexts=[(WORKLIST, [IMPLICIT])]) as association:
        assert association.accepted == {}
        with pytest.raises(NotAccepted, match=WORKLIST):
            await association.n_set(WORKLIST, "1.2", b"", IMPLICIT)


async def test_the_limit_counts_open_associations_only() -> None:
    async with serving({}, max_associations=1) as server:
        async with calling(server):
            with pytest.raises(Rejected):
                async with calling(server):
                    pass
        async with calling(server) as association:
            assert (await association.echo()).is_success


REQUEST = encode_pdu(
    AssociateRequest(
        called_ae="BROKER",
        calling_ae="RAW",
        contexts=(ProposedContext(1, VERIFICATION, (IMPLICIT,)), ProposedContext(3, WORKLIST, (IMPLICIT,))),
        user=UserInformation(max_length=16384, implementation_uid="1.2.3"),
    )
)


async def converse(server: DicomServer, *sent: bytes) -> bytes:
    """Send raw bytes, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for chunk in sent:
            writer.write(chunk)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01", bytes(5000), b"\x01\0\xff\xff\xff\xff"]
)
async def test_what_is_no_dicom_gets_an_abort_and_the_next_caller_is_served(noise: bytes) -> None:
    async with serving({}, artim_timeout_seconds=0.1) as server:
        assert (await converse(server, noise))[0] == 7
        async with calling(server) as association:
            assert (await association.echo()).is_success


async def test_a_connection_that_asks_nothing_is_closed() -> None:
    async with serving({}, artim_timeout_seconds=0.1) as server:
        assert await converse(server, REQUEST[:50]) == b""
        await until(lambda: not server.connections)


async def test_an_idle_association_is_aborted() -> None:
    async with serving({}, idle_timeout_seconds=0.2, artim_timeout_seconds=0.1) as server:
        assert (await converse(server, REQUEST))[-10] == 7


async def test_connections_that_are_no_associations_are_limited() -> None:
    async with serving({}, max_waiting=2) as server:
        waiting = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        await until(lambda: len(server.connections) == 2)
        with suppress(ConnectionError):
            assert await converse(server, REQUEST) == b""
        for _, writer in waiting:
            writer.close()
        await until(lambda: not server.connections)
        async with calling(server) as association:
            assert (await association.echo()).is_success


async def test_requests_that_come_at_once_are_answered_in_order() -> None:
    async def find(request: Request) -> AsyncIterator[bytes]:
        await asyncio.sleep(0.05)
        yield b"item"

    find_rq = Command(kind=Kind.C_FIND_RQ, message_id=1, affected_class=WORKLIST, has_data_set=True)
    echo_rq = Command(kind=Kind.C_ECHO_RQ, message_id=2, affected_class=VERIFICATION)
    sent = (
        REQUEST
        + encode_fragment(3, True, True, encode_command(find_rq))
        + encode_fragment(3, False, True, b"")
        + encode_fragment(1, True, True, encode_command(echo_rq))
        + encode_pdu(ReleaseRequest())
    )
    async with serving({WORKLIST: find}, artim_timeout_seconds=0.2) as server:
        received = await converse(server, sent)
    kinds = [received.find(bytes((0, 0, 0, 1, 2, 0, 0, 0, kind, 0x80))) for kind in (0x20, 0x30)]
    assert 0 < kinds[0] < kinds[1]
    assert received[-10] == 6


async def test_a_peer_that_does_not_read_loses_its_connection() -> None:
    async def find(request: Request) -> AsyncIterator[bytes]:
        while True:
            yield bytes(10_000)

    find_rq = Command(kind=Kind.C_FIND_RQ, message_id=1, affected_class=WORKLIST, has_data_set=True)
    async with serving({WORKLIST: find}, idle_timeout_seconds=0.3) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(REQUEST + encode_fragment(3, True, True, encode_command(find_rq)))
        writer.write(encode_fragment(3, False, True, b""))
        await until(lambda: server.associations == 1)
        await until(lambda: not server.connections)
        writer.close()


async def test_a_peer_that_asks_on_and_reads_nothing_is_not_read_any_more() -> None:
    echo_rq = Command(kind=Kind.C_ECHO_RQ, message_id=2, affected_class=VERIFICATION)
    flood = encode_fragment(1, True, True, encode_command(echo_rq)) * 1000
    async with serving({}, idle_timeout_seconds=0.3) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(REQUEST)
        with suppress(ConnectionError):
            for _ in range(1000):
                writer.write(flood)
                await asyncio.wait_for(writer.drain(), 5)
        await until(lambda: not server.connections)
        writer.close()


async def test_a_cancel_with_a_data_set_ends_the_association_not_the_server() -> None:
    odd = Command(kind=Kind.C_CANCEL_RQ, responded_id=1, has_data_set=True)
    sent = encode_fragment(1, True, True, encode_command(odd)) + encode_fragment(1, False, True, b"data")
    async with serving({}) as server:
        with suppress(ConnectionError):
            await converse(server, REQUEST + sent)
        async with calling(server) as association:
            assert (await association.echo()).is_success


async def test_stopping_lets_the_request_in_hand_end_and_cuts_the_rest() -> None:
    shelf = Shelf()
    shelf.may_finish.clear()
    async with serving({CT: shelf}) as server, calling(server):
        async with calling(server) as busy:
            stored = asyncio.create_task(busy.store(CT, "1.2.3", IMPLICIT, b"object"))
            await until(lambda: bool(shelf.pieces))
            stopping = asyncio.create_task(server.stop(grace_seconds=5))
            await until(lambda: server.associations == 1)
            shelf.may_finish.set()
            assert (await stored).is_success
            await stopping
        assert server.associations == 0


async def test_stopping_does_not_wait_longer_than_its_grace() -> None:
    shelf = Shelf()
    shelf.may_finish.clear()
    async with serving({CT: shelf}) as server, calling(server) as association:
        stored = asyncio.create_task(association.store(CT, "1.2.3", IMPLICIT, b"object"))
        await until(lambda: bool(shelf.pieces))
        await asyncio.wait_for(server.stop(grace_seconds=0.1), 5)
        with pytest.raises(Unreachable):
            await stored


async def test_a_port_that_is_taken_is_told() -> None:
    async with serving({}) as server:
        other = DicomServer(ServerSettings(port=server.port), {}, lambda *_: None)
        with pytest.raises(ConfigurationError, match=str(server.port)):
            await other.start()


@asynccontextmanager
async def listening(
    behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    async with await asyncio.start_server(behave, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]


async def test_a_peer_that_says_nothing_is_told_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(silent) as port:
        with pytest.raises(Unreachable, match=r"did not answer the request for an association within 0\.1 s"):
            async with associate(
                "127.0.0.1", port, calling="A", called="B", contexts=CONTEXTS, timeouts=Timeouts(associate_seconds=0.1)
            ):
                pass


async def test_a_peer_that_hangs_up_is_told() -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(rude) as port:
        with pytest.raises(Unreachable, match=r"B at 127\.0\.0\.1"):
            async with associate("127.0.0.1", port, calling="A", called="B", contexts=CONTEXTS, timeouts=QUICK):
                pass


async def test_a_peer_that_is_not_there_is_told() -> None:
    async with serving({}) as server:
        port = server.port
    with pytest.raises(Unreachable, match=r"cannot connect to B at 127\.0\.0\.1"):
        async with associate("127.0.0.1", port, calling="A", called="B", contexts=CONTEXTS, timeouts=QUICK):
            pass


async def test_an_answer_that_does_not_come_is_told_in_time() -> None:
    async def change(request: Request) -> Response:
        await asyncio.sleep(5)
        return SUCCESS

    async with serving({MPPS: change}) as server:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
            async with calling(server, timeouts=Timeouts(answer_seconds=0.1)) as association:
                await association.n_set(MPPS, "1.2", b"", IMPLICIT)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for the loopback address, and its key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-out", str(paths[0]), "-keyout", str(paths[1]), "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return paths


async def test_associations_work_over_tls(certificate: tuple[Path, Path]) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(*certificate)
    theirs = ssl.create_default_context(cafile=str(certificate[0]))
    shelf = Shelf()
    async with serving({CT: shelf}, tls=ours) as server, calling(server, tls=theirs) as association:
        assert (await association.store(CT, "1.2.3", IMPLICIT, bytes(300_000))).is_success
    assert len(b"".join(shelf.pieces)) == 300_000


async def test_a_caller_without_tls_is_not_served_where_tls_is_spoken(certificate: tuple[Path, Path]) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(*certificate)
    async with serving({}, tls=ours) as server:
        with pytest.raises(Unreachable):
            async with calling(server):
                pass
