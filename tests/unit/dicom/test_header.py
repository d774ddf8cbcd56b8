import struct
import zlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from broker.dicom.header import HeaderReader
from broker.dicom.tail import ELEMENT_LIMIT
from broker.domain.order import Identity
from broker.domain.study import ObjectFacts

IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
JPEG = "1.2.840.10008.1.2.4.50"
CT = "1.2.840.10008.5.1.4.1.1.2"


def image() -> Dataset:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 192"
    one.SOPClassUID, one.SOPInstanceUID = CT, "1.2.3.9"
    one.AccessionNumber, one.Modality = "A41", "CT"
    issuer, performed, request, code = Dataset(), Dataset(), Dataset(), Dataset()
    issuer.LocalNamespaceEntityID = "GENERAL"
    one.IssuerOfAccessionNumberSequence = Sequence([issuer])
    performed.ReferencedSOPClassUID, performed.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.3", "1.2.77"
    one.ReferencedPerformedProcedureStepSequence = Sequence([performed])
    one.PatientName, one.PatientID, one.IssuerOfPatientID = "Ibáñez^Núria", "77041", "GENERAL"
    one.PatientBirthDate, one.PatientSex = "19790312", "F"
    one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    code.CodeValue, code.ScheduledProcedureStepID = "X", "WRONG"
    request.ScheduledProcedureStepID, request.RequestedProcedureID = "SP41", "RP41"
    request.AccessionNumber = "A41"
    request.ScheduledProtocolCodeSequence = Sequence([code])
    second = Dataset()
    second.ScheduledProcedureStepID = "SP42"
    one.RequestAttributesSequence = Sequence([request, second])
    one.PixelData = bytes(4096)
    one["PixelData"].VR = "OW"
    return one


FACTS = ObjectFacts(
    sop_class=CT,
    sop_uid="1.2.3.9",
    study_uid="1.2.3",
    series_uid="1.2.3.1",
    modality="CT",
    accession="A41",
    accession_issuer="GENERAL",
    patient=Identity(patient_id="77041", issuer="GENERAL", name="Ibáñez^Núria", birth_date="19790312", sex="F"),
    performed_uid="1.2.77",
    references=(("SP41", "RP41", "A41"), ("SP42", "", "")),
)


def encoded(dataset: Dataset, syntax: str, open_ended: bool = False) -> bytes:
    if open_ended:
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = syntax == IMPLICIT, syntax != BIG
    write_dataset(file, dataset)
    raw = file.getvalue()
    if syntax == DEFLATED:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return deflater.compress(raw) + deflater.flush()
    return raw


def read(raw: bytes, syntax: str, size: int = 0) -> ObjectFacts:
    reader = HeaderReader(syntax, "1.9.9", "1.8.8")
    for start in range(0, len(raw), size or max(1, len(raw))):
        facts = reader.feed(raw[start : start + (size or len(raw))])
        if facts is not None:
            return facts
    return reader.finish()


