"""What is asked and sent in the measurements: orders, worklist queries, performed steps, images; all made here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from bench.servers import AE, Server
from bench.wire import CONTEXT, IMPLICIT, Work, message
from broker.dicom.client import associate
from broker.mllp.client import MllpClient
from broker.ul.codec import encode_fragment
from broker.ul.dimse import VERIFICATION, Command, Kind, encode_command

WORKLIST = "1.2.840.10008.5.1.4.31"
PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
OBJECT_BYTES = 524_288
FIRST = 1_000_000
"""The number of the first order; all have seven digits."""
A_DAY = 50
"""Orders of one day, so that a query for a day finds as many."""

_ORDER = (
    "MSH|^~\\&|RIS|GENERAL|BROKER|RAD|20260401093000||ORM^O01^ORM_O01|{control}|P|2.3.1||||||8859/1\r"
    "PID|1||7{n}^^^GENERAL^MR||DOE{n}^JOHN^^^DR||19790312|F|||CALLE MAYOR 12^^MADRID^^28013^ESP\r"
    "PV1|1|I|W4^412^2^GENERAL|||||5678^WAGNER^EVA^^^DR.|||||||B6||||V{n}\r"
    "ORC|NW|P{n}^RIS|F{n}^RIS||SC||^^^{start}^^S||20260401092955|3344^KRAMER^SABINE||1234^HUBER^JOSEF|W4\r"
    "OBR|1|P{n}^RIS|F{n}^RIS|CTTHX^CT thorax^L|||||||||Suspected embolism|||1234^HUBER^JOSEF^^^DR."
    "||A{n}|RP{n}|SP{n}||||CT|||^^^{start}^^S|||WALK|R07.4^Chest pain^I10\r"
    "OBX|1|NM|3141-9^BODY WEIGHT^LN||64|kg\r"
    "ZDS|1.2.826.0.1.3680043.10.511.{n}^RIS^Application^DICOM\r"
)
_KEYS = "AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex PatientWeight \
 MedicalAlerts Allergies PregnancyStatus StudyInstanceUID RequestingPhysician RequestedProcedureDescription AdmissionID \
 RequestedProcedureID RequestedProcedurePriority PatientTransportArrangements CurrentPatientLocation".split()
_STEP_KEYS = "Modality ScheduledStationAETitle ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime \
 ScheduledPerformingPhysicianName ScheduledProcedureStepDescription ScheduledProcedureStepID ScheduledStationName \
 ScheduledProcedureStepLocation".split()


def day_of(number: int) -> str:
    """Give the date of an order: 50 to a day, in months of 28 days."""
    day = (number - FIRST) // A_DAY
    return f"{2026 + day // 336:04d}{1 + day // 28 % 12:02d}{1 + day % 28:02d}"


async def send_orders(hl7_port: int, numbers: Sequence[int], connections: int = 16) -> None:
    """Send an order for each number to the broker, and see that each is accepted."""
    waiting = iter(numbers)

    async def sender() -> None:
        client = MllpClient("127.0.0.1", hl7_port)
        for n in waiting:
            start = f"{day_of(n)}{8 + n % 10:02d}{n % 60:02d}"
            answer = await client.send(_ORDER.format(n=n, control=f"M{n}", start=start).encode(), f"M{n}")
            if not answer.is_accepted:
                raise RuntimeError(f"order {n} was answered {answer.code} {answer.text}")
        await client.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(sender())


async def copy_worklist(server: Server, folder: Path) -> int:
    """Write what the broker answers as worklist files for its peers, so that all have the same list; give their number."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(IMPLICIT)
    meta.MediaStorageSOPClassUID = UID(WORKLIST)
    count = 0
    asked = _encode(_identifier({}, {}))
    async with associate(
        "127.0.0.1", server.port, calling="BENCH", called=AE, contexts=[(WORKLIST, (IMPLICIT,))]
    ) as association:
        async for _, raw in association.find(WORKLIST, asked, IMPLICIT):
            if not raw:
                continue
            item = dcmread(BytesIO(raw), force=True)
            item.file_meta = meta
            meta.MediaStorageSOPInstanceUID = UID(f"2.25.{count + 1}")
            item.save_as(
                folder / f"{item.AccessionNumber}.wl", implicit_vr=True, little_endian=True, enforce_file_format=True
            )
            count += 1
    return count


