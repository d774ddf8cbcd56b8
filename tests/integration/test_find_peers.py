"""Modality Worklist FIND with DCMTK's findscu and pynetdicom as scanners, against the real server."""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pynetdicom import AE

from broker.dicom.dataset import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from broker.dicom.find import WORKLIST_FIND, Asker, FindWorklist
from broker.dicom.server import DicomServer, ServerSettings
from broker.domain.order import StepStatus
from broker.domain.query import Query
from broker.domain.worklist import Caller, WorklistEntry

Peer = Callable[[str], str]


def _entry(
    number: int, name: str, start: str, modality: str = "CT", stations: tuple[str, ...] = ("CT1",)
) -> WorklistEntry:
    step = {
        "ScheduledStationAETitle": list(stations),
        "ScheduledProcedureStepStartDate": start[:8],
        "ScheduledProcedureStepStartTime": start[8:],
        "Modality": modality,
        "ScheduledProcedureStepID": f"SP{number}",
        "ScheduledProtocolCodeSequence": [
            {"CodeValue": "ABD", "CodingSchemeDesignator": "L", "CodeMeaning": "Abdomen"}
        ],
    }
    item = {
        "PatientName": name,
        "PatientID": f"P{number}",
        "AccessionNumber": f"A{number}",
        "StudyInstanceUID": f"1.2.3.{number}",
        "ScheduledProcedureStepSequence": [step],
    }
    return WorklistEntry(
        key=str(number), item=item, status=StepStatus.SCHEDULED, stations=stations, modality=modality, start=start
    )


ENTRIES = [
    _entry(1, "Ibáñez^Núria^^Dra", "20260401101500"),
    _entry(2, "Doe^John", "20260401223000", stations=()),
    _entry(3, "Doe^Jane", "20260402080000", modality="MR", stations=("MR1", "MR2")),
    _entry(4, "Yamada^Tarou=山田^太郎=やまだ^たろう", "20260403080000"),
    *(_entry(number, f"Many^{number}", "20260501080000", "US", ("US1",)) for number in range(100, 1100)),
]


async def _search(query: Query, caller: Caller) -> Sequence[WorklistEntry]:
    return [one for one in ENTRIES if query.matches(one, caller)]


