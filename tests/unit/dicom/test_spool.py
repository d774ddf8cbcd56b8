import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.dicom.part10 import FileMeta, read_meta
from broker.dicom.spool import Kept, Spool, folder_of
from broker.domain.study import Instance
from broker.errors import BrokerError, ConfigurationError

META = FileMeta(
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    sop_uid="1.2.3.9",
    transfer_syntax="1.2.840.10008.1.2.1",
    implementation_uid="2.25.1",
    implementation_version="RADBROKER",
    source_ae="CT1",
)
DATA_SET = b"\x08\x00\x18\x00UI\x08\x001.2.3.9\0" + b"\x20\x00\x0d\x00UI\x06\x001.2.3\0"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    numbers = count()
    one = Spool(tmp_path / "spool", lambda: f"ID{next(numbers)}")
    yield one
    one.close()


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


def keep(spool: Spool, data_set: bytes = DATA_SET, study: str = "1.2.3") -> Kept:
    part = spool.create(META)
    for start in range(0, len(data_set), 10):
        part.write(data_set[start : start + 10])
    return asyncio.run(spool.keep(part, study))


def located(path: str) -> Instance:
    return Instance(
        sop_uid="1.2.3.9",
        digest="",
        sop_class=META.sop_class,
        transfer_syntax=META.transfer_syntax,
        study_uid="1.2.3",
        series_uid="",
        ae="CT1",
        path=path,
        size=0,
        received_at=datetime.now(UTC),
    )


def files(spool: Spool) -> list[str]:
    return sorted(path.relative_to(spool.root).as_posix() for path in spool.root.rglob("*") if path.is_file())


def test_an_object_is_kept_byte_for_byte(spool: Spool) -> None:
    kept = keep(spool)
    file, offset = spool.locate(located(kept.path))
    assert file.read_bytes()[offset:] == DATA_SET
    assert kept == Kept(path="1.2.3/ID1.dcm", size=len(DATA_SET), digest=sha256(DATA_SET).hexdigest(), spool="ID0")
    assert files(spool) == [kept.path]


def test_others_can_read_the_file(spool: Spool) -> None:
    read = pydicom.dcmread(spool.root / keep(spool).path)
    assert (read.file_meta.MediaStorageSOPInstanceUID, read.StudyInstanceUID) == ("1.2.3.9", "1.2.3")
    assert read.file_meta.SourceApplicationEntityTitle == "CT1"
    assert read.file_meta.TransferSyntaxUID == META.transfer_syntax
    assert (read.file_meta.ImplementationClassUID, read.file_meta.ImplementationVersionName) == ("2.25.1", "RADBROKER")


def test_a_discarded_object_leaves_nothing(spool: Spool) -> None:
    part = spool.create(META)
    part.write(b"x" * 100)
    part.discard()
    assert files(spool) == []


def test_a_full_disk_leaves_nothing(spool: Spool) -> None:
    part = spool.create(META)
    with files_no_longer_than(1000), pytest.raises(OSError, match="too large"):
        part.write(bytes(2000))
    part.discard()
    with files_no_longer_than(50), pytest.raises(OSError, match="too large"):
        spool.create(META)
    assert files(spool) == []


def test_an_object_that_cannot_be_moved_leaves_nothing(spool: Spool) -> None:
    (spool.root / "1.2.3").write_bytes(b"in the way")
    with pytest.raises(NotADirectoryError):
        keep(spool)
    with pytest.raises(NotADirectoryError):
        asyncio.run(spool.put(META, [DATA_SET], "1.2.3"))
    assert files(spool) == ["1.2.3"]


def test_an_object_in_memory_is_kept_like_one_that_was_written(spool: Spool) -> None:
    written, put = keep(spool), asyncio.run(spool.put(META, [DATA_SET[:9], DATA_SET[9:]], "1.2.3"))
    assert (put.size, put.digest) == (written.size, written.digest)
    assert (spool.root / put.path).read_bytes() == (spool.root / written.path).read_bytes()