@pytest.mark.parametrize("size", [0, 1, 7, 100])
@pytest.mark.parametrize("open_ended", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_a_header_is_read_in_every_encoding_and_any_pieces(syntax: str, open_ended: bool, size: int) -> None:
    assert read(encoded(image(), syntax, open_ended), syntax, size) == FACTS


def test_the_facts_are_known_before_the_pixels_come() -> None:
    raw = encoded(image(), EXPLICIT)
    assert HeaderReader(EXPLICIT, CT, "1").feed(raw[:-4096]) == FACTS


def test_an_implicit_data_set_under_an_explicit_name_is_read_nevertheless() -> None:
    assert read(encoded(image(), IMPLICIT), JPEG) == FACTS
    assert read(encoded(image(), EXPLICIT), IMPLICIT) == FACTS


def test_private_sequences_of_unknown_vr_are_passed_over() -> None:
    inner = struct.pack("<HHI", 0x0010, 0x0020, 4) + b"EVIL"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    unknown = struct.pack("<HH2sHI", 9, 0x1001, b"UN", 0, 0xFFFFFFFF) + item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    whole = encoded(image(), EXPLICIT)
    at = whole.index(struct.pack("<HH", 0x10, 0x10) + b"PN")
    assert read(whole[:at] + unknown + whole[at:], EXPLICIT, 11) == FACTS


def test_a_long_value_in_the_way_is_skipped_and_not_held() -> None:
    whole = encoded(image(), EXPLICIT)
    at = whole.index(struct.pack("<HH", 0x10, 0x10) + b"PN")
    private = struct.pack("<HH2sHI", 9, 0x1001, b"OB", 0, 5_000_000) + bytes(5_000_000)
    reader = HeaderReader(EXPLICIT, CT, "1")
    raw = whole[:at] + private + whole[at:]
    found = [reader.feed(raw[start : start + 65536]) for start in range(0, len(raw), 65536)]
    assert found[-1] == FACTS


@pytest.mark.parametrize("raw", [b"", b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", bytes(64)])
def test_without_a_header_the_command_says_what_it_is(raw: bytes) -> None:
    facts = read(raw, EXPLICIT)
    assert (facts.sop_class, facts.sop_uid, facts.study_uid) == ("1.9.9", "1.8.8", "1.8.8")


def test_what_was_read_before_the_damage_is_kept() -> None:
    whole = encoded(image(), EXPLICIT)
    at = whole.index(struct.pack("<HH", 0x20, 0x0D) + b"UI")
    facts = read(whole[:at] + b"\x20\x00\x0d\x00??garbage", EXPLICIT)
    assert (facts.patient, facts.accession, facts.study_uid) == (FACTS.patient, "A41", "1.2.3.9")


def test_a_uid_that_is_none_is_not_believed() -> None:
    one = image()
    raw = encoded(one, EXPLICIT).replace(b"1.2.3.9\0", b"../../x\0")
    assert read(raw, EXPLICIT).sop_uid == "1.8.8"


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("<HHI", 8, 0x1111, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 50_000,
        struct.pack("<HHI", 9, 0x0002, 0) * (ELEMENT_LIMIT + 10),
        (struct.pack("<HHI", 9, 0x0002, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 5_000,
        struct.pack("<HHI", 0xFFFE, 0xE00D, 0) * 10,
        struct.pack("<HHI", 0x10, 0x10, 0xFFFFFFFE) + b"x" * 10_000,
    ],
)
def test_hostile_structures_end_soon(raw: bytes) -> None:
    assert read(raw, IMPLICIT, 4096).sop_uid == "1.8.8"


def test_a_deflated_bomb_is_inflated_no_further_than_needed() -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(struct.pack("<HH2sHI", 9, 1, b"OB", 0, 2**31) + bytes(50_000_000)) + deflater.flush()
    assert read(bomb, DEFLATED, 16384).sop_uid == "1.8.8"


def test_what_follows_a_deflated_data_set_is_not_gathered() -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    short = deflater.compress(encoded(image(), EXPLICIT)[:40]) + deflater.flush()
    assert HeaderReader(DEFLATED, "1.9.9", "1.8.8").feed(short) is not None


def is_cut_short(raw: bytes, syntax: str, size: int = 64) -> bool:
    reader = HeaderReader(syntax, "1.9.9", "1.8.8")
    for start in range(0, len(raw), size):
        reader.feed(raw[start : start + size])
    reader.finish()
    return reader.is_cut_short


def top_ends(dataset: Dataset, syntax: str) -> set[int]:
    """Give where each element at the top ends."""
    parts = [encoded(dataset[: element.tag + 1], syntax) for element in dataset]
    return {0, *(len(part) for part in parts)}


def image_with_a_tail() -> Dataset:
    one, inner = image(), Dataset()
    inner.PatientName, inner.CodeValue = "X", "Y"
    inner.ReferencedImageSequence = Sequence([Dataset(), Dataset()])
    one.SharedFunctionalGroupsSequence = Sequence([inner, inner])
    one.PixelData = bytes(range(1, 200)) + b"\1"
    return one


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@given(data=st.data(), size=st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_an_end_in_the_middle_of_an_element_is_seen(syntax: str, data: st.DataObject, size: int) -> None:
    dataset = image_with_a_tail()
    whole = encoded(dataset, syntax)
    ends = top_ends(dataset, syntax)
    cut = data.draw(st.integers(0, len(whole)) | st.sampled_from(sorted(ends)))
    is_padding = any(cut - end < 8 and not whole[end:cut].strip(b"\0") for end in ends if end <= cut)
    assume(cut + 1 not in ends)  # a pad byte that was left out
    assert is_cut_short(whole[:cut], syntax, size) is not is_padding


@pytest.mark.parametrize("size", [1, 50, 5000])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_a_data_set_of_open_ended_sequences_is_whole(syntax: str, size: int) -> None:
    assert not is_cut_short(encoded(image_with_a_tail(), syntax, True), syntax, size)


def test_compressed_frames_are_followed_to_their_end() -> None:
    header = encoded(image()[:0x7FE00000], EXPLICIT)
    frames = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, 300) + bytes(300)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + frames
    assert not is_cut_short(header + pixels[:-1], JPEG)  # a pad byte
    assert is_cut_short(header + pixels[:-2], JPEG)
    assert not is_cut_short(header + pixels + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), JPEG)


@pytest.mark.parametrize("raw", [b"\xff" * 640, (struct.pack("<HHI", 0x51, 2, 0xFFFFFFFF)) * 5_000])
def test_what_cannot_be_followed_is_no_evidence(raw: bytes) -> None:
    assert not is_cut_short(encoded(image(), EXPLICIT) + raw, EXPLICIT)


@given(st.binary(max_size=300), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED]), st.integers(1, 40))
def test_no_bytes_break_the_reader(raw: bytes, syntax: str, size: int) -> None:
    assert read(raw, syntax, size).sop_class


@given(st.integers(0, 900), st.binary(min_size=1, max_size=12), st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
def test_no_damage_breaks_the_reader(at: int, damage: bytes, syntax: str) -> None:
    whole = encoded(image(), syntax)
    assert read(whole[:at] + damage + whole[at + len(damage) :], syntax, 64).sop_class
