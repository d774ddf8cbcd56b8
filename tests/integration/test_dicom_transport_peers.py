"""Associations with DCMTK and pynetdicom, as callers and as called."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from broker.dicom.client import Timeouts, associate
from broker.dicom.requestor import Rejected
from broker.dicom.server import DicomServer, ServerSettings
from broker.dicom.service import SUCCESS, Failure, Request, Response
from broker.ul.dimse import VERIFICATION, Status
from broker.ul.negotiation import Choice, first_of
from peers.waiting import free_port

pytestmark = pytest.mark.anyio

WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = str(ExplicitVRLittleEndian)
QUICK = Timeouts(connect_seconds=5, associate_seconds=10, answer_seconds=10, release_seconds=5)


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def encode(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True)
    return buffer.getvalue()


def patient(name: str) -> Dataset:
    dataset = Dataset()
    dataset.PatientName = name
    return dataset


async def find(request: Request) -> AsyncIterator[Response | bytes]:
    for number in range(200):
        yield encode(patient(f"DOE^{number}"))


async def perform(request: Request) -> Response:
    if request.command.sop_instance == "1.2.404":
        raise Failure(Status.NO_SUCH_INSTANCE, "never created")
    return SUCCESS


class Shelf:
    """Keeps the objects that come, by SOP Instance UID."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def begin(self, request: Request) -> Box:
        return Box(self, request.command.sop_instance)


class Box:
    def __init__(self, shelf: Shelf, uid: str) -> None:
        self.shelf, self.uid, self.pieces = shelf, uid, list[bytes]()

    def write(self, fragment: bytes) -> None:
        self.pieces.append(fragment)

    async def finish(self) -> Response:
        self.shelf.objects[self.uid] = b"".join(self.pieces)
        return SUCCESS

    def abandon(self) -> None:
        self.pieces.clear()


def accepts(abstract: str, offered: tuple[str, ...], calling: str) -> Choice:
    return offered[0] if abstract == CT else first_of(offered, {IMPLICIT})


@asynccontextmanager
async def serving(shelf: Shelf | None = None, **settings: Any) -> AsyncIterator[DicomServer]:
    services = {WORKLIST: find, MPPS: perform, CT: shelf or Shelf()}
    server = DicomServer(ServerSettings(port=0, **settings), services, accepts)
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace_seconds=1)


async def run(program: str, *arguments: str) -> str:
    """Run a peer's program to its end; what it says on both streams."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return f"exit {process.returncode}\n{output.decode()}"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A CT object of 600 KB."""
    dataset = patient("IMAGE^ONE")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3.4"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientID = "1.2.3", "1.2.3.1", "7"
    dataset.add_new(0x7FE00010, "OW", bytes(range(256)) * 2400)
    path = tmp_path / "image.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def data_set_of(path: Path) -> tuple[int, bytes]:
    """Where the data set of a Part 10 file begins, and its bytes."""
    content = path.read_bytes()
    offset = 144 + int.from_bytes(content[140:144], "little")
    return offset, content[offset:]


async def test_echoscu_is_answered(peer: Callable[[str], str]) -> None:
    async with serving() as server:
        assert "exit 0" in await run(peer("echoscu"), "--repeat", "3", "127.0.0.1", str(server.port))


async def test_echoscu_with_128_contexts_is_answered(peer: Callable[[str], str]) -> None:
    async with serving() as server:
        arguments = ("--propose-pc", "128", "--propose-ts", "3", "127.0.0.1", str(server.port))
        assert "exit 0" in await run(peer("echoscu"), *arguments)


async def test_echoscu_is_told_that_it_calls_another(peer: Callable[[str], str]) -> None:
    async with serving(ae_titles=("BROKER",)) as server:
        output = await run(peer("echoscu"), "-v", "-aec", "WRONG", "127.0.0.1", str(server.port))
    assert "Called AE Title Not Recognized" in output


async def test_findscu_gets_every_answer(peer: Callable[[str], str]) -> None:
    async with serving() as server:
        output = await run(peer("findscu"), "-v", "-W", "-k", "PatientName", "127.0.0.1", str(server.port))
    assert output.count("(Pending)") == 200
    assert "DOE^199" in output
    assert "Received Final Find Response (Success)" in output


async def test_findscu_may_cancel(peer: Callable[[str], str]) -> None:
    async with serving() as server:
        arguments = ("-v", "-W", "--cancel", "3", "-k", "PatientName", "127.0.0.1", str(server.port))
        output = await run(peer("findscu"), *arguments)
    assert "exit 0" in output
    assert "Received Final Find Response" in output


async def test_storescu_delivers_the_data_set_as_it_is(peer: Callable[[str], str], image: Path) -> None:
    shelf = Shelf()
    async with serving(shelf) as server:
        output = await run(peer("storescu"), "-v", "-R", "127.0.0.1", str(server.port), str(image))
    assert "Received Store Response (Success)" in output
    assert shelf.objects["1.2.3.4"] == data_set_of(image)[1]


