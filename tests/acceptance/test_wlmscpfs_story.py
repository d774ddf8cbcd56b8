"""The same worklist in the broker and in DCMTK's wlmscpfs: findscu asks both the same, and both say the same.

The queries follow the set that DCMTK brings for its own server: all, by modality, by station, by station name, by
date and time ranges, by wildcards, with an empty sequence, with all return keys, and such that nothing fits.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from peers.his import Mllp, msa
from peers.hospital import Hospital
from peers.programs import find_program
from peers.servers import Wlmscpfs

WORKLIST = "1.2.840.10008.5.1.4.31"
COLUMNS = "accession patient_id name birth sex modality stations start procedure step description station_name location performer"
ENTRIES = [
    dict(zip(COLUMNS.split(), line.split("|"), strict=True))
    for line in """
W01|5001|GOYA^LUCIA|19460330|F|CT|SCAN1|20260401081500|RPW01|SPW01|CT head|STONE|CELLAR|MORA^INES
W02|5002|GOYA^FRANCISCO|19400101|M|CT|SCAN1|20260401093000|RPW02|SPW02|CT chest|STONE|CELLAR|MORA^INES
W03|5003|SOROLLA^JOAQUIN|19630227|M|MR|MAG1\\MAG2|20260401120000|RPW03|SPW03|MR knee|MAGNET|TOWER|RUIZ^PAU
W04|5004|SOROLLA^CLOTILDE|19650719|F|MR|MAG2|20260402120000|RPW04|SPW04|MR spine|MAGNET|TOWER|RUIZ^PAU
W05|5005|VARO^REMEDIOS|19081216|F|US|SONO|20260402151500|RPW05|SPW05|US liver|SOUND|GROUND|MORA^INES
W06|5006|ZURBARAN^JUAN|19980111|M|DX|PLATE|20260403000000|RPW06|SPW06|DX hand|PLATE|GROUND|SANZ^EVA
W07|5007|ANGUISSOLA^SOFONISBA|19320202|F|US|SONO|20260403235959|RPW07|SPW07|US neck|SOUND|GROUND|SANZ^EVA
W08|5008|DE LA CRUZ^ANA MARIA|19701231|F|MR|MAG1|20260331180000|RPW08|SPW08|MR head|MAGNET|TOWER|RUIZ^PAU
""".strip()
    .replace("\\\\", "\\")
    .splitlines()
]

PATIENT_KEYS = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
ORDER_KEYS = ("AccessionNumber", "StudyInstanceUID", "RequestedProcedureID", "RequestedProcedureDescription")
STEP_KEYS = (
    "Modality",
    "ScheduledStationAETitle",
    "ScheduledProcedureStepStartDate",
    "ScheduledProcedureStepStartTime",
    "ScheduledPerformingPhysicianName",
    "ScheduledProcedureStepDescription",
    "ScheduledStationName",
    "ScheduledProcedureStepLocation",
    "ScheduledProcedureStepID",
)


def code(value: str = "", scheme: str = "", meaning: str = "") -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


QUERIES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "every key, nothing asked": (dict.fromkeys((*PATIENT_KEYS, *ORDER_KEYS), ""), dict.fromkeys(STEP_KEYS, "")),
    "an empty item": (dict.fromkeys((*PATIENT_KEYS, *ORDER_KEYS), ""), {}),
    "names alone": ({"PatientName": ""}, None),
    "a procedure code": ({"PatientName": "", "RequestedProcedureCodeSequence": [code()]}, None),
    "a protocol code": ({"PatientName": ""}, {"Modality": "", "ScheduledProtocolCodeSequence": [code()]}),
    "a modality": ({"PatientName": ""}, {"Modality": "CT"}),
    "a modality that nobody has": ({"PatientName": ""}, {"Modality": "NM"}),
    "a station": ({"PatientName": ""}, {"Modality": "", "ScheduledStationAETitle": "MAG2"}),
    "a station and every step key": (
        dict.fromkeys((*PATIENT_KEYS, *ORDER_KEYS), ""),
        {**dict.fromkeys(STEP_KEYS, ""), "ScheduledStationAETitle": "MAG1"},
    ),
    "a station that nobody has": ({"PatientName": ""}, {"ScheduledStationAETitle": "NOBODY"}),
    "a modality at a station": ({"PatientName": ""}, {"Modality": "US", "ScheduledStationAETitle": "SONO"}),
    "a day": ({"PatientName": ""}, {"ScheduledProcedureStepStartDate": "20260402"}),
    "days until": ({"PatientName": ""}, {"ScheduledProcedureStepStartDate": "-20260401"}),
    "days from": ({"PatientName": ""}, {"ScheduledProcedureStepStartDate": "20260402-"}),
    "days between": ({"PatientName": ""}, {"ScheduledProcedureStepStartDate": "20260401-20260402"}),
    "times from": ({"PatientName": ""}, {"Modality": "", "ScheduledProcedureStepStartTime": "120000-"}),
    "times until": ({"PatientName": ""}, {"ScheduledProcedureStepStartTime": "-115959"}),
    "a day and times": (
        {"PatientName": ""},
        {"ScheduledProcedureStepStartDate": "20260401", "ScheduledProcedureStepStartTime": "080000-100000"},
    ),
    "a performer": ({"PatientName": ""}, {"ScheduledPerformingPhysicianName": "RUIZ*"}),
    "a family name": ({"PatientName": "GOYA*"}, {"Modality": ""}),
    "a whole name": ({"PatientName": "VARO^REMEDIOS"}, {}),
    "a name with a question mark": ({"PatientName": "GOYA^LUC?A"}, {}),
    "a given name": ({"PatientName": "*^AN*"}, {}),
    "any name": ({"PatientName": "*"}, {}),
    "a name that nobody has": ({"PatientName": "NOBODY*"}, {}),
    "a patient": ({"PatientName": "", "PatientID": "5003"}, {"ScheduledProcedureStepID": ""}),
    "an accession number": ({"PatientName": "", "AccessionNumber": "W05"}, {}),
    "a requested procedure": ({"PatientName": "", "RequestedProcedureID": "RPW06"}, {}),
    "patient and modality that contradict": ({"PatientID": "5001"}, {"Modality": "MR"}),
}


def order_of(entry: dict[str, str], study_uid: str) -> str:
    """Write the order of an entry."""
    stations, performer = entry["stations"].replace("\\", "~"), entry["performer"].replace("^", "&")
    return "\r".join(
        (
            f"MSH|^~\\&|HIS|HOSPITAL|BROKER|RAD|20260331100000||ORM^O01|{entry['accession']}|P|2.5.1",
            f"PID|1||{entry['patient_id']}^^^GENERAL||{entry['name']}||{entry['birth']}|{entry['sex']}",
            f"ORC|NW|P{entry['accession']}^HIS|F{entry['accession']}^RIS||SC||^^^{entry['start']}^^R",
            f"OBR|1|P{entry['accession']}^HIS|F{entry['accession']}^RIS|X^{entry['description']}^L{'|' * 14}"
            f"{entry['accession']}|{entry['procedure']}|{entry['step']}||||{entry['modality']}{'|' * 10}&{performer}",
            f"ZDS|{study_uid}^HIS^Application^DICOM",
            f"IPC|{entry['accession']}|||||X^{entry['description']}^L|{entry['station_name']}|{entry['location']}|{stations}",
            "",
        )
    )


def file_of(entry: dict[str, str], study_uid: str) -> Dataset:
    """Write the worklist file of an entry."""
    step, made = Dataset(), Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = WORKLIST
    made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.AccessionNumber, made.StudyInstanceUID = entry["accession"], study_uid
    made.PatientName, made.PatientID = entry["name"], entry["patient_id"]
    made.PatientBirthDate, made.PatientSex = entry["birth"], entry["sex"]
    made.RequestedProcedureID, made.RequestedProcedureDescription = entry["procedure"], entry["description"]
    step.Modality, step.ScheduledStationAETitle = entry["modality"], entry["stations"].split("\\")
    step.ScheduledProcedureStepStartDate = entry["start"][:8]
    step.ScheduledProcedureStepStartTime = entry["start"][8:]
    step.ScheduledPerformingPhysicianName = entry["performer"]
    step.ScheduledProcedureStepDescription = entry["description"]
    step.ScheduledStationName, step.ScheduledProcedureStepLocation = entry["station_name"], entry["location"]
    step.ScheduledProcedureStepID = entry["step"]
    step.ScheduledProcedureStepStatus = "SCHEDULED"
    step.ScheduledProtocolCodeSequence = [code("X", "L", entry["description"])]
    made.RequestedProcedureCodeSequence = [code("X", "L", entry["description"])]
    made.ScheduledProcedureStepSequence = [step]
    return made


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of both servers, each with all entries."""
    folder = tmp_path_factory.mktemp("both")
    uids = [f"1.2.826.0.1.3680043.8.498.77.{number}" for number in range(len(ENTRIES))]
    files = [file_of(*one) for one in zip(ENTRIES, uids, strict=True)]
    wlmscpfs = Wlmscpfs(folder / "wlmscpfs", files)
    hospital = Hospital.planned(folder, "sqlite:///var/broker.db")
    hospital.stoppers.append(wlmscpfs.stop)
    try:
        hospital.start()
        his = Mllp(hospital.hl7_port)
        answers = [his.send(order_of(*one)) for one in zip(ENTRIES, uids, strict=True)]
        assert [msa(answer)[1] for answer in answers] == ["AA"] * len(ENTRIES)
        yield hospital.dicom_port, wlmscpfs.port
    finally:
        hospital.stop()