def test_the_last_object_of_a_study_takes_its_folder_with_it(spool: Spool) -> None:
    first, second = keep(spool), keep(spool)
    spool.remove(first.path)
    assert files(spool) == [second.path]
    spool.remove(second.path)
    spool.remove(second.path)
    assert sorted(path.name for path in spool.root.iterdir()) == ["broker-ID0", "incoming"]
    assert keep(spool).path == "1.2.3/ID3.dcm"


@pytest.mark.parametrize(
    "uid", ["", "..", ".", "../../etc", "/etc", "1/2", "1.2\0", "9" * 65, "x", "incoming", "\ud800"]
)
def test_no_uid_leads_out_of_the_spool(uid: str) -> None:
    assert folder_of(uid).startswith("x")
    assert folder_of(uid).isalnum()


def test_a_start_adopts_whole_files_and_removes_parts(spool: Spool) -> None:
    known, lost = keep(spool), keep(spool, study="no uid")
    spool.create(META).close()
    adopted = list(spool.reconcile({known.path}))
    (facts, instance) = adopted[0]
    assert [one[1].path for one in adopted] == [lost.path]
    assert (facts.sop_uid, facts.study_uid) == ("1.2.3.9", "1.2.3")
    assert (instance.digest, instance.size, instance.ae) == (lost.digest, lost.size, "CT1")
    assert instance.transfer_syntax == META.transfer_syntax
    assert instance.received_at.tzinfo is not None
    assert files(spool) == sorted([known.path, lost.path])


def test_a_file_that_is_none_of_ours_is_left_alone(spool: Spool) -> None:
    (spool.root / "1.9").mkdir()
    (spool.root / "1.9" / "notes.dcm").write_text("not DICOM")
    assert list(spool.reconcile(())) == []
    assert files(spool) == ["1.9/notes.dcm"]
    with pytest.raises(OSError, match="not a DICOM file"):
        spool.locate(located("1.9/notes.dcm"))


def test_many_arrive_and_leave_at_once(spool: Spool) -> None:
    async def one(number: int) -> None:
        part = spool.create(META)
        part.write(os.urandom(1000))
        kept = await spool.keep(part, f"1.2.{number % 2}")
        await spool.forget(kept.path)

    async def all_at_once() -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(all_at_once())
    assert files(spool) == []


def test_the_meta_is_read_again() -> None:
    file = BytesIO(META.encode() + b"data")
    assert read_meta(file) == META
    assert file.read() == b"data"


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_damage_breaks_the_meta_reader(damage: bytes, at: int) -> None:
    with suppress(BrokerError):
        assert read_meta(BytesIO(META.encode()[:at] + damage))


def test_the_files_of_a_rejected_study_are_set_aside_and_never_taken_up_again(spool: Spool) -> None:
    for _ in range(2):
        keep(spool)
        asyncio.run(spool.put_aside("1.2.3"))
    other = keep(spool, study="1.2.4")
    asyncio.run(spool.put_aside("1.2.5"))

    aside = files(spool)
    assert [name.rpartition("/")[0] for name in aside] == ["1.2.4", "rejected/1.2.3", "rejected/1.2.3"]
    assert not (spool.root / "1.2.3").exists()
    assert [instance.path for _, instance in spool.reconcile({other.path})] == []
    assert files(spool) == aside


def test_a_spool_keeps_its_name_and_has_one_owner(spool: Spool) -> None:
    with pytest.raises(ConfigurationError, match="in use by another broker"):
        Spool(spool.root, lambda: "ANOTHER")
    spool.close()

    again = Spool(spool.root, lambda: "ANOTHER")
    again.close()

    assert again.id == spool.id == "ID0"


def test_what_cannot_be_removed_now_goes_with_the_next(spool: Spool) -> None:
    first, second = keep(spool), keep(spool, study="1.2.4")
    file = spool.root / first.path
    file.rename(file.with_suffix(".aside"))
    file.mkdir()
    spool.remove(first.path)
    file.rmdir()
    file.with_suffix(".aside").rename(file)

    spool.remove(second.path)

    assert list(spool.root.glob("1.*")) == []
