"""To whom an attribute of a worklist item belongs: the patient, the requested procedure, or the request as a whole.

PS3.4 Table K.6-1 groups them by module; what is in no list here belongs to the request (order).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PATIENT = frozenset(
    """
    PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence TypeOfPatientID OtherPatientIDs
    OtherPatientIDsSequence OtherPatientNames PatientBirthName PatientMotherBirthName PatientBirthDate
    PatientBirthTime PatientSex PatientAge PatientWeight PatientSize PatientAddress PatientTelephoneNumbers
    PatientTelecomInformation PatientPrimaryLanguageCodeSequence PatientReligiousPreference EthnicGroup Occupation
    MilitaryRank BranchOfService CountryOfResidence RegionOfResidence PatientSpeciesDescription
    PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence ResponsiblePerson
    ResponsibleOrganization PatientSexNeutered PatientComments MedicalAlerts Allergies SmokingStatus
    AdditionalPatientHistory PregnancyStatus LastMenstrualDate SpecialNeeds PatientState
    ConfidentialityConstraintOnPatientDataDescription QualityControlSubject ReferencedPatientSequence
    """.split()
)

PROCEDURE = frozenset(
    """
    StudyInstanceUID ReferencedStudySequence RequestedProcedureID RequestedProcedureDescription
    RequestedProcedureCodeSequence RequestedProcedurePriority RequestedProcedureLocation RequestedProcedureComments
    ReasonForTheRequestedProcedure ReasonForRequestedProcedureCodeSequence PatientTransportArrangements
    ConfidentialityCode ReportingPriority NamesOfIntendedRecipientsOfResults
    IntendedRecipientsOfResultsIdentificationSequence StudyDate StudyTime StudyDescription
    """.split()
)

STEP_SEQUENCE = "ScheduledProcedureStepSequence"


Attributes = dict[str, Any]


def split(item: Mapping[str, Any]) -> tuple[Attributes, Attributes, Attributes, list[Attributes]]:
    """Split a worklist item into what belongs to the patient, the request, the requested procedure and each of its steps."""
    patient: Attributes = {}
    procedure: Attributes = {}
    request: Attributes = {}
    for keyword, value in item.items():
        if keyword in PATIENT:
            patient[keyword] = value
        elif keyword in PROCEDURE:
            procedure[keyword] = value
        else:
            request[keyword] = value
    steps = request.pop(STEP_SEQUENCE, None) or []
    return patient, request, procedure, [dict(step) for step in steps]
