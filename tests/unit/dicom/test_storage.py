import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

import pytest

from broker.dicom.service import Failure, Request
from broker.dicom.spool import Spool
from broker.dicom.storage import HELD_LIMIT, HELD_LIMIT_OF_ALL, Storage
from broker.domain.study import Instance, ObjectFacts
from broker.errors import BrokerError, NothingDone
from broker.ul.dimse import Command, Kind

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
DATA_SET = b"\x08\x00\x18\x00UI\x08\x001.2.3.9\0\x20\x00\x0d\x00UI\x06\x001.2.3\0\xe0\x7f\x10\x00OB\x00\x00\x04\x00\x00\x00DATA"


@dataclass(frozen=True)
class Arrived:
    is_new: bool
    is_rejected: bool = False


@dataclass
class Book:
    """Keeps rows in memory; while there is a *fault* it cannot write."""

    rows: list[tuple[ObjectFacts, Instance]] = field(default_factory=list)
    is_rejecting: bool = False
    fault: BrokerError | None = None

    async def received(self, facts: ObjectFacts, instance: Instance) -> Arrived:
        if self.fault is not None:
            raise self.fault
        is_new = all(row.digest != instance.digest for _, row in self.rows)
        if is_new:
            self.rows.append((facts, instance))
        return Arrived(is_new=is_new, is_rejected=self.is_rejecting)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def storage(tmp_path: Path, book: Book) -> Iterator[Storage]:
    numbers = count()
    spool = Spool(tmp_path, lambda: f"ID{next(numbers)}")
    yield Storage(spool, book, lambda: NOW, "2.25.1", "RADBROKER")
    spool.close()


def announce(uid: str | None = "1.2.3.9") -> Request:
    command = Command(kind=Kind.C_STORE_RQ, message_id=1, affected_class=CT, affected_instance=uid, has_data_set=True)
    return Request(
        command=command,
        abstract_syntax=CT,
        transfer_syntax="1.2.840.10008.1.2.1",
        calling_ae="CT1",
        called_ae="BROKER",
        peer_host="127.0.0.1",
    )


def store(storage: Storage, data_set: bytes = DATA_SET, uid: str | None = "1.2.3.9", size: int = 16) -> int:
    async def run() -> int:
        sink = storage.begin(announce(uid))
        try:
            for start in range(0, len(data_set), size):
                sink.write(data_set[start : start + size])
        except Failure:
            sink.abandon()
            raise
        return (await sink.finish()).status

    return asyncio.run(run())


def files(storage: Storage) -> list[Path]:
    return [path for path in storage.spool.root.rglob("*") if path.is_file()]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    soft, hard = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_FSIZE, (soft, hard))


def test_a_stored_object_has_its_row_and_its_file(storage: Storage, book: Book) -> None:
    assert store(storage) == 0x0000
    facts, instance = book.rows[0]
    assert (facts.sop_uid, facts.study_uid, instance.ae, instance.received_at) == ("1.2.3.9", "1.2.3", "CT1", NOW)
    assert files(storage) == [storage.spool.root / instance.path]
    assert files(storage)[0].read_bytes().endswith(DATA_SET)


def test_the_same_bytes_again_are_kept_once(storage: Storage, book: Book) -> None:
    assert (store(storage), store(storage)) == (0x0000, 0x0000)
    assert (len(book.rows), len(files(storage))) == (1, 1)


def test_an_object_of_a_rejected_study_is_set_aside(storage: Storage, book: Book) -> None:
    book.is_rejecting = True
    assert store(storage) == 0x0000
    (file,) = files(storage)
    assert file.parent == storage.spool.root / "rejected" / "1.2.3"


def test_other_bytes_under_the_same_uid_are_both_kept(storage: Storage, book: Book) -> None:
    store(storage)
    assert store(storage, DATA_SET.replace(b"DATA", b"MORE")) == 0x0000
    assert (len(book.rows), len(files(storage))) == (2, 2)


def test_the_data_set_says_what_it_is(storage: Storage, book: Book) -> None:
    assert store(storage, uid="1.7") == 0x0000
    assert book.rows[0][0].sop_uid == "1.2.3.9"


def test_the_command_says_it_when_the_data_set_does_not(storage: Storage, book: Book) -> None:
    assert store(storage, b"\x08\x00\x60\x00CS\x02\x00CT", uid="1.7") == 0x0000
    assert (book.rows[0][0].sop_uid, book.rows[0][1].study_uid) == ("1.7", "1.7")


