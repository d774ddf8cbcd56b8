"""The to-do list of the mappings in force: what it holds, what it hides, when it looks again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.domain.records import StoredMessage
from broker.mapping.catalogue import Catalogue
from broker.services.todo import LOOKED_AT, Todos

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 4, 1, 8, tzinfo=UTC)
ORDERS = """\
mapping: {name}
from: hl7/ORM^O01
to: dicom/mwl
{more}
action: {{from: ORC-1, map: {{NW: create}}}}
tables: {{sex: {{F: F{known}}}}}
set:
  PatientID: PID-3.1
  PatientBirthDate: PID-7
  PatientSex: {{from: PID-8, lookup: sex}}
  StudyInstanceUID: {{uid_from: [ORC-2.1]}}
  RequestedProcedureID: ORC-2.1
  ScheduledProcedureStepSequence: {{item: {{ScheduledProcedureStepID: ORC-2.1}}}}
"""


def catalogue(known: str = "") -> Catalogue:
    north, south, template = (
        ORDERS.format(name=name, more=more, known=known).encode()
        for name, more in (("north", 'when: MSH-4 = "N"'), ("south", 'when: MSH-4 = "S"'), ("form", "template: true"))
    )
    found, _ = Catalogue.load({"north.yaml": north, "south.yaml": south, "form.yaml": template})
    assert found is not None
    return found


@dataclass
class Kept:
    """Stored messages, the newest first, and how often they were read."""

    messages: list[StoredMessage] = field(default_factory=list)
    pages: int = 0

    def add(self, sender: str = "N", born: str = "19790312", sex: str = "F") -> None:
        number = len(self.messages) + 1
        raw = f"MSH|^~\\&|RIS|{sender}|||20260401||ORM^O01|{number}|P|2.3\rPID|||7||A^B||{born}|{sex}\rORC|NW|P1\r"
        message = StoredMessage(
            id=f"{number:026}",
            key="",
            listener="his",
            sender=sender,
            control_id="1",
            type="ORM^O01",
            received_at=NOW,
            raw=raw.encode(),
            charset="ascii",
            state="accepted",
            answer=b"",
        )
        self.messages.insert(0, message)

    async def search(self, *, limit: int, cursor: str, **_: str) -> tuple[list[StoredMessage], str]:
        self.pages += 1
        found = [message for message in self.messages if not cursor or message.id < cursor][:limit]
        return found, found[-1].id if len(found) == limit else ""

    async def get(self, message_id: str) -> StoredMessage | None:
        return next((message for message in self.messages if message.id == message_id), None)


@dataclass
class Shown:
    """What /metrics would show."""

    counts: Mapping[str, int] = field(default_factory=dict)

    def unknown_codes(self, counts: Mapping[str, int]) -> None:
        self.counts = counts


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def opened(kept: Kept) -> tuple[Todos, Any, Shown]:
    mappings: Any = SimpleNamespace(is_open=True, current=catalogue(), zone=ZoneInfo("UTC"))
    shown = Shown()
    return Todos(mappings, kept, shown), mappings, shown


async def test_unknown_codes_come_with_their_value_and_other_values_without() -> None:
    kept = Kept()
    for sex, born in (("Q", "19790312"), ("Q", "19790312"), ("F", "1979")):
        kept.add(sex=sex, born=born)
    todos, _, _ = opened(kept)

    look = await todos.look()

    assert look.messages == 3
    assert [(one.count, one.mapping, one.kind, one.target, one.text.partition(" (")[0]) for one in look.items] == [
        (2, "north", "unknown", "PatientSex", "'Q' is not in sex"),
        (1, "north", "invalid", "PatientBirthDate", "'***' is not a date"),
    ]
    assert look.items[0].example == kept.messages[1].id


async def test_what_is_counted_for_metrics_is_the_number_of_codes_of_each_mapping_that_reads_messages() -> None:
    kept = Kept()
    for sex in ("Q", "Q", "R"):
        kept.add(sex=sex)
    todos, _, shown = opened(kept)

    await todos.look()

    assert shown.counts == {"north": 2, "south": 0}


async def test_what_has_been_mended_is_gone_as_soon_as_it_is_in_force() -> None:
    kept = Kept()
    kept.add(sex="Q")
    todos, mappings, shown = opened(kept)
    assert (await todos.look()).items

    mappings.current = catalogue(known=", Q: O")

    assert (await todos.look()).items == []
    assert shown.counts == {"north": 0, "south": 0}


async def test_a_message_is_looked_at_once_and_the_oldest_fall_out() -> None:
    kept = Kept()
    kept.add(sex="Q")
    for _ in range(LOOKED_AT - 1):
        kept.add()
    todos, _, _ = opened(kept)
    assert [one.count for one in (await todos.look()).items] == [1]
    kept.pages = 0

    kept.add(sender="S", sex="R")

    look = await todos.look()
    assert (look.messages, kept.pages) == (LOOKED_AT, 1)
    assert [(one.mapping, one.text.partition(" (")[0]) for one in look.items] == [("south", "'R' is not in sex")]
