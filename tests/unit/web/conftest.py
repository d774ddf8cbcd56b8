"""A small hospital in memory, and the web application on top of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx
import pytest

from broker.domain.accounts import Token, User
from broker.domain.events import Event
from broker.domain.mappingset import MappingSet
from broker.domain.order import Identity, Item, Number, Order, OrderStatus, Patient, Procedure, Step, StepStatus
from broker.domain.performed import PerformedStep, StepKey
from broker.domain.records import Delivery, StoredMessage
from broker.domain.study import Finding, Instance, Study
from broker.domain.worklist import WorklistEntry
from broker.mapping.catalogue import Catalogue
from broker.observe.metrics import Metrics
from broker.ports import Job
from broker.services.accounts import Accounts
from broker.services.inspect import Inspection, Part
from broker.services.intake import Intake
from broker.services.mappings import Mappings, packed
from broker.services.messages import Messages
from broker.services.progress import Rules
from broker.services.received import ListenerRules
from broker.services.reconcile import Reconciliation
from broker.services.todo import Todos
from broker.web.app import create
from broker.web.guard import as_local
from broker.web.settings import Auth, WebSettings

T = TypeVar("T")

MADRID = ZoneInfo("Europe/Madrid")
MAPPING = b"""\
mapping: a
title: "<b>"
from: hl7/ORM^O01
to: dicom/mwl
action: {from: ORC-1, map: {NW: create}}
set: {PatientID: PID-3.1, PatientSex: {from: PID-8, map: {F: F}}, StudyInstanceUID: ZDS-1.1, RequestedProcedureID: OBR-19,
      ScheduledProcedureStepSequence: {item: {ScheduledProcedureStepID: OBR-20}}}
