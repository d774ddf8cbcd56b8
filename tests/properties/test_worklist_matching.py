"""Matching against a slow and obvious model, and what a store may select by against matching."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.order import StepStatus
from broker.domain.patterns import wildcard
from broker.domain.query import Criteria, read_query
from broker.domain.text import fold, name_key
from broker.domain.worklist import Caller, WorklistEntry

NO_RULES = Caller(ae="CT1")
FEW = st.sampled_from
STATIONS = FEW(["CT1", "CT2", "MR1"])
NAMES = st.lists(st.text("aÁb ", max_size=3), min_size=1, max_size=3).map("^".join)
DAYS = FEW(["20260330", "20260331", "20260401", "20260402"])
CLOCKS = FEW(["000000", "060000", "120000", "180000", "235959"])


def _glob(pattern: str, text: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _bare(name: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c)).lower()
    return "^".join(part.strip() for part in plain.split("^")).rstrip("^")


def _is_named(asked: str, name: str) -> bool:
    if not asked.strip("^ *"):
        return True
    asked, name = _bare(asked), _bare(name)
    if "*" not in asked and "?" not in asked:
        return name == asked
    parts = [*name.split("^"), "", "", ""]
    pairs = [(a, b) for a, b in zip(asked.split("^"), parts, strict=False) if a]
    return name != "" and (_glob(asked, name) or all(_glob(a, b) for a, b in pairs))


def _is_text(asked: str, value: str) -> bool:
    return not asked.strip("*") or (value != "" and _glob(asked, value))


def _moment(date: str, clock: str) -> datetime:
    return datetime.strptime(date + clock, "%Y%m%d%H%M%S")


def _is_then(dates: tuple[str, str], clocks: tuple[str, str], start: datetime) -> bool:
    """Ranges of dates and times, either end open: one interval; times alone: a part of every day, over midnight too."""
    if not any(dates):
        clock = start.strftime("%H%M%S")
        low, high = clocks[0] or "000000", clocks[1] or "235959"
        return low <= clock <= high if low <= high else clock >= low or clock <= high
    first = _moment(dates[0], clocks[0] or "000000") if dates[0] else datetime.min
    last = _moment(dates[1], clocks[1] or "235959") if dates[1] else datetime.max
    if first > last:
        last += timedelta(days=1)
    return first <= start <= last


@st.composite
def entries(draw: st.DrawFn) -> WorklistEntry:
    start = draw(DAYS) + draw(CLOCKS)
    stations = tuple(draw(st.lists(STATIONS, max_size=2, unique=True)))
    modality = draw(FEW(["CT", "MR"]))
    step = {
        "ScheduledStationAETitle": list(stations),
        "ScheduledProcedureStepStartDate": start[:8],
        "ScheduledProcedureStepStartTime": start[8:],
        "Modality": modality,
        "ScheduledProcedureStepID": draw(FEW(["S1", "S2"])),
    }
    item = {
        "PatientName": draw(NAMES),
        "PatientID": draw(FEW(["1", "2"])),
        "OtherPatientIDs": draw(FEW(["", "3", ["3", "4"]])),
        "AccessionNumber": draw(FEW(["", "A1", "A2"])),
        "StudyInstanceUID": draw(FEW(["1.1", "1.2"])),
        "RequestedProcedureID": draw(FEW(["R1", "R2"])),
        "ScheduledProcedureStepSequence": [step],
    }
    return WorklistEntry(
        key="1", item=item, status=StepStatus.SCHEDULED, stations=stations, modality=modality, start=start
    )


def _wild(*values: str) -> st.SearchStrategy[str]:
    return FEW(["", "*", "?1", *values, *(value[0] + "*" for value in values)])


RANGES = st.tuples(st.one_of(st.just(""), DAYS), st.one_of(st.just(""), DAYS)).filter(
    lambda days: not all(days) or days[0] <= days[1]
)
CLOCK_RANGES = st.tuples(st.one_of(st.just(""), CLOCKS), st.one_of(st.just(""), CLOCKS))


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an identifier that asks by few keys, so that a good part of the entries matches."""
    dates, clocks = draw(RANGES), draw(CLOCK_RANGES)
    step = {
        "ScheduledStationAETitle": draw(_wild("CT1", "CT2")),
        "ScheduledProcedureStepStartDate": "-".join(dates) if any(dates) else "",
        "ScheduledProcedureStepStartTime": "-".join(clocks) if any(clocks) else "",
        "Modality": draw(_wild("CT", "MR")),
        "ScheduledProcedureStepID": draw(_wild("S1")),
    }
    request = {
        "PatientName": draw(st.text("aÁb^*? ", max_size=5)),
        "PatientID": draw(_wild("1", "3")),
        "AccessionNumber": draw(_wild("A1")),
        "StudyInstanceUID": draw(FEW(["", "1.1", ["1.1", "1.2"]])),
        "RequestedProcedureID": draw(_wild("R1")),
    }
    asked = draw(st.sets(FEW(["Start", *step, *request]), max_size=3))
    if "Start" in asked:
        asked |= {"ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"}
    return {
        **{key: value if key in asked else "" for key, value in request.items()},
        "ScheduledProcedureStepSequence": [{key: value if key in asked else "" for key, value in step.items()}],
    }


