"""The spool: objects on their way to the archives, one synced file each, under names that the broker makes.

``incoming/<id>.part`` while an object arrives, ``<study>/<id>.dcm`` when it is whole and on disk,
``rejected/<study>/<id>.dcm`` once a person has rejected its study: that stays until a person removes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog

from broker.dicom.header import HeaderReader
from broker.dicom.ownership import Ownership
from broker.dicom.part10 import FileMeta, read_meta
from broker.domain.study import Instance, ObjectFacts
from broker.errors import BrokerError
from broker.ports import Ids

log = structlog.get_logger()

T = TypeVar("T")

_INCOMING: Final = "incoming"
REJECTED: Final = "rejected"
_CHUNK: Final = 1024 * 1024
_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")
WORKERS: Final = 8


class PartFile:
    """An object that is arriving: *size* bytes of its data set are written, after *offset* bytes of meta."""

    def __init__(self, path: Path, meta: FileMeta, pieces: Iterable[bytes]) -> None:
        self.path = path
        self.size = 0
        self._descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        head = meta.encode()
        self.offset = len(head)
        try:
            _write_all(self._descriptor, head)
            for piece in pieces:
                self.write(piece)
        except OSError:
            self.discard()
            raise

    def write(self, fragment: bytes) -> None:
        """Append *fragment* to the data set. Raises OSError."""
        _write_all(self._descriptor, fragment)
        self.size += len(fragment)

    def pieces(self) -> Iterator[bytes]:
        """Read the data set again. Raises OSError."""
        at, end = self.offset, self.offset + self.size
        while at < end:
            piece = os.pread(self._descriptor, min(_CHUNK, end - at), at)
            if not piece:
                raise OSError(errno.EIO, "the file ends early")
            yield piece
            at += len(piece)

    def sync(self) -> None:
        """Bring the bytes to the disk."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Let go of the file and remove it."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An object that is whole and on disk: *path* relative to the *spool*, *size* and *digest* of its data set."""

    path: str
    size: int
    digest: str
    spool: str


class Spool:
    """The folder *root*, which one process has. Methods block, but for those that are async: they use its own threads."""

    def __init__(self, root: Path, ids: Ids, workers: int = WORKERS) -> None:
        self.root = root
        self._ids = ids
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="spool")
        self._digesters = ThreadPoolExecutor(2, thread_name_prefix="spool-digest")
        self._folder_lock = threading.Lock()
        self._left: set[str] = set()
        (root / _INCOMING).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ownership = Ownership(root, ids)
        self.id = self._ownership.id

    def close(self) -> None:
        """End the threads, after what they have in hand, and let others have the folder."""
        self._pool.shutdown()
        self._digesters.shutdown()
        self._ownership.release()

    def create(self, meta: FileMeta, pieces: Iterable[bytes] = ()) -> PartFile:
        """Make a file for an arriving object with its first *pieces*; on OSError nothing of it is left."""
        return PartFile(self.root / _INCOMING / f"{self._ids()}.part", meta, pieces)

    async def put(self, meta: FileMeta, pieces: Iterable[bytes], study_uid: str) -> Kept:
        """Write an object that is in memory, and bring it to the disk; on OSError nothing of it is left."""
        return await self._in_thread(lambda: self._keep(self.create(meta, pieces), pieces, study_uid))

    async def keep(self, part: PartFile, study_uid: str) -> Kept:
        """Bring *part* to the disk under its study; on OSError nothing of it is left."""
        return await self._in_thread(lambda: self._keep(part, part.pieces(), study_uid))

    async def forget(self, path: str) -> None:
        """Remove a stored object without blocking the loop."""
        await self._in_thread(lambda: self.remove(path))

    async def put_aside(self, study_uid: str) -> None:
        """Set the files of a rejected study aside without blocking the loop."""
        await self._in_thread(lambda: set_aside(self.root, study_uid))

    def remove(self, path: str) -> None:
        """Remove a stored object, and its folder when it was the last; one that is gone already is no error.

        One that cannot be removed (the disk is read-only) is tried again with the next; the next start removes it too.
        """
        if self._is_removed(path):
            for left in tuple(self._left):
                if not self._is_removed(left):
                    break

    def _is_removed(self, path: str) -> bool:
        try:
            os.unlink(self.root / path)
        except FileNotFoundError:
            pass
        except OSError as fault:
            self._left.add(path)
            log.warning("spool.file_not_removed", path=path, reason=fault.strerror)
            return False
        self._left.discard(path)
        with contextlib.suppress(OSError):
            os.rmdir((self.root / path).parent)
        return True

    def locate(self, instance: Instance) -> tuple[Path, int]:
        """Tell the file of *instance*, and where in it the data set begins. Raises OSError."""
        path = self.root / instance.path
        with open(path, "rb") as file:
            try:
                read_meta(file)
            except BrokerError as fault:
                raise OSError(errno.EIO, fault.message, str(path)) from fault
            return path, file.tell()

    def reconcile(self, known: Collection[str]) -> Iterator[tuple[ObjectFacts, Instance]]:
        """Remove what never became whole; give the whole files that are not *known*, to be adopted.

        A file that cannot be read is left where it is and logged.
        """
        for part in (self.root / _INCOMING).glob("*.part"):
            part.unlink()
        for file in sorted(self.root.glob("*/*.dcm")):
            path = file.relative_to(self.root).as_posix()
            if path in known:
                continue
            try:
                yield self._adopt(path)
            except (OSError, BrokerError) as fault:
                log.error("spool.file_unreadable", path=path, reason=str(fault))

    def _adopt(self, path: str) -> tuple[ObjectFacts, Instance]:
        with open(self.root / path, "rb") as file:
            meta, digest, offset = read_meta(file), hashlib.sha256(), file.tell()
            header = HeaderReader(meta.transfer_syntax, meta.sop_class, meta.sop_uid)
            while piece := file.read(_CHUNK):
                header.feed(piece)
                digest.update(piece)
            kept = Kept(path=path, size=file.tell() - offset, digest=digest.hexdigest(), spool=self.id)
            arrived = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        facts = header.finish()
        return facts, instance_of(facts, kept, meta, arrived)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _keep(self, part: PartFile, pieces: Iterable[bytes], study_uid: str) -> Kept:
        digesting = self._digesters.submit(digest_of, pieces)  # while this thread waits for the disk
        try:
            path, digest = self._settle(part, study_uid), digesting.result()
        except OSError:
            wait([digesting])  # it may still read the file
            part.discard()
            raise
        part.close()
        return Kept(path=path, size=part.size, digest=digest, spool=self.id)

    def _settle(self, part: PartFile, study_uid: str) -> str:
        """Sync the file, move it to its study's folder, sync the folder: the order that a power cut cannot undo."""
        part.sync()
        folder = self.root / folder_of(study_uid)
        target = folder / f"{part.path.stem}.dcm"
        while True:
            self._make(folder)
            try:
                os.rename(part.path, target)
                break
            except FileNotFoundError:
                if not part.path.exists():
                    raise
        part.path = target
        _sync_folder(folder)
        return f"{folder.name}/{target.name}"

    def _make(self, folder: Path) -> None:
        """Make *folder*, durably before anybody relies on it; it may vanish again with its last object."""
        with self._folder_lock, contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            _sync_folder(self.root)