"""
TEMPLATE = b"mapping: t\ntemplate: true\nextends: a\n"
OUTBOUND = b"""\
mapping: out
from: broker/study.available
to: mqtt/event
json: {accession: order.accession}
"""
NOW = datetime(2026, 4, 1, 8, 30, tzinfo=UTC)


@dataclass
class Life:
    order: Order
    patient: Patient
    performed: Sequence[PerformedStep] = ()
    studies: Sequence[Study] = ()
    deliveries: Sequence[Delivery] = ()
    events: Sequence[Event] = ()


@dataclass
class Hospital:
    """All that the readers give, to be filled by a test; it runs jobs as a store would."""

    lives: list[Life] = field(default_factory=list)
    messages: list[StoredMessage] = field(default_factory=list)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    studies: dict[str, Study] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    listed: list[tuple[WorklistEntry, Item]] = field(default_factory=list)
    reasons: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    fault: Exception | None = None

    async def run(self, job: Job[T]) -> T:
        changes = job.decide(Rows(self))
        for row in changes.save:
            match row:
                case Delivery():
                    self.deliveries[row.id] = row
                case Study():
                    self.studies[row.uid] = row
                case User():
                    self.users[row.name] = row
                case Token():
                    self.tokens[row.name] = row
        self.events.extend(changes.events)
        return changes.result


@dataclass
class Rows:
    hospital: Hospital

    def find(self, kind: type[T], *key: str) -> tuple[T, ...]:
        tables: dict[type[Any], dict[str, Any]] = {
            Delivery: self.hospital.deliveries,
            Study: self.hospital.studies,
            Order: {life.order.id: life.order for life in self.hospital.lives},
            Patient: {life.patient.ref: life.patient for life in self.hospital.lives},
            Instance: {},
            PerformedStep: {},
            User: self.hospital.users,
            Token: self.hospital.tokens,
            MappingSet: {},
        }
        row = tables[kind].get(key[1])
        return () if row is None else (row,)


@dataclass
class Orders:
    hospital: Hospital

    async def search(self, **asked: Any) -> tuple[list[tuple[Order, Patient]], str]:
        self.hospital.asked = asked
        return [(life.order, life.patient) for life in self.hospital.lives], ""

    async def get(self, order_id: str) -> Order | None:
        return next((life.order for life in self.hospital.lives if life.order.id == order_id), None)

    async def by_accession(self, accession: str) -> list[Order]:
        return [life.order for life in self.hospital.lives if life.order.accession == accession]

    async def life(self, order_id: str) -> Life | None:
        return next((life for life in self.hospital.lives if life.order.id == order_id), None)


@dataclass
class KeptMessages:
    hospital: Hospital

    async def search(self, **asked: Any) -> tuple[list[StoredMessage], str]:
        if self.hospital.fault:
            raise self.hospital.fault
        self.hospital.asked = asked
        return self.hospital.messages, ""

    async def get(self, message_id: str) -> StoredMessage | None:
        return next((message for message in self.hospital.messages if message.id == message_id), None)


@dataclass
class Studies:
    hospital: Hospital

    async def search(self, **asked: Any) -> tuple[list[Study], str]:
        self.hospital.asked = asked
        return await self.in_state(asked["state"]), "more"

    async def in_state(self, state: str) -> list[Study]:
        return [study for study in self.hospital.studies.values() if state in ("", study.state)]


@dataclass
class Deliveries:
    hospital: Hospital

    async def search(self, **asked: Any) -> tuple[list[Delivery], str]:
        self.hospital.asked = asked
        return list(self.hospital.deliveries.values()), "more"

    async def counts(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for delivery in self.hospital.deliveries.values():
            states = counts.setdefault(delivery.destination, {})
            states[delivery.state] = states.get(delivery.state, 0) + 1
        return counts


@dataclass
class Others:
    """Alarms, worklists, health and accounts."""

    hospital: Hospital

    async def alarms(self, limit: int) -> list[Event]:
        return [event for event in self.hospital.events if event.is_alarm][:limit]

    async def listed(self, ae: str) -> list[tuple[WorklistEntry, Item]]:
        return self.hospital.listed

    async def explain(self, ae: str, order_ids: Sequence[str]) -> list[tuple[WorklistEntry, list[str]]]:
        return [
            (entry, self.hospital.reasons.get(ae, []))
            for entry, _ in self.hospital.listed
            if entry.order_id in order_ids
        ]

    def parts(self) -> list[Part]:
        return self.hospital.parts

    async def newest(self, limit: int) -> list[MappingSet]:
        content = packed({"a.yaml": MAPPING})
        return [
            MappingSet(digest=f"abcd{n}", loaded_at=NOW, mappings=1, reason="start", content=content) for n in range(2)
        ][:limit]

    async def get(self, digest: str) -> MappingSet | None:
        return next((one for one in await self.newest(2) if one.digest == digest), None)

    async def user(self, name: str) -> User | None:
        return self.hospital.users.get(name)

    async def token(self, token_hash: str) -> Token | None:
        return next((token for token in self.hospital.tokens.values() if token.token_hash == token_hash), None)

    async def has_users(self) -> bool:
        return bool(self.hospital.users)


def make_life(accession: str = "A41", id: str = "01JD0000000000000000000041", **changes: Any) -> Life:
    """Make the order of the contract's example, with all that can be known of it."""
    order = Order(
        id=id,
        facility="GENERAL",
        patient_ref="P1",
        accession=accession,
        placer=Number(number="P41"),
        filler=Number(number="F41"),
        status=OrderStatus.COMPLETED,
        priority="ROUTINE",
        procedures=(
            Procedure(
                procedure_id="RP41",
                study_uid="1.2.41",
                attributes={
                    "RequestedProcedureDescription": "CT abdomen",
                    "RequestedProcedureCodeSequence": [{"CodeValue": "CTABD", "CodingSchemeDesignator": "L"}],
                },
            ),
        ),
        steps=(
            Step(
                step_id="SP41",
                procedure_id="RP41",
                status=StepStatus.COMPLETED,
                modality="CT",
                stations=("CT1",),
                start="20260401101500",
                attributes={"ScheduledProcedureStepDescription": "CT abdomen plain"},
            ),
        ),
        created_at=NOW,
        updated_at=NOW,
    )
    patient = Patient(
        ref="P1",
        patient_id="77041",
        issuer="GENERAL",
        attributes={"PatientName": "Ibáñez^Núria^^Dra", "PatientBirthDate": "19790312", "PatientSex": "F"},
    )
    performed = PerformedStep(
        uid="1.2.9",
        ae="CT1",
        status="COMPLETED",
        patient=patient.identity,
        links=(StepKey(order_id=id, procedure_id="RP41", step_id="SP41"),),
        started="20260401102000",
        ended="20260401103100",
        series=1,
        instances=("1.1", "1.2", "1.3"),
        created_at=NOW,
        updated_at=NOW,
    )
    study = Study(
        uid="1.2.41",
        ae="CT1",
        state="available",
        verdict="matched",
        evidence="mpps",
        findings=(Finding(attribute="PatientName", ordered="Ibáñez^Núria", found="IBANEZ^NURIA"),),
        patient=patient.identity,
        series=("1.2.41.1",),
        instances=3,
        first_at=NOW,
        last_at=NOW,
    )
    event = Event(
        id="E1",
        type="order.scheduled",
        at=NOW,
        text="ORM^O01 NW from HIS: scheduled",
        order_id=id,
        ref={"message": "M1"},
    )
    life = Life(order, patient, [performed], [study], [make_delivery(order_id=id)], [event])
    for name, value in changes.items():
        setattr(life, name, value)
    return life


def make_held(**changes: Any) -> Study:
    """Make a study of somebody else that is held, changed as asked."""
    values: dict[str, Any] = {
        "uid": "1.2.41",
        "ae": "CT1",
        "state": "held",
        "verdict": "mismatched",
        "findings": (
            Finding(attribute="PatientID", ordered="77041", found="99999", weight=3),
            Finding(attribute="PatientName", ordered="Ibáñez^Núria", found="SOMEBODY^ELSE", weight=2),
        ),
        "order_ids": ("01JD0000000000000000000041",),
        "modality": "CT",
        "patient": Identity(patient_id="99999", name="SOMEBODY^ELSE", birth_date="19500101"),
        "series": ("1.2.41.1",),
        "instances": 3,
        "first_at": NOW,
        "last_at": NOW,
        "held_at": NOW,
    }
    return Study(**{**values, **changes})


