"""C-STORE by DCMTK's storescu and by pynetdicom, over real sockets into a real spool and store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from broker.dicom.client import associate
from broker.ports import Changes, Job

Opener = Callable[..., Any]
Peer = Callable[[str], str]


def image(number: int = 1, study_uid: str = "1.2.41", **changes: str) -> Dataset:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 100"
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"{study_uid}.1.{number}"
    one.StudyInstanceUID, one.SeriesInstanceUID = study_uid, f"{study_uid}.1"
    one.AccessionNumber, one.Modality = "A41", "CT"
    one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Ibáñez^Núria", "77041", "19790312", "F"
    one.Rows = one.Columns = 64
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation, one.SamplesPerPixel = 15, 0, 1
    one.PhotometricInterpretation = "MONOCHROME2"
    one.PixelData = bytes(range(256)) * 32
    one["PixelData"].VR = "OW"
    for keyword, value in changes.items():
        setattr(one, keyword, value)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = CTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    return one


async def storescu(peer: Peer, port: int, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        peer("storescu"),
        "-aet",
        "CT1",
        "-aec",
        "BROKER",
        "127.0.0.1",
        str(port),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, said.decode()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("proposal", ["-xe", "-xi", "-xb"])
def test_storescu_stores_a_study_that_is_matched(site: Opener, peer: Peer, tmp_path: Path, proposal: str) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    for number in (1, 2, 3):
        image(number).save_as(folder / f"{number}.dcm", enforce_file_format=True)

    async def story() -> None:
        async with site() as running:
            order = await running.book()
            code, said = await storescu(peer, running.port, "+sd", proposal, str(folder))
            assert code == 0, said
            study = await running.store.studies.get("1.2.41")
            assert (study.verdict, study.order_ids, study.instances, study.ae) == ("matched", (order.id,), 3, "CT1")
            stored = [pydicom.dcmread(path) for path in files(running.spool.root)]
            assert sorted(one.SOPInstanceUID for one in stored) == [f"1.2.41.1.{n}" for n in (1, 2, 3)]
            assert {str(one.PatientName) for one in stored} == {"Ibáñez^Núria"}
            for instance in await running.store.instances.of_study("1.2.41"):
                path, offset = running.spool.locate(instance)
                content = path.read_bytes()[offset:]
                assert (sha256(content).hexdigest(), len(content)) == (instance.digest, instance.size)

    asyncio.run(story())


def test_the_wrong_patient_is_kept_and_told(site: Opener, peer: Peer, tmp_path: Path) -> None:
    image(PatientName="Puig^Joan", PatientID="88052").save_as(tmp_path / "1.dcm", enforce_file_format=True)

    async def story() -> None:
        async with site() as running:
            await running.book()
            code, said = await storescu(peer, running.port, str(tmp_path / "1.dcm"))
            assert code == 0, said
            study = await running.store.studies.get("1.2.41")
            assert study.verdict == "mismatched"
            assert {one.attribute for one in study.findings if one.weight} == {"PatientID", "PatientName"}

    asyncio.run(story())


def test_the_same_object_twice_is_kept_once(site: Opener, peer: Peer, tmp_path: Path) -> None:
    image().save_as(tmp_path / "1.dcm", enforce_file_format=True)

    async def story() -> None:
        async with site() as running:
            for _ in range(2):
                assert (await storescu(peer, running.port, str(tmp_path / "1.dcm")))[0] == 0
            assert len(files(running.spool.root)) == 1
            assert len(await running.store.instances.of_study("1.2.41")) == 1

    asyncio.run(story())


def test_a_spool_that_fails_refuses_and_the_association_lives_on(site: Opener) -> None:
    def send(port: int, incoming: Path) -> list[int]:
        ae = AE(ae_title="CT1")
        ae.add_requested_context(CTImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        association = ae.associate("127.0.0.1", port, ae_title="BROKER")
        incoming.rename(incoming.with_suffix(".away"))
        first = association.send_c_store(image(1))
        incoming.with_suffix(".away").rename(incoming)
        second = association.send_c_store(image(1))
        association.release()
        return [first.Status, second.Status]

    async def story() -> None:
        async with site() as running:
            statuses = await asyncio.to_thread(send, running.port, running.spool.root / "incoming")
            assert statuses == [0xA700, 0x0000]
            assert len(files(running.spool.root)) == 1

    asyncio.run(story())


def test_an_object_that_is_cut_off_leaves_nothing(site: Opener) -> None:
    async def cut(port: int) -> None:
        contexts = [(CTImageStorage, [ExplicitVRLittleEndian])]
        async with associate("127.0.0.1", port, calling="CT1", called="BROKER", contexts=contexts) as association:
            await association.store(CTImageStorage, "1.2.3", ExplicitVRLittleEndian, half())

    async def half() -> AsyncIterator[bytes]:
        yield bytes(200_000)
        yield bytes(200_000)
        raise OSError("the modality lost its power")

    async def story() -> None:
        async with site() as running:
            with suppress(OSError):
                await cut(running.port)
            for _ in range(500):
                if files(running.spool.root):
                    await asyncio.sleep(0.02)
            assert files(running.spool.root) == []
            assert await running.store.instances.paths(running.spool.id) == set()

    asyncio.run(story())


def test_a_restart_adopts_a_file_without_a_row(site: Opener, peer: Peer, tmp_path: Path) -> None:
    image().save_as(tmp_path / "1.dcm", enforce_file_format=True)

    async def story() -> None:
        async with site() as running:
            assert (await storescu(peer, running.port, str(tmp_path / "1.dcm")))[0] == 0
            rows = (*await running.store.instances.of_study("1.2.41"), await running.store.studies.get("1.2.41"))
            await running.store.run(Job(keys=(), decide=lambda held: Changes(delete=rows, result=None)))
        (tmp_path / "spool" / "incoming" / "half.part").write_bytes(b"half")
        async with site() as running:
            (instance,) = await running.store.instances.of_study("1.2.41")
            assert (instance.sop_uid, instance.ae) == ("1.2.41.1.1", "CT1")
            assert files(running.spool.root) == [running.spool.root / instance.path]

    asyncio.run(story())