def folder_of(study_uid: str) -> str:
    """Name a study's folder: its UID, or when that is not one a digest, so that no name leads out of the spool."""
    if _UID.fullmatch(study_uid):
        return study_uid
    return "x" + hashlib.sha256(study_uid.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def digest_of(pieces: Iterable[bytes]) -> str:
    """Digest a data set: 64 hexadecimal digits (SHA-256, which processors have in hardware)."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def set_aside(root: Path, study_uid: str) -> None:
    """Move the files of a study in the spool *root* under ``rejected``; what cannot be moved is, at the next start."""
    folder = root / folder_of(study_uid)
    aside = root / REJECTED / folder.name
    try:
        for file in sorted(folder.glob("*.dcm")):
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.rename(file, aside / file.name)
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    except OSError as fault:
        log.error("spool.not_set_aside", study_uid=study_uid, reason=str(fault))


def instance_of(facts: ObjectFacts, kept: Kept, meta: FileMeta, arrived: datetime) -> Instance:
    """Make the row of a stored object."""
    return Instance(
        sop_uid=facts.sop_uid,
        digest=kept.digest,
        sop_class=facts.sop_class,
        transfer_syntax=meta.transfer_syntax,
        study_uid=facts.study_uid,
        series_uid=facts.series_uid,
        ae=meta.source_ae,
        spool=kept.spool,
        path=kept.path,
        size=kept.size,
        received_at=arrived,
    )


def _write_all(descriptor: int, content: bytes) -> None:
    written = os.write(descriptor, content)
    while written < len(content):
        written += os.write(descriptor, content[written:])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