def echo() -> Work:
    """C-ECHO."""
    command = Command(kind=Kind.C_ECHO_RQ, message_id=1, affected_class=VERIFICATION)
    whole = message(command)
    return Work(VERIFICATION, lambda turn, max_pdu: (whole,))


def find(make: Callable[[int], Dataset], different: int, answers: int, *, is_open: bool) -> Work:
    """C-FIND of *different* queries by turns, each of which finds *answers*."""
    command = Command(kind=Kind.C_FIND_RQ, message_id=1, affected_class=WORKLIST, priority=0, has_data_set=True)
    queries = [message(command, _encode(make(n))) for n in range(different)]
    return Work(WORKLIST, lambda turn, max_pdu: (queries[turn % different],), is_open=is_open, answers=answers)


def by_accession(number: int) -> Dataset:
    """Ask for one order."""
    return _identifier({"AccessionNumber": f"A{number}"}, {})


def by_day(day: int) -> Dataset:
    """Ask for a day's list."""
    return _identifier({}, {"Modality": "CT", "ScheduledProcedureStepStartDate": day_of(FIRST + day * A_DAY)})


def everything(_: int) -> Dataset:
    """Ask for the whole list."""
    return _identifier({}, {})


def everything_anew(number: int) -> Dataset:
    """Ask for the whole list with keys to return that nobody has asked for before, so that no answer is ready made."""
    asked = _identifier({}, {})
    for place, key in enumerate(_KEYS[5:]):
        if number >> place & 1:
            delattr(asked, key)
    return asked


def mpps() -> Work:
    """N-CREATE and N-SET of a new performed step, each for another order, on a kept association."""
    uid = f"1.2.826.0.1.3680043.10.512.{_SERIAL}"
    create = Command(
        kind=Kind.N_CREATE_RQ, message_id=1, affected_class=PERFORMED_STEP, affected_instance=uid, has_data_set=True
    )
    change = Command(
        kind=Kind.N_SET_RQ, message_id=2, requested_class=PERFORMED_STEP, requested_instance=uid, has_data_set=True
    )
    created, changed = _Template(message(create, _encode(_performed()))), _Template(message(change, _encode(_final())))

    def messages(turn: int, max_pdu: int) -> Sequence[bytes]:
        order = FIRST + turn % 1000
        return created.fill(turn, order), changed.fill(turn, order)

    return Work(PERFORMED_STEP, messages, is_open=True)


