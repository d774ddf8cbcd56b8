"""A simulated CT: asks for its worklist, reports MPPS, makes images and sends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from broker.dicom.charset import get_charset
from broker.dicom.client import associate
from broker.dicom.dataset import read_item, write_item
from broker.dicom.find import WORKLIST_FIND
from broker.dicom.mpps import PERFORMED_STEP
from broker.domain.order import Item
from broker.errors import BrokerError
from broker.ul.negotiation import EXPLICIT_LITTLE

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SIDE = 128
UTF_8 = get_charset("ISO_IR 192")

QUERY: Item = {
    "SpecificCharacterSet": "ISO_IR 192",
    "AccessionNumber": "",
    "PatientName": "",
    "PatientID": "",
    "IssuerOfPatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyInstanceUID": "",
    "RequestedProcedureID": "",
    "RequestedProcedureDescription": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One object: its UID and its data set in Explicit VR Little Endian."""

    uid: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A CT with AE title *ae*; the broker is *called* on loopback *port*."""

    ae: str
    port: int
    called: str

    def _associate(self, sop_class: str) -> Any:
        return associate(
            "127.0.0.1", self.port, calling=self.ae, called=self.called, contexts=[(sop_class, [EXPLICIT_LITTLE])]
        )

    async def worklist(self, accession: str) -> list[dict[str, Any]]:
        """Ask for the entries of one order."""
        step = {"Modality": "CT", "ScheduledProcedureStepID": "", "ScheduledProcedureStepDescription": ""}
        identifier = {**QUERY, "AccessionNumber": accession, "ScheduledProcedureStepSequence": [step]}
        raw = write_item(identifier, EXPLICIT_LITTLE, UTF_8)
        async with self._associate(WORKLIST_FIND) as association:
            return [
                read_item(found, EXPLICIT_LITTLE)
                async for _status, found in association.find(WORKLIST_FIND, raw, EXPLICIT_LITTLE)
                if found
            ]

    async def start(self, entry: Item, at: datetime) -> str:
        """Report that the step of *entry* has begun (N-CREATE); give the MPPS UID."""
        uid = f"2.25.{uuid4().int}"
        step = entry["ScheduledProcedureStepSequence"][0]
        attributes = {
            "ScheduledStepAttributesSequence": [
                {
                    "StudyInstanceUID": entry["StudyInstanceUID"],
                    "ReferencedStudySequence": [],
                    "AccessionNumber": entry["AccessionNumber"],
                    "RequestedProcedureID": entry["RequestedProcedureID"],
                    "RequestedProcedureDescription": entry["RequestedProcedureDescription"],
                    "ScheduledProcedureStepID": step["ScheduledProcedureStepID"],
                    "ScheduledProcedureStepDescription": step["ScheduledProcedureStepDescription"],
                    "ScheduledProtocolCodeSequence": [],
                }
            ],
            **{k: entry[k] for k in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")},
            "ReferencedPatientSequence": [],
            "PerformedProcedureStepID": f"PPS{entry['AccessionNumber']}",
            "PerformedStationAETitle": self.ae,
            "PerformedStationName": self.ae,
            "PerformedLocation": "",
            "PerformedProcedureStepStartDate": at.strftime("%Y%m%d"),
            "PerformedProcedureStepStartTime": at.strftime("%H%M%S"),
            "PerformedProcedureStepEndDate": "",
            "PerformedProcedureStepEndTime": "",
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "PerformedProcedureStepDescription": "",
            "PerformedProcedureTypeDescription": "",
            "ProcedureCodeSequence": [],
            "Modality": "CT",
            "StudyID": entry["AccessionNumber"],
            "PerformedProtocolCodeSequence": [],
            "PerformedSeriesSequence": [],
        }
        raw = write_item(attributes, EXPLICIT_LITTLE, UTF_8)
        async with self._associate(PERFORMED_STEP) as association:
            _expect(await association.n_create(PERFORMED_STEP, uid, raw, EXPLICIT_LITTLE), "N-CREATE")
        return uid

    async def end(self, uid: str, series_uid: str, images: Sequence[Image], at: datetime, status: str) -> None:
        """Report the end (N-SET) with what was made."""
        references = [{"ReferencedSOPClassUID": CT_IMAGE, "ReferencedSOPInstanceUID": i.uid} for i in images]
        series = {
            "PerformingPhysicianName": "",
            "OperatorsName": "Sim^Tech",
            "ProtocolName": "CT",
            "SeriesInstanceUID": series_uid,
            "SeriesDescription": "",
            "RetrieveAETitle": "",
            "ReferencedImageSequence": references,
            "ReferencedNonImageCompositeSOPInstanceSequence": [],
        }
        attributes = {
            "PerformedProcedureStepStatus": status,
            "PerformedProcedureStepEndDate": at.strftime("%Y%m%d"),
            "PerformedProcedureStepEndTime": at.strftime("%H%M%S"),
            "PerformedSeriesSequence": [series],
        }
        raw = write_item(attributes, EXPLICIT_LITTLE, UTF_8)
        async with self._associate(PERFORMED_STEP) as association:
            _expect(await association.n_set(PERFORMED_STEP, uid, raw, EXPLICIT_LITTLE), "N-SET")

    def expose(self, entry: Item, series_uid: str, count: int, at: datetime) -> list[Image]:
        """Make *count* images that belong to *entry*."""
        return [self._image(entry, series_uid, number, at) for number in range(1, count + 1)]

    def _image(self, entry: Item, series_uid: str, number: int, at: datetime) -> Image:
        uid = f"2.25.{uuid4().int}"
        step = entry["ScheduledProcedureStepSequence"][0]
        request = {
            "RequestedProcedureID": entry["RequestedProcedureID"],
            "ScheduledProcedureStepID": step["ScheduledProcedureStepID"],
        }
        attributes: dict[str, Any] = {
            "SOPClassUID": CT_IMAGE,
            "SOPInstanceUID": uid,
            "StudyDate": at.strftime("%Y%m%d"),
            "StudyTime": at.strftime("%H%M%S"),
            "AccessionNumber": entry["AccessionNumber"],
            "Modality": "CT",
            "ReferringPhysicianName": "",
            **{k: entry[k] for k in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")},
            "StudyInstanceUID": entry["StudyInstanceUID"],
            "SeriesInstanceUID": series_uid,
            "StudyID": entry["AccessionNumber"],
            "SeriesNumber": "1",
            "InstanceNumber": str(number),
            "RequestAttributesSequence": [request],
            "SamplesPerPixel": "1",
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": str(SIDE),
            "Columns": str(SIDE),
            "BitsAllocated": "8",
            "BitsStored": "8",
            "HighBit": "7",
            "PixelRepresentation": "0",
            "PixelData": bytes((x * y * number) % 251 for x in range(SIDE) for y in range(SIDE)),
        }
        return Image(uid=uid, content=write_item(attributes, EXPLICIT_LITTLE, UTF_8))

    async def store(self, images: Sequence[Image]) -> None:
        """Send the images over one association."""
        async with self._associate(CT_IMAGE) as association:
            for image in images:
                answer = await association.store(CT_IMAGE, image.uid, EXPLICIT_LITTLE, image.content)
                _expect(answer, "C-STORE")


def _expect(answer: Any, what: str) -> None:
    if not answer.is_success:
        raise BrokerError(f"{what} was answered {answer.status:04X}H {answer.comment}".rstrip(), code="X001")