def _model(asked: dict[str, Any], entry: WorklistEntry) -> bool:
    item, (step,) = entry.item, asked["ScheduledProcedureStepSequence"]
    others = item["OtherPatientIDs"]
    ids = [item["PatientID"], *([others] if isinstance(others, str) else others)]
    dates = step["ScheduledProcedureStepStartDate"].partition("-")[::2]
    clocks = step["ScheduledProcedureStepStartTime"].partition("-")[::2]
    return all(
        (
            _is_named(asked["PatientName"], item["PatientName"]),
            any(_is_text(asked["PatientID"], one) for one in ids),
            _is_text(asked["AccessionNumber"], item["AccessionNumber"]),
            _is_text(asked["RequestedProcedureID"], item["RequestedProcedureID"]),
            not asked["StudyInstanceUID"] or item["StudyInstanceUID"] in asked["StudyInstanceUID"],
            not entry.stations or any(_is_text(step["ScheduledStationAETitle"], one) for one in entry.stations),
            _is_text(step["Modality"], entry.modality),
            _is_text(step["ScheduledProcedureStepID"], entry.step["ScheduledProcedureStepID"]),
            not any(dates + clocks) or _is_then(dates, clocks, datetime.strptime(entry.start, "%Y%m%d%H%M%S")),
        )
    )


def _selects(criteria: Criteria, entry: WorklistEntry) -> bool:
    item = entry.item
    others = item["OtherPatientIDs"]
    ids = {item["PatientID"], *([others] if isinstance(others, str) else others)}
    exact = (
        (criteria.patient_ids, ids),
        (criteria.accessions, {item["AccessionNumber"]}),
        (criteria.step_ids, {entry.step["ScheduledProcedureStepID"]}),
        (criteria.procedure_ids, {item["RequestedProcedureID"]}),
        (criteria.study_uids, {item["StudyInstanceUID"]}),
        (criteria.modalities, {entry.modality}),
        (criteria.stations, set(entry.stations) or set(criteria.stations)),
    )
    return (
        all(not asked or set(asked) & have for asked, have in exact)
        and (not criteria.start_from or entry.start >= criteria.start_from)
        and (not criteria.start_to or entry.start <= criteria.start_to)
        and name_key(item["PatientName"]).startswith(criteria.name_prefix)
    )


@settings(max_examples=250, deadline=None)
@given(queries(), entries())
def test_matching_is_what_the_model_says(asked: dict[str, Any], entry: WorklistEntry) -> None:
    assert read_query(asked).matches(entry, NO_RULES) is _model(asked, entry)


@settings(max_examples=250, deadline=None)
@given(queries(), entries())
def test_a_store_never_leaves_out_what_matches(asked: dict[str, Any], entry: WorklistEntry) -> None:
    query = read_query(asked)
    assert _selects(query.criteria(), entry) or not query.matches(entry, NO_RULES)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12), st.text("*?ab", max_size=6), st.text(max_size=12))
def test_a_store_never_leaves_out_a_name(name: str, wild: str, asked: str) -> None:
    query = read_query({"PatientName": asked + wild})
    entry = WorklistEntry(
        key="1", item={"PatientName": name}, status=StepStatus.SCHEDULED, stations=("CT1",), modality="CT"
    )
    prefix = query.criteria().name_prefix
    assert name_key(name).startswith(prefix) or not query.matches(entry, NO_RULES)


@given(st.text("*?ab\n", max_size=8), st.text("ab\n", max_size=10))
def test_wildcards_are_what_a_regular_expression_says(pattern: str, text: str) -> None:
    assert wildcard(pattern, text) is _glob(pattern, text)


def test_many_wildcards_in_a_long_value_take_no_time() -> None:
    assert not wildcard("*a" * 2000 + "b", "a" * 10_000)


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
