"""Folders of messages and objects that others wrote: sent as they are, to see what becomes of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.errors import InvalidDicomError
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)
from pynetdicom import AE, _config
from pynetdicom.dsutils import split_dataset

from peers.images import ct_images

END = b"\x1c\r"


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One message's answer: MSA-1, the whole of it, and how long it took."""

    path: Path
    code: str
    answer: str
    seconds: float


def send_messages(folder: Path, port: int) -> Iterator[Answered]:
    """Send each ``*.hl7`` below *folder* as one frame, one after another; a connection that is closed is opened again."""
    link: socket.socket | None = None
    for path in sorted(folder.rglob("*.hl7")):
        link = link or socket.create_connection(("127.0.0.1", port), timeout=30)
        began = time.perf_counter()
        link.sendall(b"\x0b" + path.read_bytes().strip(b"\x0b\x1c\r\n") + END)
        answer = b""
        while END not in answer and (chunk := link.recv(65536)):
            answer += chunk
        seconds = time.perf_counter() - began
        text = answer.strip(b"\x0b\x1c\r").decode(errors="replace")
        yield Answered(path=path, code=acknowledgement(text), answer=text, seconds=seconds)
        if not answer:
            link.close()
            link = None
    if link is not None:
        link.close()


def acknowledgement(answer: str) -> str:
    """Give MSA-1, whatever separators the sender likes; `` when there is none."""
    separator = answer[3:4]
    found = (line.split(separator) for line in answer.split("\r") if line.startswith(f"MSA{separator}"))
    return next((fields[1] for fields in found if len(fields) > 1), "")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object's answer: the status, or None when its presentation context was not accepted."""

    path: Path
    sop_class: str
    sop_uid: str
    transfer_syntax: str
    data_set: bytes
    status: int | None


def send_objects(folder: Path, port: int, scratch: Path) -> Iterator[Stored]:
    """Send the data set of each Part 10 file below *folder*, byte for byte, one association each."""
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (meta := whole_meta(path)) is not None:
                yield _store(path, meta, port, scratch)
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = False


def write_objects(folder: Path) -> None:
    """Write small objects of ours: each way to encode a data set, and texts of several character sets."""
    folder.mkdir(parents=True, exist_ok=True)
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        write_object(folder / f"{syntax.keyword}.dcm", syntax)
    for syntax in (JPEGBaseline8Bit, JPEG2000Lossless, RLELossless):
        write_object(folder / f"{syntax.keyword}.dcm", syntax, PixelData=encapsulate([b"\xff\xd8\xff\xd9", bytes(10)]))
    for charset, name in NAMES.items():
        write_object(folder / f"{charset.replace(chr(92), '_')}.dcm", ExplicitVRLittleEndian, charset, PatientName=name)


NAMES = {
    "ISO_IR 100": "Ibáñez^Núria",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 192": "Wang^XiaoDong=王^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
}


def write_object(path: Path, syntax: UID, charset: str = "", **changes: Any) -> None:
    """Write a CT image with a private block and sequences of undefined length, its meta naming *syntax*."""
    (image,) = ct_images({"0010,0020": "C1", "0010,0010": "C^ONE"}, 1)
    image.file_meta.TransferSyntaxUID = syntax
    if charset:
        image.SpecificCharacterSet = charset.split("\\")
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    image["PixelData"].is_undefined_length = syntax.is_encapsulated
    image["RequestAttributesSequence"].is_undefined_length = True
    image.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
    block = image.private_block(0x0009, "RADBROKER TEST", create=True)
    block.add_new(0x01, "LO", "kept")
    block.add_new(0x02, "OB", bytes(range(64)))
    image.save_as(path, enforce_file_format=True)


def whole_meta(path: Path) -> FileMetaDataset | None:
    """Give the file meta of a Part 10 file, completed from its data set; None for other files."""
    try:
        read = dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        return None
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = read.file_meta.get("MediaStorageSOPClassUID") or read.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = read.file_meta.get("MediaStorageSOPInstanceUID") or read.get("SOPInstanceUID", "")
    meta.TransferSyntaxUID = read.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    return meta


def _store(path: Path, meta: FileMetaDataset, port: int, scratch: Path) -> Stored:
    data_set = path.read_bytes()[split_dataset(path)[1] :]
    with scratch.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        write_file_meta_info(file, meta, enforce_standard=False)
        file.write(data_set)
    return Stored(
        path=path,
        sop_class=str(meta.MediaStorageSOPClassUID),
        sop_uid=str(meta.MediaStorageSOPInstanceUID),
        transfer_syntax=str(meta.TransferSyntaxUID),
        data_set=data_set,
        status=_status(_association(meta, port), scratch),
    )


def _association(meta: FileMetaDataset, port: int) -> Any:
    entity = AE(ae_title="CT1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    entity.add_requested_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    return entity.associate("127.0.0.1", port, ae_title="BROKER")


def _status(association: Any, file: Path) -> int | None:
    if not association.is_established:
        return None
    answer = association.send_c_store(file)
    association.release()
    return int(answer.Status)
