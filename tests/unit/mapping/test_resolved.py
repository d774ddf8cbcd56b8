"""A mapping written out means what its file and its parents mean; every line says where it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.mapping.catalogue import Catalogue
from broker.mapping.document import as_html, as_markdown, document
from broker.mapping.resolved import lines, resolved
from broker.mapping.suite import run_tests

ROOT = Path(__file__).parents[3]
CHILD = b"""\
mapping: sites/child
extends: sites/north
when: MSH-5 = "B"
action: {map: {ZZ: hold}}
drop: [AdmissionID, ScheduledProcedureStepSequence.ScheduledPerformingPhysicianName]
tables: {room_to_ae: {MR1: MR_CHILD}}
set:
  (0010,0020): ZPI-1 or $inherited
  AccessionNumber: {from: $inherited, default: NONE}
  PatientSex: {first_of: [{from: ZPI-2, lookup: sex}, $inherited]}
  '[ACME](0029,xx01)': ZPI-4
  ScheduledProcedureStepSequence: {item: {ScheduledProcedureStepID: ZPI-3}}
"""


def catalogue_of(files: dict[str, bytes]) -> Catalogue:
    catalogue, problems = Catalogue.load(files)
    assert catalogue is not None
    assert not [problem for problem in problems if problem.is_error]
    return catalogue


def written_out(catalogue: Catalogue, files: dict[str, bytes], name: str) -> str:
    return "\n".join(line.text for line in lines(resolved(catalogue.entries[name], files))) + "\n"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("mappings", "ihe/orm-to-mwl"),
        ("mappings", "ihe/omi-to-mwl"),
        ("mappings", "ihe/siu-to-mwl"),
        ("mappings", "examples/status-in-orm"),
        ("mappings", "examples/omi-date-and-time"),
        ("mappings", "ihe/study-to-oru"),
        ("tests/mappings", "sites/north"),
        ("tests/mappings", "ihe/orm-to-mwl"),
        ("tests/mappings", "ihe/study-to-oru"),
    ],
)
def test_the_tests_of_a_mapping_hold_for_it_written_out(folder: str, name: str) -> None:
    files = dict(read_mapping_files(ROOT / folder))
    entry = catalogue_of(files).entries[name]
    tests = files[entry.file.path].partition(b"\ntests:")[2]
    alone = written_out(catalogue_of(files), files, name).encode() + b"tests:" + tests
    samples = {path: data for path, data in files.items() if not path.endswith(".yaml")}

    results = run_tests(catalogue_of({**samples, entry.file.path: alone}))

    assert len(results) == len(entry.file.tests) > 0
    assert [result.failures for result in results if not result.has_passed] == []


def test_what_is_inherited_dropped_and_joined_is_written_out() -> None:
    files = {**read_mapping_files(ROOT / "tests/mappings"), "sites/child.yaml": CHILD}

    text = written_out(catalogue_of(files), files, "sites/child")

    for expected in (
        'when: \'(MSH-3 = "OLDRIS" and MSH-4 = "NORTH") and (MSH-5 = "B")\'',
        "    ZZ: hold",
        "    XX: update",
        "  room_to_ae: {MR1: MR_CHILD}",
        "  PatientID:\n    first_of:\n      - ZPI-1\n      - {from: 'PID-3[4=CITY].1'",
        "      - {from: PID-8, lookup: sex, on_unknown: empty}",
        "      ScheduledProcedureStepID: ZPI-3",
        "      Modality: {from: OBR-4.1, lookup: modality_of, on_unknown: reject}",
    ):
        assert expected in text
    for gone in ("AdmissionID", "ScheduledPerformingPhysicianName", "$inherited", "extends", "drop", "tests:"):
        assert gone not in text
    others = {path: data for path, data in files.items() if not path.startswith(("ihe/orm", "sites/north"))}
    catalogue_of({**others, "sites/child.yaml": text.encode()})


def test_every_line_names_the_file_and_line_where_it_was_written() -> None:
    files = dict(read_mapping_files(ROOT / "tests/mappings"))
    found = list(lines(resolved(catalogue_of(files).entries["sites/north"], files)))

    for line in found:
        path, number = line.origin.rsplit(":", 1)
        key = line.text.strip(" -{").partition(":")[0].strip("'")
        assert key in files[path].decode().splitlines()[int(number) - 1]
    assert {line.origin.rpartition(":")[0] for line in found} == {"sites/north.yaml", "ihe/orm-to-mwl.yaml"}


def test_an_interface_document_names_sources_fields_tables_and_codes() -> None:
    files = dict(read_mapping_files(ROOT / "tests/mappings"))
    sections = document(catalogue_of(files).entries["sites/north"], files)

    markdown, html = as_markdown(sections), as_html(sections)

    assert "# Mapping sites/north" in markdown
    assert "| XX | update |" in markdown
    assert "(0010,0020) | LO | 1 | PID-3[4=CITY].1 | patient identifier list: id number" in markdown
    assert "## Table room_to_ae" in markdown
    assert html.count("<table>") == len([section for section in sections if section.rows])
    assert "<td>(0010,0020)</td><td>LO</td><td>1</td>" in html


def test_an_interface_document_writes_what_a_file_says_as_text() -> None:
    hostile = b'mapping: sites/x\nextends: ihe/orm-to-mwl\nwhen: MSH-3 = "X"\ntitle: <script>alert(1)</script> | x\n'
    files = {**read_mapping_files(ROOT / "mappings"), "sites/x.yaml": hostile}
    sections = document(catalogue_of(files).entries["sites/x"], files)

    assert "<script>" not in as_html(sections)
    assert "<script>" not in as_markdown(sections)


def test_an_outbound_mapping_is_documented_by_segment() -> None:
    files = dict(read_mapping_files(ROOT / "mappings"))

    markdown = as_markdown(document(catalogue_of(files).entries["ihe/study-to-oru"], files))

    assert "## Segment OBX" in markdown
    assert "| MSH-9.1 |" in markdown


def test_a_mapping_to_json_says_where_each_member_comes_from() -> None:
    files = dict(read_mapping_files(ROOT / "mappings"))

    markdown = as_markdown(document(catalogue_of(files).entries["examples/status-as-json"], files))

    assert "| exam.modality | step.modality or study.modality |" in markdown
