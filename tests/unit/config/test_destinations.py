"""What a destination hears must be what its mapping reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker.config.destinations import unfit
from broker.config.model import Configuration
from broker.mapping.catalogue import Catalogue

ROOT = Path(__file__).parents[3]
JSON = "mapping: {name}\nfrom: {source}\nto: mqtt/event\njson: {{accession: order.accession}}\n"
HL7 = """\
mapping: {name}
from: {source}
to: hl7/ORU^R01
segments:
  - segment: MSH
    set: {{1: {{value: '|'}}, 9: {{value: ORU}}}}
"""


def told(destination: dict[str, Any], source: str) -> list[tuple[str, str]]:
    text = (HL7 if destination["type"] == "hl7" else JSON).format(name="site", source=source)
    catalogue, _ = Catalogue.load({"site.yaml": text.encode()})
    assert catalogue is not None
    configuration = Configuration.model_validate(
        {"destinations": {"ris": {"mapping": "site", **destination}}}, context={"folder": ROOT, "looks": False}
    )
    complaints = list(unfit(configuration, catalogue))
    assert {location for location, *_ in complaints} <= {("destinations", "ris", "events")}
    return [(message, hint) for _, message, hint in complaints]


@pytest.mark.parametrize(
    ("kind", "events", "source", "unread", "way_out"),
    [
        ("hl7", ["study.started"], "broker/study.available", "study.started", "[study.available]"),
        ("hl7", ["study.available", "patient.*"], "broker/study.*", "patient.merged, patient.updated", "[study.*]"),
        ("hl7", ["order.cancelled"], "broker/procedure.*", "order.cancelled", "[procedure.*]"),
        ("mqtt", ["study.extended"], "broker/study.available", "study.extended", "[study.available]"),
        ("hl7", [], "broker/patient.*", "study.available", "[patient.*]"),
    ],
)
def test_an_event_that_is_heard_and_not_read_is_told_with_the_way_out(
    kind: str, events: list[str], source: str, unread: str, way_out: str
) -> None:
    heard = {"events": events} if events else {}

    ((message, hint),) = told(
        {"type": kind, "port" if kind == "hl7" else "phi": 1 if kind == "hl7" else "ids", **heard}, source
    )

    assert f"it hears {unread}, which site does not read (from: {source})" in message
    assert f"write events: {way_out}" in hint


@pytest.mark.parametrize(
    ("kind", "events", "source"),
    [
        ("hl7", ["study.available"], "broker/study.available"),
        ("hl7", ["study.available", "study.extended"], "broker/study.available"),
        ("hl7", ["procedure.completed"], "broker/procedure.*"),
        ("hl7", ["*"], "broker/*"),
        ("mqtt", ["procedure.started"], "broker/procedure.*"),
    ],
)
def test_what_is_heard_and_read_is_no_problem(kind: str, events: list[str], source: str) -> None:
    place = {"port": 2576} if kind == "hl7" else {}

    assert told({"type": kind, "events": events, **place}, source) == []