def make_delivery(**changes: Any) -> Delivery:
    """Make a delivered notice, changed as asked."""
    values: dict[str, Any] = {
        "id": "D1",
        "destination": "ris",
        "event_id": "E9",
        "event_type": "study.available",
        "lane": "order 1",
        "control_id": "C1",
        "state": "delivered",
        "attempts": 1,
        "not_before": NOW,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Delivery(**{**values, **changes})


def make_message(**changes: Any) -> StoredMessage:
    """Make a refused message, changed as asked."""
    values: dict[str, Any] = {
        "id": "M1",
        "key": "k",
        "listener": "his",
        "sender": "HIS|GENERAL",
        "control_id": "4711",
        "type": "ORM^O01",
        "received_at": NOW,
        "raw": "MSH|^~\\&|HIS\rPID|1||77041||Ibáñez^Núria\r".encode("latin-1"),
        "charset": "latin-1",
        "state": "refused",
        "answer": b"MSH|^~\\&|BROKER\rMSA|AE|4711\r",
        "mapping": "ihe/orm-to-mwl@7f3c",
        "code": "R101",
        "error": "PatientID: 'Ibáñez^Núria's number' is too long",
        "warnings": ("'Núria' was cut",),
        "order_ids": ("01JD0000000000000000000041",),
    }
    return StoredMessage(**{**values, **changes})


@pytest.fixture
def hospital() -> Hospital:
    """Give a hospital with one finished order, a listener, a destination and a store."""
    parts = [
        Part(name="his", kind="listener", is_up=True, address="127.0.0.1:2575"),
        Part(name="ris", kind="destination", is_up=True, address="127.0.0.1:2576"),
        Part(name="store", kind="store", is_up=True),
    ]
    delivery = make_delivery()
    return Hospital(lives=[make_life()], messages=[make_message()], deliveries={delivery.id: delivery}, parts=parts)


Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def client(hospital: Hospital) -> Client:
    """Give a maker of clients: ``async with client(auth="none", is_local=False)``."""

    @asynccontextmanager
    async def make(auth: Auth = "none", is_local: bool = False) -> AsyncIterator[httpx.AsyncClient]:
        app = make_app(hospital, auth)
        transport = httpx.ASGITransport(as_local(app) if is_local else app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as http:
            yield http

    return make


def make_app(hospital: Hospital, auth: Auth) -> Any:
    """Put the application on top of *hospital*."""
    others, studies, numbers = Others(hospital), Studies(hospital), count(1)

    def clock() -> datetime:
        return hospital.now

    def ids() -> str:
        return f"ID{next(numbers)}"

    async def put_aside(study_uid: str) -> None:
        """There is no spool."""

    rules = Rules(quiet=None, forward_to=(), zone=MADRID)
    inspection = Inspection(
        orders=Orders(hospital),
        messages=KeptMessages(hospital),
        deliveries=Deliveries(hospital),
        alarms=others,
        worklist=others,
        health=others,
        studies=studies,
        reconciliation=Reconciliation(hospital, studies, rules, put_aside, clock, ids, Metrics()),
        writer=hospital,
        clock=clock,
        ids=ids,
    )
    accounts = Accounts(reader=others, writer=hospital, clock=clock)
    settings = WebSettings(auth=auth, zone=MADRID, site="General Hospital", version="0.1.0", told_by={"ris": "out"})
    files = {"a.yaml": MAPPING, "broken.yaml": b"mapping: b"}
    mappings = Mappings(
        catalogue=Catalogue.load({"a.yaml": MAPPING, "t.yaml": TEMPLATE, "out.yaml": OUTBOUND})[0],
        read=lambda: files,
        stamp=dict,
        unfit=lambda _: (),
        sets=others,
        messages=others,
        writer=hospital,
        zone=MADRID,
        clock=clock,
        counters=Metrics(),
    )
    metrics = b"orders_total 1.0\n"
    rules = {"his": ListenerRules(name="his")}
    intake = Intake(hospital, lambda: mappings.current, MADRID, clock, ids, Metrics())
    return create(
        settings,
        inspection=inspection,
        accounts=accounts,
        mappings=mappings,
        messages=Messages(inspection.messages, intake, mappings, rules),
        todos=Todos(mappings, inspection.messages, Metrics()),
        metrics=lambda: metrics,
    )


def later(hospital: Hospital, **span: float) -> None:
    """Let time pass."""
    hospital.now += timedelta(**span)


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as the broker does."""
    return "asyncio"


@pytest.fixture
def make() -> Any:
    """Give the makers of this module: ``make.life``, ``make.delivery``, ``make.message``."""
    return SimpleNamespace(life=make_life, held=make_held, delivery=make_delivery, message=make_message, later=later)