def test_an_object_that_nobody_names_is_refused(storage: Storage, book: Book) -> None:
    with pytest.raises(Failure) as refusal:
        store(storage, b"no header at all", uid=None)
    assert (refusal.value.response.status, book.rows, files(storage)) == (0xC000, [], [])


@pytest.mark.parametrize("missing", [2, 3 * HELD_LIMIT // 2])
def test_an_object_that_ends_in_the_middle_is_refused_and_leaves_nothing(
    storage: Storage, book: Book, missing: int
) -> None:
    pixels = b"\xe0\x7f\x10\x00OB\x00\x00" + (2 * HELD_LIMIT).to_bytes(4, "little") + bytes(2 * HELD_LIMIT)
    with pytest.raises(Failure) as refusal:
        store(storage, DATA_SET + pixels[:-missing], size=100_000)
    assert (refusal.value.response.status, book.rows, files(storage)) == (0xC000, [], [])
    assert storage.held_size == 0
    assert store(storage, DATA_SET + pixels, size=100_000) == 0x0000


def test_a_header_that_comes_late_is_still_read(storage: Storage, book: Book) -> None:
    private = b"\x07\x00\x01\x10OB\x00\x00" + (2 * HELD_LIMIT).to_bytes(4, "little") + bytes(2 * HELD_LIMIT)
    assert store(storage, private + DATA_SET, size=100_000) == 0x0000
    assert book.rows[0][0].study_uid == "1.2.3"
    assert files(storage)[0].read_bytes().endswith(private + DATA_SET)


@pytest.mark.parametrize("size", [10, 30, 2 * HELD_LIMIT])
def test_an_object_that_ends_in_the_middle_leaves_nothing(storage: Storage, book: Book, size: int) -> None:
    sink = storage.begin(announce())
    sink.write((DATA_SET + bytes(2 * HELD_LIMIT))[:size])
    sink.abandon()
    assert (files(storage), book.rows) == ([], [])


@pytest.mark.parametrize("data_set", [DATA_SET, DATA_SET + bytes(2000), DATA_SET + bytes(2 * HELD_LIMIT)])
def test_a_full_disk_is_out_of_resources_and_passes(storage: Storage, data_set: bytes) -> None:
    with files_no_longer_than(100 + len(data_set) // 2), pytest.raises(Failure) as refusal:
        store(storage, data_set, size=HELD_LIMIT)
    assert (refusal.value.response.status, files(storage)) == (0xA700, [])
    assert store(storage) == 0x0000
    assert storage.held_size == 0


def test_when_too_much_is_held_an_object_goes_to_its_file_at_once(storage: Storage) -> None:
    storage.held_size = HELD_LIMIT_OF_ALL
    sink = storage.begin(announce())
    sink.write(DATA_SET)
    assert len(files(storage)) == 1
    sink.abandon()
    assert (files(storage), storage.held_size) == ([], HELD_LIMIT_OF_ALL)


def test_a_spool_that_is_gone_is_out_of_resources(storage: Storage) -> None:
    (storage.spool.root / "incoming").rmdir()
    with pytest.raises(Failure) as refusal:
        store(storage)
    assert refusal.value.response.status == 0xA700


def test_what_the_store_surely_did_not_record_goes_at_once(storage: Storage, book: Book) -> None:
    book.fault = NothingDone("the database is away", code="S001", ack="AR")
    with pytest.raises(Failure) as refusal:
        store(storage)
    assert (refusal.value.response.status, files(storage)) == (0xA700, [])


def test_what_the_store_may_have_recorded_stays_for_the_next_start(storage: Storage, book: Book) -> None:
    book.fault = BrokerError("the database went away during the commit", code="S001", ack="AR")
    with pytest.raises(Failure) as refusal:
        store(storage)
    book.fault = None
    again = store(storage)
    assert (refusal.value.response.status, again, len(files(storage))) == (0xA700, 0x0000, 2)
    assert asyncio.run(storage.adopt({book.rows[0][1].path})) == 1
    assert files(storage) == [storage.spool.root / book.rows[0][1].path]


def test_a_start_records_what_a_dead_process_left(storage: Storage, book: Book) -> None:
    store(storage)
    rows, book.rows = book.rows, []
    assert asyncio.run(storage.adopt(())) == 1
    assert book.rows[0][0] == rows[0][0]
    assert book.rows[0][1].digest == rows[0][1].digest
    assert asyncio.run(storage.adopt({rows[0][1].path})) == 0
