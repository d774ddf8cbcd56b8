"""The keys of a worklist query and how each is compared (PS3.4 Table K.6-1, PS3.6).

A key that is not here is no matching key: it is returned, never compared (PS3.4 K.2.2.1.1.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Kind = Literal["text", "code", "uid", "name", "number", "date", "time", "sequence"]
"""How values are compared: *text* and *code* by wildcard (a code has no lower case), *name* without case and accents."""


def _keys(**keywords: str) -> dict[str, Kind]:
    return {keyword: kind for kind, names in keywords.items() for keyword in names.split()}  # type: ignore[misc]


REQUEST_KEYS: Mapping[str, Kind] = _keys(
    text="""AccessionNumber PatientID IssuerOfPatientID OtherPatientIDs RequestedProcedureID RequestedProcedureDescription
        RequestedProcedurePriority PatientTransportArrangements ReasonForTheRequestedProcedure RequestedProcedureComments
        RequestedProcedureLocation ConfidentialityCode ReportingPriority ReasonForTheImagingServiceRequest
        ImagingServiceRequestComments RequestingService PlacerOrderNumberImagingServiceRequest
        FillerOrderNumberImagingServiceRequest OrderEntererLocation OrderCallbackPhoneNumber InstitutionName InstitutionAddress
        AdmissionID IssuerOfAdmissionID ServiceEpisodeID ServiceEpisodeDescription CurrentPatientLocation
        PatientInstitutionResidence VisitComments AdmittingDiagnosesDescription RouteOfAdmissions PatientAge PatientAddress
        CountryOfResidence RegionOfResidence PatientTelephoneNumbers EthnicGroup Occupation MilitaryRank BranchOfService
        PatientReligiousPreference ConfidentialityConstraintOnPatientDataDescription PatientState MedicalAlerts Allergies
        SpecialNeeds AdditionalPatientHistory PatientComments PatientSpeciesDescription PatientBreedDescription
        ResponsibleOrganization""",
    code="PatientSex TypeOfPatientID VisitStatusID SmokingStatus ResponsiblePersonRole PatientSexNeutered QualityControlSubject",
    uid="StudyInstanceUID",
    name="""PatientName OtherPatientNames PatientBirthName PatientMotherBirthName ReferringPhysicianName RequestingPhysician
        ConsultingPhysicianName OrderEnteredBy NamesOfIntendedRecipientsOfResults ResponsiblePerson""",
    number="PatientWeight PatientSize PregnancyStatus",
    date="PatientBirthDate StudyDate LastMenstrualDate AdmittingDate IssueDateOfImagingServiceRequest",
    time="PatientBirthTime StudyTime AdmittingTime IssueTimeOfImagingServiceRequest",
    sequence="""ScheduledProcedureStepSequence RequestedProcedureCodeSequence ReasonForRequestedProcedureCodeSequence
        ReferencedStudySequence ReferencedPatientSequence IssuerOfAccessionNumberSequence OrderPlacerIdentifierSequence
        OrderFillerIdentifierSequence RequestingServiceCodeSequence ReferringPhysicianIdentificationSequence
        RequestingPhysicianIdentificationSequence ConsultingPhysicianIdentificationSequence
        IntendedRecipientsOfResultsIdentificationSequence InstitutionCodeSequence IssuerOfAdmissionIDSequence
        IssuerOfServiceEpisodeIDSequence AdmittingDiagnosesCodeSequence OtherPatientIDsSequence
        IssuerOfPatientIDQualifiersSequence PatientPrimaryLanguageCodeSequence PatientInsurancePlanCodeSequence
        PatientSpeciesCodeSequence PatientBreedCodeSequence BreedRegistrationSequence""",
)
"""Keys beside the Scheduled Procedure Step Sequence: patient, visit, service request, requested procedure."""

STEP_KEYS: Mapping[str, Kind] = _keys(
    text="""ScheduledStationAETitle ScheduledProcedureStepDescription ScheduledStationName ScheduledProcedureStepLocation
        ScheduledProcedureStepID PreMedication RequestedContrastAgent CommentsOnTheScheduledProcedureStep""",
    code="Modality ScheduledProcedureStepStatus AnatomicalOrientationType",
    name="ScheduledPerformingPhysicianName",
    date="ScheduledProcedureStepStartDate ScheduledProcedureStepEndDate",
    time="ScheduledProcedureStepStartTime ScheduledProcedureStepEndTime",
    sequence="""ScheduledProtocolCodeSequence ScheduledPerformingPhysicianIdentificationSequence
        ScheduledSpecimenSequence ReferencedDefinedProtocolSequence ReferencedPerformedProtocolSequence""",
)
"""Keys of an item of the Scheduled Procedure Step Sequence."""

NESTED_KEYS: Mapping[str, Kind] = _keys(
    text="""CodeValue LongCodeValue URNCodeValue CodingSchemeDesignator CodingSchemeVersion CodeMeaning
        LocalNamespaceEntityID UniversalEntityID PatientID IssuerOfPatientID InstitutionName InstitutionAddress
        PersonAddress PersonTelephoneNumbers BreedRegistrationNumber ContainerIdentifier
        SpecimenIdentifier""",
    code="UniversalEntityIDType TypeOfPatientID IdentifierTypeCode",
    uid="ReferencedSOPClassUID ReferencedSOPInstanceUID SpecimenUID",
    sequence="""PersonIdentificationCodeSequence InstitutionCodeSequence IssuerOfPatientIDQualifiersSequence
        AssigningFacilitySequence AssigningJurisdictionCodeSequence AssigningAgencyOrDepartmentCodeSequence
        ProtocolContextSequence BreedRegistryCodeSequence""",
)
"""Keys of the items of any other sequence."""
