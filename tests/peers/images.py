"""What a scanner sends: MPPS data sets and images, made from a worklist entry as findscu gave it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def mpps_create(entry: dict[str, str], uid: str, ae: str, patient_id: str | None = None) -> Any:
    """Make an N-CREATE data set from a worklist entry."""
    now = datetime.now()
    step = Dataset()
    step.StudyInstanceUID = entry.get("0020,000d", "")
    step.ReferencedStudySequence = []
    step.AccessionNumber = entry.get("0008,0050", "")
    step.RequestedProcedureID = entry.get("0040,1001", "")
    step.RequestedProcedureDescription = ""
    step.ScheduledProcedureStepID = entry.get("0040,0009", "")
    step.ScheduledProcedureStepDescription = ""
    step.ScheduledProtocolCodeSequence = []
    made = Dataset()
    made.ScheduledStepAttributesSequence = [step]
    made.PatientName = entry.get("0010,0010", "")
    made.PatientID = patient_id or entry.get("0010,0020", "")
    made.PatientBirthDate = ""
    made.PatientSex = ""
    made.ReferencedPatientSequence = []
    made.PerformedProcedureStepID = "PPS" + uid[-4:]
    made.PerformedStationAETitle = ae
    made.PerformedStationName = ""
    made.PerformedLocation = ""
    made.PerformedProcedureStepStartDate = now.strftime("%Y%m%d")
    made.PerformedProcedureStepStartTime = now.strftime("%H%M%S")
    made.PerformedProcedureStepEndDate = ""
    made.PerformedProcedureStepEndTime = ""
    made.PerformedProcedureStepStatus = "IN PROGRESS"
    made.PerformedProcedureStepDescription = ""
    made.PerformedProcedureTypeDescription = ""
    made.ProcedureCodeSequence = []
    made.Modality = entry.get("0008,0060", "CT") or "CT"
    made.StudyID = ""
    made.PerformedProtocolCodeSequence = []
    made.PerformedSeriesSequence = []
    return made


def mpps_set(images: list[Any], status: str = "COMPLETED") -> Any:
    """Make the final N-SET data set that names *images*."""
    now = datetime.now()
    changed = Dataset()
    changed.PerformedProcedureStepStatus = status
    changed.PerformedProcedureStepEndDate = now.strftime("%Y%m%d")
    changed.PerformedProcedureStepEndTime = now.strftime("%H%M%S")
    changed.PerformedSeriesSequence = []
    for series_uid in dict.fromkeys(str(image.SeriesInstanceUID) for image in images):
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.PerformingPhysicianName = ""
        series.OperatorsName = "TECH^ONE"
        series.ProtocolName = "P"
        series.SeriesDescription = ""
        series.RetrieveAETitle = ""
        series.ReferencedNonImageCompositeSOPInstanceSequence = []
        series.ReferencedImageSequence = []
        for image in images:
            if str(image.SeriesInstanceUID) == series_uid:
                reference = Dataset()
                reference.ReferencedSOPClassUID = image.SOPClassUID
                reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
                series.ReferencedImageSequence.append(reference)
        changed.PerformedSeriesSequence.append(series)
    return changed


def ct_images(entry: dict[str, str], count: int, **changes: str) -> list[Any]:
    """Make *count* small CT images that belong to a worklist entry; *changes* by keyword."""
    series_uid = generate_uid()
    study_uid = changes.pop("StudyInstanceUID", "") or entry.get("0020,000d") or generate_uid()
    images = []
    for number in range(1, count + 1):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = CT_IMAGE
        image.SOPInstanceUID = generate_uid()
        image.StudyInstanceUID = study_uid
        image.SeriesInstanceUID = series_uid
        image.Modality = "CT"
        image.PatientName = entry.get("0010,0010", "")
        image.PatientID = entry.get("0010,0020", "")
        image.PatientBirthDate = ""
        image.PatientSex = ""
        image.AccessionNumber = entry.get("0008,0050", "")
        image.StudyDate = image.SeriesDate = "20260401"
        image.StudyTime = image.SeriesTime = "101500"
        image.StudyID = "1"
        image.ReferringPhysicianName = ""
        image.SeriesNumber = 1
        image.InstanceNumber = number
        image.Rows = image.Columns = 8
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
        image.SamplesPerPixel, image.PixelRepresentation = 1, 0
        image.PhotometricInterpretation = "MONOCHROME2"
        image.PixelData = bytes(range(128))
        request = Dataset()
        request.RequestedProcedureID = entry.get("0040,1001", "")
        request.ScheduledProcedureStepID = entry.get("0040,0009", "")
        image.RequestAttributesSequence = [request]
        for keyword, value in changes.items():
            setattr(image, keyword, value)
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        images.append(image)
    return images
