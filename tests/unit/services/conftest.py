"""A reception desk: intake with the shipped mappings and a real store, where a test sends messages and looks at the book."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.domain.events import Event
from broker.domain.order import Order
from broker.domain.records import StoredMessage
from broker.mapping.catalogue import Catalogue
from broker.observe.metrics import Metrics
from broker.services.identifiers import Ulids
from broker.services.intake import Intake
from broker.services.received import ListenerRules
from broker.store.store import Store

MAPPINGS = Path(__file__).parents[3] / "mappings"


@cache
def shipped() -> Catalogue:
    catalogue, problems = Catalogue.load(read_mapping_files(MAPPINGS))
    assert catalogue is not None, problems
    return catalogue


class Desk:
    """Sends messages one after another; *now* is the time, to be moved by the test."""

    def __init__(self, database_url: str) -> None:
        self.now = datetime(2026, 4, 1, 8, tzinfo=UTC)
        self.rules = ListenerRules(name="his")
        self.catalogue = shipped()
        self.events: list[Event] = []
        self._loop = asyncio.Runner()
        self.store = self.run(Store.open(database_url, fan_out=self._keep, on_death=lambda fault: None))
        clock = lambda: self.now  # noqa: E731
        self._intake = Intake(
            self.store, lambda: self.catalogue, ZoneInfo("Europe/Madrid"), clock, Ulids(clock), Metrics()
        )
        self._control = 0

    def _keep(self, event: Event) -> tuple[()]:
        self.events.append(event)
        return ()

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run(asyncio.wait_for(what, 20))

    def close(self) -> None:
        self.run(self.store.close())
        self._loop.close()

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def send_raw(self, raw: bytes) -> str:
        """Send bytes; give the answer as text."""
        answer: bytes = self.run(self._intake.handle(raw, self.rules))
        return answer.decode("cp1252")

    def send(self, *lines: str, control_id: str | None = None, facility: str = "H", type: str = "ORM^O01") -> str:
        """Send an MSH and *lines*; give MSA-1."""
        self._control += 1
        mine = f"M{self._control}" if control_id is None else control_id
        header = f"MSH|^~\\&|HIS|{facility}|B|R|{self.now:%Y%m%d%H%M%S}||{type}|{mine}|P|2.3.1||||||UNICODE UTF-8"
        return self.code(self.send_raw("\r".join([header, *lines]).encode()))

    @staticmethod
    def code(answer: str) -> str:
        return next(line.split("|")[1] for line in answer.split("\r") if line.startswith("MSA"))

    def orders(self, accession: str) -> list[Order]:
        found: list[Order] = self.run(self.store.orders.by_accession(accession))
        return found

    def order(self, accession: str) -> Order:
        (found,) = self.orders(accession)
        return found

    def messages(self, **how: str) -> list[StoredMessage]:
        found: list[StoredMessage] = self.run(self.store.messages.search(**how))[0]
        return found

    def steps(self, accession: str) -> list[tuple[str, str, str, str]]:
        """Give (procedure, step, status, start) of each step."""
        return [(s.procedure_id, s.step_id, str(s.status), s.start) for s in self.order(accession).steps]

    def types(self) -> list[str]:
        return [event.type for event in self.events]


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    made = Desk(database_url)
    yield made
    made.close()


class Segments:
    """Makes segments of an order."""

    pid = "PID|1||77041^^^GENERAL||IBANEZ^NURIA||19790312|F"

    @staticmethod
    def person(patient_id: str, issuer: str = "GENERAL", name: str = "IBANEZ^NURIA", birth: str = "19790312") -> str:
        return f"PID|1||{patient_id}^^^{issuer}||{name}||{birth}|F"

    @staticmethod
    def orc(
        control: str = "NW", number: str = "1", status: str = "", filler: str | None = None, start: str = ""
    ) -> str:
        mine = f"F{number}^RIS" if filler is None else filler
        return f"ORC|{control}|P{number}^HIS|{mine}||{status}||^^^{start}"

    @staticmethod
    def obr(
        accession: str = "",
        procedure: str = "",
        step: str = "",
        code: str = "CTABD",
        start: str = "20260401101500",
        number: str = "1",
    ) -> str:
        return (
            f"OBR|1|P{number}^HIS||{code}^{code} text^L||||||||||||||{accession}|{procedure}|{step}||||CT|||^^^{start}"
        )


@pytest.fixture
def hl7() -> type[Segments]:
    return Segments
