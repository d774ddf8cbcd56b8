"""Small data sets: read by keyword, written sorted and padded; broken ones are refused and say where."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import dcmread
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from broker.dicom.charset import UTF_8, get_charset
from broker.dicom.dataset import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, TRANSFER_SYNTAXES, read_item, write_item
from broker.errors import BrokerError

ITEM: dict[str, Any] = {
    "AccessionNumber": "A41",
    "PatientName": "Doe^John",
    "PatientID": "",
    "OtherPatientIDs": ["1", "", "22"],
    "PatientWeight": "70.5",
    "PregnancyStatus": "4",
    "ReferencedStudySequence": [],
    "PatientComments": " a\\b ",
    "StudyInstanceUID": "1.2.3",
    "ScheduledProcedureStepSequence": [
        {"Modality": "CT", "ScheduledProtocolCodeSequence": [{"CodeValue": "X"}, {"CodeValue": "Y"}]},
        {},
    ],
    "(0009,0010)": "ACME",
    "(0009,1001)": b"\x01\x02",
    "FrameIncrementPointer": "00181063",
    "RecommendedDisplayFrameRateInFloat": "1.5",
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
}
READ = {**ITEM, "PatientComments": " a\\b"}


def _element(group: int, element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", group, element, len(value)) + value


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_an_item_comes_back_in_every_transfer_syntax(transfer_syntax: str) -> None:
    assert read_item(write_item(ITEM, transfer_syntax), transfer_syntax) == READ


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
def test_pydicom_reads_what_is_written(transfer_syntax: str) -> None:
    raw = write_item({**ITEM, "PatientName": "Ibáñez^Núria=王"}, transfer_syntax, UTF_8)
    read = dcmread(BytesIO(_part10(raw, transfer_syntax)))
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert str(read.PatientName) == "Ibáñez^Núria=王"
    assert read.PregnancyStatus == 4
    assert read.FrameIncrementPointer == 0x00181063
    assert [code.CodeValue for code in read.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence] == [
        "X",
        "Y",
    ]
    assert list(read.keys()) == sorted(read.keys())


@pytest.mark.parametrize("transfer_syntax", TRANSFER_SYNTAXES)
@pytest.mark.parametrize("is_undefined_length", [False, True])
def test_what_pydicom_writes_is_read(transfer_syntax: str, is_undefined_length: bool) -> None:
    code = Dataset()
    code.CodeValue = "X"
    step = Dataset()
    step.Modality = "CT"
    step.ScheduledProtocolCodeSequence = Sequence([code])
    step.is_undefined_length_sequence_item = is_undefined_length
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 100"
    data_set.PatientName = "Ibáñez^Núria"
    data_set.ScheduledProcedureStepSequence = Sequence([step])
    data_set["ScheduledProcedureStepSequence"].is_undefined_length = is_undefined_length
    assert read_item(_dataset_of(data_set, transfer_syntax), transfer_syntax) == {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "Ibáñez^Núria",
        "ScheduledProcedureStepSequence": [{"Modality": "CT", "ScheduledProtocolCodeSequence": [{"CodeValue": "X"}]}],
    }


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    inner = _element(0x0008, 0x0005, b"ISO_IR 101") + _element(0x0040, 0x0006, "Łoś ".encode("iso8859-2"))
    raw = (
        _element(0x0008, 0x0005, b"ISO_IR 100")
        + _element(0x0040, 0x0100, _element(0xFFFE, 0xE000, inner))
        + _element(0x0040, 0x1400, "Jérôme".encode("latin-1"))
    )
    item = read_item(raw, IMPLICIT)
    assert item["ScheduledProcedureStepSequence"][0]["ScheduledPerformingPhysicianName"] == "Łoś"
    assert item["RequestedProcedureComments"] == "Jérôme"


def test_the_character_set_that_was_read_is_replaced_by_that_which_is_written() -> None:
    item = {"SpecificCharacterSet": "ISO_IR 100", "ReferencedStudySequence": [{"SpecificCharacterSet": "GBK"}]}
    assert read_item(write_item(item, IMPLICIT, UTF_8), IMPLICIT) == {
        "SpecificCharacterSet": "ISO_IR 192",
        "ReferencedStudySequence": [{}],
    }


def test_a_backslash_inside_a_two_byte_character_separates_nothing() -> None:
    raw = write_item({"PatientID": ["誠", "b"]}, IMPLICIT, get_charset("GB18030"))
    assert b"\\" in raw
    assert read_item(raw, IMPLICIT)["PatientID"] == ["誠", "b"]


def test_unknown_and_un_attributes_are_read_by_what_is_known_of_them() -> None:
    code = struct.pack("<HHI", 0xFFFE, 0xE000, 10) + _element(0x0008, 0x0100, b"X ")
    raw = (
        struct.pack("<HH2sHI", 0x0008, 0x0050, b"UN", 0, 4)
        + b"A41 "
        + struct.pack("<HH2sHI", 0x0032, 0x1064, b"UN", 0, len(code))
        + code
        + struct.pack("<HH2sHI", 0x0041, 0x1001, b"UN", 0, 0xFFFFFFFF)
        + code
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )
    assert read_item(raw, EXPLICIT) == {
        "AccessionNumber": "A41",
        "RequestedProcedureCodeSequence": [{"CodeValue": "X"}],
        "(0041,1001)": [{"CodeValue": "X"}],
    }


def test_group_lengths_and_trailing_padding_are_nothing() -> None:
    raw = (
        _element(0x0008, 0x0000, b"\x0c\0\0\0") + _element(0x0008, 0x0050, b"A41 ") + _element(0xFFFC, 0xFFFC, b"\0\0")
    )
    assert read_item(raw, IMPLICIT) == {"AccessionNumber": "A41"}


def _nested(depth: int) -> bytes:
    raw = b""
    for _ in range(depth):
        raw = _element(0x0040, 0x0100, _element(0xFFFE, 0xE000, raw))
    return raw


@pytest.mark.parametrize(
    ("raw", "transfer_syntax", "says"),
    [
        (b"\x08\0\x50\0", IMPLICIT, "byte 0: an element is cut off"),
        (_element(0x0008, 0x0050, b"A41 ")[:-1], IMPLICIT, "byte 8: AccessionNumber says 4 bytes, 3 are left"),
        (struct.pack("<HHI", 0x0008, 0x0050, 0xFFFFFFF0), IMPLICIT, "says 4294967280 bytes"),
        (struct.pack("<HH2sH", 0x0008, 0x0050, b"XX", 0), EXPLICIT, "no value representation"),
        (struct.pack("<HH2sH", 0x0040, 0x0100, b"SQ", 0), EXPLICIT, "an element is cut off"),
        (struct.pack("<HHI", 0x0040, 0x0100, 0xFFFFFFFE), IMPLICIT, "longer than what holds it"),
        (_element(0x0040, 0x0100, b"\x08\0\x50\0\0\0\0\0"), IMPLICIT, "an item of a sequence was expected"),
        (_element(0x0040, 0x0100, b"\xfe\xff\0\xe0"), IMPLICIT, "an item is cut off"),
        (_element(0x0040, 0x0100, struct.pack("<HHI", 0xFFFE, 0xE000, 99)), IMPLICIT, "longer than its sequence"),
        (_nested(100), IMPLICIT, "nested too deeply"),
        (b"not deflated", DEFLATED, "cannot be inflated"),
    ],
)
def test_a_broken_data_set_is_refused(raw: bytes, transfer_syntax: str, says: str) -> None:
    with pytest.raises(BrokerError, match=says):
        read_item(raw, transfer_syntax)


def test_a_small_data_set_that_inflates_without_end_is_refused() -> None:
    deflater = zlib.compressobj(wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(80)) + deflater.flush()
    with pytest.raises(BrokerError, match="too large"):
        read_item(bomb, DEFLATED)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"NoSuchThing": ""}, "no attribute"),
        ({"(zzzz,0000)": ""}, "no attribute"),
        ({"PregnancyStatus": "many"}, "US cannot hold"),
        ({"PregnancyStatus": "70000"}, "US cannot hold"),
        ({"PatientComments": "x" * 70_000}, "LT cannot hold"),
        ({"ReferencedStudySequence": "1.2"}, "SQ cannot hold"),
    ],
)
def test_what_cannot_be_written_is_named(item: dict[str, Any], says: str) -> None:
    with pytest.raises(BrokerError, match=says):
        write_item(item, EXPLICIT)


def test_what_cannot_be_written_may_be_left_out_and_named() -> None:
    faults: list[str] = []
    item = {"NoSuchThing": "x", "PregnancyStatus": "many", "PatientID": "1", "ReferencedStudySequence": [{"Nor": "2"}]}
    read = read_item(write_item(item, EXPLICIT, faults=faults), EXPLICIT)
    assert read == {"PregnancyStatus": "", "PatientID": "1", "ReferencedStudySequence": [{}]}
    assert sorted(faults) == ["NoSuchThing", "Nor", "PregnancyStatus"]


@pytest.mark.parametrize("act", [lambda: read_item(b"", "1.2.840.10008.1.2.4.50"), lambda: write_item({}, "1.2.3")])
def test_a_transfer_syntax_with_pixels_is_none_of_ours(act: Any) -> None:
    with pytest.raises(BrokerError, match="transfer syntax"):
        act()


def test_text_that_does_not_fit_is_transliterated() -> None:
    raw = write_item({"PatientName": "Łoś^Ødegård"}, IMPLICIT, get_charset("ISO_IR 100"))
    assert read_item(raw, IMPLICIT)["PatientName"] == "Los^Ødegård"


def _part10(raw: bytes, transfer_syntax: str) -> bytes:
    meta = write_item({"TransferSyntaxUID": transfer_syntax}, EXPLICIT)
    return b"\0" * 128 + b"DICM" + write_item({"FileMetaInformationGroupLength": str(len(meta))}, EXPLICIT) + meta + raw


def _dataset_of(data_set: Dataset, transfer_syntax: str) -> bytes:
    """Encode by pydicom, without preamble and file meta information."""
    file = DicomBytesIO()
    file.is_implicit_VR = transfer_syntax == IMPLICIT
    file.is_little_endian = transfer_syntax != BIG_ENDIAN
    write_dataset(file, data_set)
    if transfer_syntax != DEFLATED:
        return file.getvalue()
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(file.getvalue()) + deflater.flush()