def images() -> Work:
    """C-STORE of 512 KB CT images of ordered studies, 100 in each, on a kept association."""
    made: dict[int, _Template] = {}

    def messages(turn: int, max_pdu: int) -> Sequence[bytes]:
        if max_pdu not in made:
            made[max_pdu] = _Template(_store_message(max_pdu))
        return (made[max_pdu].fill(turn, FIRST + turn // 100 % 1000),)

    return Work(CT_IMAGE, messages, is_open=True)


_SERIAL, _NUMBER = "8" * 12, "9999999"


class _Template:
    """An encoded message in which a serial number and an order's number are replaced, so that none is encoded anew."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = bytearray(encoded)
        head = encoded[:8192]
        self._serials = [i for i in range(len(head)) if head.startswith(_SERIAL.encode(), i)]
        self._numbers = [i for i in range(len(head)) if head.startswith(_NUMBER.encode(), i)]

    def fill(self, serial: int, number: int) -> bytes:
        """Give the message with both."""
        encoded = self._encoded
        for place in self._serials:
            encoded[place : place + 12] = b"1%011d" % serial
        for place in self._numbers:
            encoded[place : place + 7] = b"%07d" % number
        return bytes(encoded)


def _store_message(max_pdu: int) -> bytes:
    uid = f"1.2.826.0.1.3680043.10.513.{_SERIAL}"
    command = Command(
        kind=Kind.C_STORE_RQ,
        message_id=1,
        affected_class=CT_IMAGE,
        affected_instance=uid,
        priority=0,
        has_data_set=True,
    )
    encoded = _encode(_image(uid))
    step = max_pdu - 6
    parts = [encode_fragment(CONTEXT, True, True, encode_command(command))]
    for start in range(0, len(encoded), step):
        piece = encoded[start : start + step]
        parts.append(encode_fragment(CONTEXT, False, start + step >= len(encoded), piece))
    return b"".join(parts)


def _image(uid: str) -> Dataset:
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CT_IMAGE, uid
    image.StudyDate, image.Modality, image.AccessionNumber = "20260401", "CT", f"A{_NUMBER}"
    image.PatientName, image.PatientID = f"DOE{_NUMBER}^JOHN^^DR", f"7{_NUMBER}"
    image.PatientBirthDate, image.PatientSex = "19790312", "F"
    image.StudyInstanceUID = f"1.2.826.0.1.3680043.10.511.{_NUMBER}"
    image.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.514.{_NUMBER}"
    image.SeriesNumber, image.InstanceNumber = 1, 1
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = 512
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = bytes(range(256)) * (OBJECT_BYTES // 256)
    return image


def _identifier(values: dict[str, str], step_values: dict[str, str]) -> Dataset:
    asked, step = Dataset(), Dataset()
    for key in _KEYS:
        setattr(asked, key, values.get(key) or None)
    for key in _STEP_KEYS:
        setattr(step, key, step_values.get(key) or None)
    asked.ScheduledProcedureStepSequence = [step]
    return asked


def _performed() -> Dataset:
    made, scheduled = Dataset(), Dataset()
    scheduled.StudyInstanceUID = f"1.2.826.0.1.3680043.10.511.{_NUMBER}"
    scheduled.AccessionNumber = f"A{_NUMBER}"
    scheduled.RequestedProcedureID = f"RP{_NUMBER}"
    scheduled.ScheduledProcedureStepID = f"SP{_NUMBER}"
    scheduled.RequestedProcedureDescription = scheduled.ScheduledProcedureStepDescription = "CT thorax"
    scheduled.ReferencedStudySequence = scheduled.ScheduledProtocolCodeSequence = []
    made.ScheduledStepAttributesSequence = [scheduled]
    made.PatientName, made.PatientID = f"DOE{_NUMBER}^JOHN^^DR", f"7{_NUMBER}"
    made.PatientBirthDate, made.PatientSex = "19790312", "F"
    made.PerformedProcedureStepID = f"PPS{_SERIAL}"
    made.PerformedStationAETitle, made.Modality, made.StudyID = "BENCH", "CT", "1"
    made.PerformedProcedureStepStartDate, made.PerformedProcedureStepStartTime = "20260401", "101500"
    made.PerformedProcedureStepStatus = "IN PROGRESS"
    for empty in (
        "PerformedStationName PerformedLocation PerformedProcedureStepEndDate PerformedProcedureStepEndTime "
        "PerformedProcedureStepDescription PerformedProcedureTypeDescription"
    ).split():
        setattr(made, empty, "")
    made.ReferencedPatientSequence = made.ProcedureCodeSequence = []
    made.PerformedProtocolCodeSequence = made.PerformedSeriesSequence = []
    return made


def _final() -> Dataset:
    made, series = Dataset(), Dataset()
    made.PerformedProcedureStepStatus = "COMPLETED"
    made.PerformedProcedureStepEndDate, made.PerformedProcedureStepEndTime = "20260401", "103000"
    series.SeriesInstanceUID = f"1.2.826.0.1.3680043.10.514.{_NUMBER}"
    series.ProtocolName = "THORAX"
    series.PerformingPhysicianName = series.SeriesDescription = series.RetrieveAETitle = ""
    series.OperatorsName = "TECH^ONE"
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    references = []
    for number in range(20):
        reference = Dataset()
        reference.ReferencedSOPClassUID = CT_IMAGE
        reference.ReferencedSOPInstanceUID = f"1.2.826.0.1.3680043.10.515.{_NUMBER}.{number}"
        references.append(reference)
    series.ReferencedImageSequence = references
    made.PerformedSeriesSequence = [series]
    return made


def _encode(asked: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian = stream.is_implicit_VR = True
    write_dataset(stream, asked)
    return stream.getvalue()
