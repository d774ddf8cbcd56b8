"""What a simulated scanner writes: MPPS and images, made of a worklist entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from broker.dicom.charset import get_charset
from broker.dicom.dataset import write_item
from broker.domain.order import Item
from broker.ul.negotiation import EXPLICIT_LITTLE

IMAGE_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
}
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
SIDE = 128
UTF_8 = get_charset("ISO_IR 192")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One object: its UIDs and its data set in Explicit VR Little Endian."""

    sop_class: str
    uid: str
    study_uid: str
    series_uid: str
    content: bytes


def new_uid() -> str:
    """Make a UID (PS3.5 B.2)."""
    return f"2.25.{uuid4().int}"


def unscheduled_entry(patient_id: str, name: str) -> Item:
    """Make what a scanner works with when there is no worklist entry: what somebody typed in."""
    return {
        "StudyInstanceUID": new_uid(),
        "AccessionNumber": "",
        "PatientName": name,
        "PatientID": patient_id,
        "PatientBirthDate": "",
        "PatientSex": "",
        "RequestedProcedureID": "",
        "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": ""}],
    }


def make_images(entry: Item, modality: str, count: int, at: datetime) -> list[Image]:
    """Make the images of one series that belong to *entry*."""
    series_uid = new_uid()
    return [_image(entry, modality, series_uid, number, at) for number in range(1, count + 1)]


def _image(entry: Item, modality: str, series_uid: str, number: int, at: datetime) -> Image:
    uid, sop_class = new_uid(), IMAGE_CLASSES[modality]
    attributes: dict[str, Any] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid,
        "StudyDate": at.strftime("%Y%m%d"),
        "StudyTime": at.strftime("%H%M%S"),
        "AccessionNumber": entry["AccessionNumber"],
        "Modality": modality,
        "ReferringPhysicianName": "",
        **{keyword: entry[keyword] for keyword in PATIENT},
        "StudyInstanceUID": entry["StudyInstanceUID"],
        "SeriesInstanceUID": series_uid,
        "StudyID": entry["AccessionNumber"],
        "SeriesNumber": "1",
        "InstanceNumber": str(number),
        "RequestAttributesSequence": _requests(entry),
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
    content = write_item(attributes, EXPLICIT_LITTLE, UTF_8)
    return Image(
        sop_class=sop_class, uid=uid, study_uid=entry["StudyInstanceUID"], series_uid=series_uid, content=content
    )


def _requests(entry: Item) -> list[Item]:
    if not entry["RequestedProcedureID"]:
        return []
    step = entry["ScheduledProcedureStepSequence"][0]
    return [
        {
            "RequestedProcedureID": entry["RequestedProcedureID"],
            "ScheduledProcedureStepID": step["ScheduledProcedureStepID"],
        }
    ]


def begin_step(entry: Item, ae: str, modality: str, at: datetime) -> bytes:
    """Write the N-CREATE data set: the step of *entry* has begun."""
    step = entry["ScheduledProcedureStepSequence"][0]
    scheduled = {
        "StudyInstanceUID": entry["StudyInstanceUID"],
        "ReferencedStudySequence": [],
        "AccessionNumber": entry["AccessionNumber"],
        "RequestedProcedureID": entry["RequestedProcedureID"],
        "RequestedProcedureDescription": entry["RequestedProcedureDescription"],
        "ScheduledProcedureStepID": step["ScheduledProcedureStepID"],
        "ScheduledProcedureStepDescription": step["ScheduledProcedureStepDescription"],
        "ScheduledProtocolCodeSequence": [],
    }
    attributes = {
        "ScheduledStepAttributesSequence": [scheduled],
        **{keyword: entry[keyword] for keyword in PATIENT},
        "ReferencedPatientSequence": [],
        "PerformedProcedureStepID": f"PPS{entry['AccessionNumber']}",
        "PerformedStationAETitle": ae,
        "PerformedStationName": ae,
        "PerformedLocation": "",
        "PerformedProcedureStepStartDate": at.strftime("%Y%m%d"),
        "PerformedProcedureStepStartTime": at.strftime("%H%M%S"),
        "PerformedProcedureStepEndDate": "",
        "PerformedProcedureStepEndTime": "",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": "",
        "PerformedProcedureTypeDescription": "",
        "ProcedureCodeSequence": [],
        "Modality": modality,
        "StudyID": entry["AccessionNumber"],
        "PerformedProtocolCodeSequence": [],
        "PerformedSeriesSequence": [],
    }
    return write_item(attributes, EXPLICIT_LITTLE, UTF_8)


def end_step(images: Sequence[Image], modality: str, status: str, at: datetime) -> bytes:
    """Write the final N-SET data set: *images* are what was made, one series."""
    references = [{"ReferencedSOPClassUID": i.sop_class, "ReferencedSOPInstanceUID": i.uid} for i in images]
    series = {
        "PerformingPhysicianName": "",
        "OperatorsName": "Sim^Tech",
        "ProtocolName": modality,
        "SeriesInstanceUID": images[0].series_uid,
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
    return write_item(attributes, EXPLICIT_LITTLE, UTF_8)
