"""Small mappings and messages for the tests of the mapping language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from textwrap import dedent
from zoneinfo import ZoneInfo

import pytest

from broker.hl7.message import Message
from broker.mapping.build import Mapping
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import Translation

HEAD = """\
mapping: test
from: hl7/ORM^O01
to: dicom/mwl
"""
MINIMUM = """\
  PatientID: PID-3.1
  StudyInstanceUID: {uid_from: [ORC-2.1]}
  RequestedProcedureID: ORC-2.1
"""
STEP = """\
  ScheduledProcedureStepSequence:
    item:
      ScheduledProcedureStepID: ORC-2.1
"""
MESSAGE = """\
MSH|^~\\&|RIS|NORTH|BROKER|RAD|20260401093000||ORM^O01|M1|P|2.5.1
PID|1||77^^^NORTH||DOE^JANE^^JR^DR||19790312|F
ORC|NW|P1^HIS|F1^RIS
OBR|1|P1^HIS|F1^RIS|CTH^CT head^L||||||||||||||A1
"""

Build = Callable[..., Mapping]
Translate = Callable[..., Translation]


@pytest.fixture
def build() -> Build:
    """Compile rules into a mapping that has the identifiers that every entry needs."""

    def make(rules: str, head: str = "", steps: str = "") -> Mapping:
        text = HEAD + _indented(head, 0) + "set:\n" + MINIMUM + _indented(rules, 2) + STEP + _indented(steps, 6)
        catalogue, problems = Catalogue.load({"test.yaml": text.encode()})
        assert catalogue is not None, problems
        mapping = catalogue.get("test")
        assert mapping is not None, problems
        return mapping

    return make


@pytest.fixture
def translate(build: Build) -> Translate:
    """Compile rules and run them over a message, with fields of it written anew."""

    def run(
        rules: str, *more: str, head: str = "", steps: str = "", zone: str = "UTC", trace: bool = False
    ) -> Translation:
        text = "\r".join([*MESSAGE.splitlines(), *more])
        received_at = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
        return build(rules, head, steps).translate(Message.parse(text), ZoneInfo(zone), received_at, trace)

    return run


def _indented(text: str, columns: int) -> str:
    lines = [line for line in dedent(text).splitlines() if line.strip()]
    return "".join(f"{' ' * columns}{line}\n" for line in lines)
