"""``broker new mapping``: what it proposes passes the check, carries its evidence and holds no patient."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker

ROOT = Path(__file__).parents[3]
MESSAGES = "".join(
    f"MSH|^~\\&|OLDRIS|NORTH|||2026040{n}101500||ORM^O01|M{n}|P|2.3\r"
    f"PID|1||0000{n}77^^^OLDRIS~12345{n}^^^CITY||MUSTER{n}, ANNA||{n + 10}.02.1980|{n % 2 + 1}\r"
    f"PV1|1|I|^R{n % 2}\r"
    f"ORC|{'QQ' if n == 3 else 'NW'}|AVERYLONGORDERNUMBER{n}\r"
    f"OBR|1|AVERYLONGORDERNUMBER{n}||{code}^{text}^L|||||||||||||||||{'CT' if n < 3 else 'MR'}\r"
    f"ZOR|1|ACC-26-{n}77|0{n}.04.2026 10:30\r"
    for n, (code, text) in enumerate((("K1", "CT head"), ("K2", "MR knee"), ("K2", "MR knee"), ("K9", "Review")), 1)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    (tmp_path / "messages.hl7").write_text(MESSAGES)
    return tmp_path / "mappings"


def run(folder: Path, *arguments: str) -> Result:
    config = ["--config", str(ROOT / "config" / "broker.yaml")]
    return CliRunner().invoke(broker, [*arguments, *config])


def propose(folder: Path, *more: str) -> Result:
    messages = str(folder.parent / "messages.hl7")
    return run(folder, "new", "mapping", "--from", messages, "--mappings", str(folder), *more)


def test_what_is_proposed_passes_the_check_and_its_own_test(folder: Path) -> None:
    done = propose(folder, "--write")

    assert done.exit_code == 0, done.output
    checked = run(folder, "check", str(folder))
    assert checked.exit_code == 0, checked.output
    assert "0 error(s), 0 warning(s)" in checked.output
    assert "a message of this sender" in run(folder, "test", str(folder)).output


@pytest.mark.parametrize(
    "line",
    [
        "mapping: sites/north-oldris",
        "extends: ihe/orm-to-mwl",
        'when: MSH-3.1 = "OLDRIS" and MSH-4.1 = "NORTH"',
        'PatientName: {from: PID-5, as: {name: "Last, First"}}',
        "PatientBirthDate: {from: PID-7, as: {date: DD.MM.YYYY}}",
        "'1': 'M', '2': 'F'",
        "AccessionNumber: ZOR-2 or $inherited   # a number of its own in each message; 4 of 4: A{3}-9{2}-9{3} (4)",
        "first_of: [{from: OBR-21, clean: [trim, upper], lookup: modality, on_unknown: skip}, $inherited]",
        "ScheduledProcedureStepStartDate: {first_of: [{from: ZOR-3, as: {date: 'DD.MM.YYYY HH:mm'}}, $inherited]}",
        "# TO DECIDE  PatientID: the first number is taken, of OLDRIS; or one of CITY",
        "# TO DECIDE  order control QQ (1) has no effect",
        "# TO DECIDE  station: fill tables: station_by_room",
        "#  + ZOR-2         4/4",
        "#  - ZOR-1         4/4",
    ],
)
def test_each_proposal_stands_with_its_evidence(folder: Path, line: str) -> None:
    assert line in propose(folder).output


def test_no_patient_is_in_the_file(folder: Path) -> None:
    text = propose(folder).output

    for secret in ("MUSTER", "ANNA", "123451", "AVERYLONGORDERNUMBER1", "ACC-26-177", "11.02.1980"):
        assert secret not in text


def test_procedure_codes_become_a_table_with_guesses_to_go_through(folder: Path) -> None:
    file = folder.parent / "messages.hl7"
    file.write_text(MESSAGES.replace("|CT\r", "|\r").replace("|MR\r", "|\r"))

    text = propose(folder).output

    for line in ("    'K1': CT\n", "    'K2': MR\n", "    'K9': ''   # ?"):
        assert line in text


def test_bytes_that_are_no_utf_8_are_assumed_to_be_latin_1(folder: Path) -> None:
    file = folder.parent / "messages.hl7"
    file.write_bytes(MESSAGES.replace("MUSTER1", "MÜLLER").encode("latin-1"))

    assert "charset: assume 8859/1" in propose(folder).output


def test_nothing_is_overwritten_and_no_other_place_is_written_to(folder: Path) -> None:
    assert propose(folder, "--write", "--name", "sites/x").exit_code == 0

    again, outside = propose(folder, "--write", "--name", "sites/x"), propose(folder, "--write", "--name", "../x")

    assert (again.exit_code, outside.exit_code) == (2, 2)
    assert "already there" in again.output


def test_messages_that_no_mapping_reads_are_told(folder: Path) -> None:
    (folder.parent / "messages.hl7").write_text("MSH|^~\\&|A|B|||20260401||ADT^A08|1|P|2.5.1\rPID|1||7\r")

    done = propose(folder)

    assert done.exit_code == 2
    assert "no mapping reads ADT^A08" in done.output


def test_a_time_in_a_z_field_in_the_form_of_hl7_is_proposed_with_its_type(folder: Path) -> None:
    messages = folder.parent / "messages.hl7"
    messages.write_text(re.sub(r"0(\d)\.04\.2026 10:30", r"2026040\g<1>103000", MESSAGES))

    assert "StepStartDate: {first_of: [{from: ZOR-3, as: datetime}, $inherited]}" in propose(folder).output
    assert propose(folder, "--write").exit_code == 0
    assert run(folder, "check", str(folder)).exit_code == 0


def test_control_characters_of_a_sender_do_not_break_the_file(folder: Path) -> None:
    file = folder.parent / "messages.hl7"
    file.write_text(MESSAGES.replace("|NORTH|", "|N\x00\x1b[2J: {y|").replace("|K1^", "|K\x07'\": {x^"))

    done = propose(folder, "--write", "--name", "sites/x")

    assert done.exit_code == 0, done.output
    assert run(folder, "check", str(folder)).exit_code == 0
    assert not any(ord(character) < 32 and character != "\n" for character in (folder / "sites/x.yaml").read_text())


@pytest.mark.parametrize("sender", ["A: {b", "A #b", "A']", "- A", "A\u2028b", "{A"])
@pytest.mark.parametrize("of", ["NORTH", "OLDRIS", "CITY", "K1", "CT head"])
def test_no_name_of_a_sender_is_taken_for_yaml(folder: Path, sender: str, of: str) -> None:
    (folder.parent / "messages.hl7").write_text(MESSAGES.replace(of, sender))

    assert propose(folder, "--write", "--name", "sites/x").exit_code == 0
    assert run(folder, "check", "--no-tests", str(folder)).exit_code == 0
