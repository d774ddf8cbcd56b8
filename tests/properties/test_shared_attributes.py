"""A child that takes over what its parent has compiled does as if it were compiled alone."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config.mapping_files import read_mapping_files
from broker.hl7.message import Message
from broker.mapping.build import Mapping, build
from broker.mapping.catalogue import Catalogue
from broker.mapping.link import Files, Linker
from broker.mapping.parse_file import parse_file
from broker.mapping.problems import Report

SHIPPED = Path(__file__).parents[2] / "mappings"
ZONE = ZoneInfo("Europe/Madrid")
NOW = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)

SOURCES = st.sampled_from(["OBR-3.1", "PID-4 or PID-3", "ZDS-1", "$placer.1", "PV1-8", "OBR-99", "$nobody", '"X"'])
LETS = st.dictionaries(st.sampled_from(["accession", "placer", "patient", "start", "procedure"]), SOURCES, max_size=2)
TABLES = st.dictionaries(
    st.sampled_from(["sex", "modality", "priority"]), st.sampled_from(["{F: M}", "{}"]), max_size=2
)
RULES = st.dictionaries(
    st.sampled_from(["PatientID", "PatientSex", "AccessionNumber", "PatientName", "RequestingPhysician"]),
    SOURCES | st.sampled_from(["$inherited", "{first_of: [PID-2, $inherited]}", "{from: PID-8, lookup: sex}"]),
    max_size=2,
)
STEPS = st.dictionaries(
    st.sampled_from(["Modality", "ScheduledStationAETitle", "ScheduledProtocolCodeSequence"]),
    st.sampled_from(["$inherited", "OBR-24", "{value: CT}", "IPC-9[*]"]),
    max_size=2,
)
VERSIONS = st.sampled_from(["", "from: hl7/2.3.1/ORM^O01\n", "from: hl7/OMG\n", "declare: {ZDS-1: CX}\n"])
PARENTS = st.sampled_from(["ihe/orm-to-mwl", "ihe/siu-to-mwl", "examples/uid-in-obr3"])


@st.composite
def children(draw: st.DrawFn) -> str:
    text = f"mapping: child\nextends: {draw(PARENTS)}\ntemplate: true\n{draw(VERSIONS)}"
    for name, rules in (("let", LETS), ("tables", TABLES), ("set", RULES)):
        lines = [f"  {key}: {value}" for key, value in draw(rules).items()]
        text += "\n".join([f"{name}:", *lines, ""])
    if steps := [f"      {key}: {value}" for key, value in draw(STEPS).items()]:
        text += "\n".join(["  ScheduledProcedureStepSequence:", "    item:", *steps, ""])
    return text


@cache
def samples() -> list[Message]:
    texts = [path.read_text().replace("\n", "\r") for path in sorted((SHIPPED / "samples").glob("*.hl7"))]
    return [Message.parse(text + "\rZDS|A^B^C") for text in texts]


@cache
def family() -> Files:
    wanted = ("ihe/orm-to-mwl", "ihe/siu-to-mwl", "examples/uid-in-obr3", "tables/", "samples/")
    return {path: content for path, content in read_mapping_files(SHIPPED).items() if path.startswith(wanted)}


def compiled_alone(files: Files, report: Report) -> Mapping | None:
    parsed = [parse_file(path, content, report) for path, content in files.items() if path.endswith(".yaml")]
    known = {file.name: file for file in parsed if file is not None}
    linked = Linker(known, files).link(known["child"], report)
    return build(linked, "", report, None)[0] if linked else None


@settings(max_examples=60, deadline=None)
@given(children())
def test_a_child_does_as_if_it_were_compiled_alone(text: str) -> None:
    files = {"child.yaml": text.encode(), **family()}
    catalogue, problems = Catalogue.load(files)
    report = Report()
    alone = compiled_alone(files, report)
    assert {problem for problem in problems if problem.code != "M062"} == set(report.problems)
    together = catalogue.get("child") if catalogue else None
    assert (together is None) == any(problem.is_error for problem in report.problems)
    if together is None or alone is None:
        return
    for message in samples():
        for trace in (False, True):
            assert together.translate(message, ZONE, NOW, trace) == alone.translate(message, ZONE, NOW, trace)