@pytest.mark.parametrize("query", QUERIES)
def test_both_answer_alike(ports: tuple[int, int], query: str, tmp_path: Path) -> None:
    identifier = identifier_of(*QUERIES[query])

    ours, theirs = (asked(port, identifier, tmp_path / str(port)) for port in ports)

    if QUERIES[query][1] == {}:
        ours, theirs = filled(ours), filled(theirs)
    assert ours == theirs


def identifier_of(keys: dict[str, Any], step_keys: dict[str, Any] | None) -> Dataset:
    made = Dataset()
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    if step_keys is not None:
        step = Dataset()
        for keyword, value in step_keys.items():
            setattr(step, keyword, value)
        made.ScheduledProcedureStepSequence = [step]
    return made


def asked(port: int, identifier: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Ask with findscu; give the answers in a fixed order, each as JSON holds it."""
    folder.mkdir()
    identifier.save_as(folder / "query", implicit_vr=False, little_endian=True)
    command = [find_program("findscu"), "-W", "-aet", "FINDSCU", "-aec", "BROKER", "-X", "-od", str(folder)]
    done = subprocess.run(
        [*command, "127.0.0.1", str(port), str(folder / "query")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [dcmread(path, force=True) for path in folder.glob("rsp*.dcm")]
    return sorted((answer.to_json_dict() for answer in answers), key=str)


def filled(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what has no value: of what an item without keys asks for, each server names other attributes."""
    return [
        {
            tag: {**one, "Value": filled(one["Value"]) if one["vr"] == "SQ" else one["Value"]}
            for tag, one in item.items()
            if one.get("Value")
        }
        for item in items
    ]