class Served:
    """A server on a loop of its own, in a thread: pynetdicom blocks the test's."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        handler = FindWorklist(_search, lambda ae: Asker(caller=Caller(ae=ae)))
        self.server = DicomServer(
            ServerSettings(port=0), {WORKLIST_FIND: handler}, lambda abstract, offered, ae: offered[0]
        )

    def start(self) -> int:
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(10)
        return self.server.port

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(1), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    served = Served()
    try:
        yield served.start()
    finally:
        served.stop()


def _identifier(**step: str) -> Dataset:
    inner = Dataset()
    for keyword in (
        "ScheduledStationAETitle",
        "Modality",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
    ):
        setattr(inner, keyword, step.get(keyword, ""))
    identifier = Dataset()
    identifier.PatientName = ""
    identifier.AccessionNumber = ""
    identifier.ScheduledProcedureStepSequence = Items([inner])
    return identifier


def _ask(port: int, identifier: Dataset, transfer_syntax: str = IMPLICIT) -> tuple[list[Any], int]:
    """Ask as pynetdicom: the answers, and the last status."""
    scanner = AE(ae_title="CT1")
    scanner.acse_timeout = scanner.dimse_timeout = scanner.network_timeout = 10
    scanner.add_requested_context(WORKLIST_FIND, transfer_syntax)
    association = scanner.associate("127.0.0.1", port)
    assert association.is_established
    answers, status = [], -1
    for response, item in association.send_c_find(identifier, WORKLIST_FIND):
        status = response.Status
        if item is not None:
            answers.append(item)
    association.release()
    return answers, status


def _accessions(answers: list[Any]) -> list[str]:
    return [answer.AccessionNumber for answer in answers]


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN])
def test_pynetdicom_reads_the_answers_in_every_transfer_syntax(port: int, transfer_syntax: str) -> None:
    identifier = _identifier(
        ScheduledProcedureStepStartDate="20260401-20260402", ScheduledProcedureStepStartTime="2000-0900"
    )
    answers, status = _ask(port, identifier, transfer_syntax)
    assert status == 0
    assert _accessions(answers) == ["A2", "A3"]
    assert answers[0].ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "CT1"
    assert list(answers[1].ScheduledProcedureStepSequence[0].ScheduledStationAETitle) == ["MR1", "MR2"]


def test_a_japanese_scanner_gets_its_own_character_set(port: int) -> None:
    identifier = _identifier()
    identifier.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    identifier.PatientName = "=山田*"
    (answer,), _ = _ask(port, identifier)
    assert str(answer.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert list(answer.SpecificCharacterSet) == ["", "ISO 2022 IR 87"]


def test_a_long_list_arrives_whole(port: int) -> None:
    answers, status = _ask(port, _identifier(Modality="US"))
    assert status == 0
    assert len(answers) == 1000


def test_an_identifier_that_cannot_be_read_is_refused_in_words(port: int) -> None:
    with pytest.warns(UserWarning, match="Invalid value"):
        identifier = _identifier(ScheduledProcedureStepStartDate="soon")
    answers, status = _ask(port, identifier)
    assert (answers, status) == ([], 0xA900)


@pytest.mark.parametrize(
    ("keys", "accessions"),
    [
        (["0010,0010=ibanez*", "0008,0050"], ["A1"]),
        (["0010,0010=DOE^*", "0008,0050"], ["A2", "A3"]),
        (["0010,0020=P3", "0008,0050"], ["A3"]),
        (["0008,0050=A?"], ["A1", "A2", "A3", "A4"]),
        (["0020,000d=1.2.3.1\\1.2.3.4", "0008,0050"], ["A1", "A4"]),
        (["0008,0050", "0040,0100[0].0040,0001=MR2"], ["A2", "A3"]),
        (["0008,0050", "0040,0100[0].0040,0001=CT1", "0040,0100[0].0040,0002=20260401"], ["A1", "A2"]),
        (["0008,0050", "0040,0100[0].0040,0002=-20260401"], ["A1", "A2"]),
        (["0008,0050", "0040,0100[0].0040,0003=2200-0600"], ["A2"]),
        (["0008,0050", "0040,0100[0].0040,0009=SP4"], ["A4"]),
        (["0008,0050", "0040,0100[0].0040,0008[0].0008,0100=XYZ"], []),
    ],
)
def test_findscu_finds(port: int, peer: Peer, keys: list[str], accessions: list[str]) -> None:
    assert re.findall(r"\(0008,0050\) SH \[(.*?) *\]", _findscu(port, peer, keys)) == accessions


def test_findscu_is_told_of_a_key_that_is_not_compared(port: int, peer: Peer) -> None:
    assert "WarningUnsupportedOptionalKeys" in _findscu(port, peer, ["0008,0050=A1", "0008,0060=MR"])


def test_findscu_gets_whole_items_for_an_empty_sequence(port: int, peer: Peer) -> None:
    said = _findscu(port, peer, ["0008,0050=A1", "0040,0100"])
    assert "(0040,0020) CS [SCHEDULED ]" in said
    assert "(0008,0104) LO [Abdomen ]" in said


def _findscu(port: int, peer: Peer, keys: list[str]) -> str:
    """Ask as DCMTK's findscu; give what it prints."""
    command = [peer("findscu"), "-W", "-aet", "CT1", "-aec", "BROKER", "127.0.0.1", str(port)]
    arguments = [argument for key in keys for argument in ("-k", key)]
    done = subprocess.run([*command, *arguments], capture_output=True, timeout=30, check=True)
    return (done.stdout + done.stderr).decode("latin-1")
