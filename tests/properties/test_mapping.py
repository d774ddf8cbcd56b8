"""Whatever stands in a file or a message: problems and refusals, never an exception, never without end."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config.mapping_files import read_mapping_files
from broker.hl7.message import Message
from broker.mapping.build import Mapping
from broker.mapping.catalogue import Catalogue, check
from broker.mapping.expr import parse_condition, parse_source
from broker.mapping.problems import Place, Report, render
from broker.mapping.trace import render_trace
from broker.mapping.yamlfile import Text

SHIPPED = Path(__file__).parents[2] / "mappings"
ZONE = ZoneInfo("Europe/Madrid")
NOW = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)

WORDS = st.sampled_from(
    'PID-3 PID-3[4=X].1 OBX[2]-5 IPC-9[*] $a.1 order.id "x" or and not is present = != matches in table ( ) none . [ "'.split()
)
PIECES = st.text(st.sampled_from('0123456789ABCxyzé^~&\\|"-+ .\n\ufffd'), max_size=24)
FIELDS = st.lists(PIECES.map(lambda text: text.replace("|", "").replace("\n", "")), max_size=32)
NAMES = st.sampled_from(["PID", "PV1", "ORC", "OBR", "ZDS", "OBX", "NTE", "AL1", "TQ1", "IPC", "ZZZ"])
CONTROLS = st.sampled_from(["NW", "XO", "CA", "SC", "OK", "HD", ""])


@cache
def shipped() -> Mapping:
    catalogue, _ = Catalogue.load(read_mapping_files(SHIPPED))
    assert catalogue is not None
    mapping = catalogue.get("ihe/orm-to-mwl")
    assert mapping is not None
    return mapping


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_is_read_as_a_source_or_refused(text: str) -> None:
    where = Text(value=text, place=Place(path="x.yaml"))
    for parse in (parse_source, parse_condition):
        report = Report()
        assert (parse(where, report) is None) == bool(report.problems)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_a_mapping_or_a_problem(data: bytes) -> None:
    render(check({"x.yaml": data}))


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(["set:", "  PatientName: PID-5", "  - x", "tests:", "let: {a: PID-3}", "when: PID-3 is null"])
    )
)
def test_any_lines_of_a_mapping_are_a_mapping_or_a_problem(lines: list[str]) -> None:
    head = ["mapping: x", "from: hl7/ORM^O01", "to: dicom/mwl"]
    render(check({"x.yaml": "\n".join([*head, *lines]).encode()}))


@settings(max_examples=300, deadline=None)
@given(CONTROLS, st.lists(st.tuples(NAMES, FIELDS), max_size=10))
def test_any_message_is_translated_or_refused(control: str, segments: list[tuple[str, list[str]]]) -> None:
    lines = ["MSH|^~\\&|RIS|NORTH|||20260401||ORM^O01|1|P|2.3.1", f"ORC|{control}|P1"]
    lines += ["|".join([name, *fields]) for name, fields in segments]
    translation = shipped().translate(Message.parse("\r".join(lines)), ZONE, NOW, trace=True)
    assert translation.outputs or translation.rejections
    for output in translation.outputs:
        assert all(value is None or isinstance(value, str | list) for value in output.item.values())
    render_trace(translation)