async def test_pynetdicom_is_served() -> None:
    async with serving() as server:
        statuses = await asyncio.to_thread(use_everything, server.port)
    assert statuses == [0, *[0xFF00] * 200, 0, 0, 0, 0x0112]


def use_everything(port: int) -> list[int]:
    """Echo, search, store, N-CREATE, N-SET and N-SET of nothing, by pynetdicom."""
    modality = AE("MODALITY")
    for uid in (VERIFICATION, WORKLIST, MPPS, CT):
        modality.add_requested_context(uid, IMPLICIT)
    association = modality.associate("127.0.0.1", port)
    try:
        dataset = patient("DOE")
        dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = IMPLICIT
        found = list(association.send_c_find(patient(""), WORKLIST))
        answers = [
            association.send_c_echo(),
            *[status for status, _ in found],
            association.send_c_store(dataset),
            association.send_n_create(patient("DOE"), MPPS, "1.2.7")[0],
            association.send_n_set(patient("DOE"), MPPS, "1.2.404")[0],
        ]
        return [answer.Status for answer in answers]
    finally:
        association.release()


@contextmanager
def pynetdicom_archive(port: int, stored: dict[str, Dataset]) -> Iterator[None]:
    def store(event: evt.Event) -> int:
        stored[event.dataset.SOPInstanceUID] = event.dataset
        return 0x0000

    def answer_search(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xFF00, patient("DOE^1")
        yield 0xFF00, patient("DOE^2")
        yield 0x0000, None

    archive = AE("ARCHIVE")
    for uid in (VERIFICATION, WORKLIST, MPPS, CT):
        archive.add_supported_context(uid, [IMPLICIT, EXPLICIT])
    archive.require_called_aet = True
    handlers = [
        (evt.EVT_C_STORE, store),
        (evt.EVT_C_FIND, answer_search),
        (evt.EVT_N_CREATE, lambda event: (0x0111, None)),
        (evt.EVT_N_SET, lambda event: (0x0000, event.modification_list)),
    ]
    listener = archive.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield
    finally:
        listener.shutdown()


async def test_pynetdicom_serves_the_broker(image: Path) -> None:
    stored: dict[str, Dataset] = {}
    port, offset = free_port(), data_set_of(image)[0]
    contexts = [(VERIFICATION, [IMPLICIT]), (WORKLIST, [IMPLICIT]), (MPPS, [IMPLICIT]), (CT, [EXPLICIT])]
    with pynetdicom_archive(port, stored):
        async with associate(
            "127.0.0.1", port, calling="BROKER", called="ARCHIVE", contexts=contexts, timeouts=QUICK
        ) as association:
            assert (await association.echo()).is_success
            found = [answer async for answer in association.find(WORKLIST, encode(patient("")), IMPLICIT)]
            assert [status for status, _ in found] == [0xFF00, 0xFF00, 0]
            assert found[1][1] == encode(patient("DOE^2"))
            assert (await association.store(CT, "1.2.3.4", EXPLICIT, image, offset=offset)).is_success
            assert (await association.n_create(MPPS, "1.2.9", encode(patient("DOE")), IMPLICIT)).status == 0x0111
            answer = await association.n_set(MPPS, "1.2.9", encode(patient("DOE")), IMPLICIT)
            assert answer.data_set == encode(patient("DOE"))
    assert stored["1.2.3.4"].PixelData == dcmread(image).PixelData


async def test_pynetdicom_refuses_another_title() -> None:
    port = free_port()
    with pynetdicom_archive(port, {}), pytest.raises(Rejected, match="called AE title not recognized"):
        async with associate(
            "127.0.0.1", port, calling="BROKER", called="WRONG", contexts=[(CT, [EXPLICIT])], timeouts=QUICK
        ):
            pass


async def test_storescp_gets_the_file_that_was_sent(peer: Callable[[str], str], image: Path, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "received"
    folder.mkdir()
    archive = await asyncio.create_subprocess_exec(peer("storescp"), "-od", str(folder), "+B", str(port))
    try:
        await until_open(port)
        async with associate(
            "127.0.0.1", port, calling="BROKER", called="ARCHIVE", contexts=[(CT, [EXPLICIT])], timeouts=QUICK
        ) as association:
            answer = await association.store(CT, "1.2.3.4", EXPLICIT, image, offset=data_set_of(image)[0])
        assert answer.is_success
        (received,) = folder.iterdir()
        assert data_set_of(received)[1] == data_set_of(image)[1]
    finally:
        archive.terminate()
        await asyncio.wait_for(archive.wait(), 5)


async def until_open(port: int) -> None:
    """Wait until a program listens on *port*, five seconds at most."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
