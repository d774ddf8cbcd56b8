"""A department in one process: the real store, a clock that stands still, orders, scanners and an archive's answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from broker.domain.events import Event
from broker.domain.order import Identity, Order, Patient, Procedure, Step
from broker.domain.performed import Answer, CreateRequest, SetRequest
from broker.domain.records import Delivery
from broker.domain.study import Instance, ObjectFacts, Study
from broker.observe.metrics import Metrics
from broker.ports import Changes, Job
from broker.services.forwarding import Forwarder
from broker.services.identifiers import Ulids
from broker.services.notices import Outbox, Outcome, Subscription
from broker.services.performed import PerformedSteps
from broker.services.progress import Rules
from broker.services.reconcile import Reconciliation
from broker.services.studies import Kept, Studies
from broker.store.store import Store

T = TypeVar("T")

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NOBODY_HOLDS: Mapping[str, bool] = {}
PATIENT = Identity(patient_id="77041", issuer="GENERAL", name="IBANEZ^NURIA", birth_date="19790312", sex="F")


class Archive:
    """An archive that answers as it is told: *answers* by SOP Instance UID, else delivered."""

    def __init__(self) -> None:
        self.answers: dict[str, Outcome] = {}
        self.got: list[str] = []

    async def send(self, instances: Sequence[Instance]) -> AsyncIterator[Outcome]:
        for instance in instances:
            outcome = self.answers.get(instance.sop_uid, Outcome(kind="delivered"))
            if outcome.kind == "delivered":
                self.got.append(instance.sop_uid)
            yield outcome
            if not outcome.is_up:
                return


class Department:
    """Everything behind the sockets; *now* is the time until somebody moves it."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        events: list[Event],
        forward_to: tuple[str, ...],
        quiet: timedelta | None,
        holding: Mapping[str, bool],
    ) -> None:
        self._events = events
        self.now = datetime(2026, 4, 1, 8, 15, tzinfo=UTC)
        self.store = store
        self.outbox = outbox
        self.removed: list[str] = []
        self.ids = Ulids(self.clock)
        self.rules = Rules(quiet=quiet, forward_to=forward_to, zone=ZoneInfo("Europe/Madrid"), holding_of=holding)
        self.metrics = metrics = Metrics()
        self.aside: list[str] = []
        self.reconciliation = Reconciliation(
            outbox, store.studies, self.rules, self.put_aside, self.clock, self.ids, metrics
        )
        wake = self.reconciliation.wake
        self.studies = Studies(outbox, store.studies, self.rules, self.clock, self.ids, metrics, wake)
        self.performed = PerformedSteps(outbox, self.rules, frozenset({"STRICT"}), self.clock, self.ids, metrics)
        self.archives = {node: Archive() for node in forward_to}
        self.forwarders = {
            node: Forwarder(
                node,
                archive,
                store.objects_of("S1"),
                outbox,
                self.removed.append,
                self.rules,
                self.clock,
                self.ids,
                metrics,
            )
            for node, archive in self.archives.items()
        }

    def clock(self) -> datetime:
        return self.now

    async def put_aside(self, study_uid: str) -> None:
        self.aside.append(study_uid)

    def later(self, **period: float) -> None:
        self.now += timedelta(**period)

    async def book(
        self,
        accession: str,
        *,
        steps: Sequence[str] = (),
        procedures: Sequence[str] = (),
        study: str = "",
        priority: str = "",
    ) -> str:
        """Book an order of the patient: one step for each procedure unless *steps* (of one procedure) are named."""
        wanted = procedures or (f"RP{accession}",)
        pairs = [(wanted[0], step) for step in steps] or [(one, f"SP{one[2:]}") for one in wanted]
        order = Order(
            id=f"order {accession}",
            facility="GENERAL",
            patient_ref="ref",
            accession=accession,
            priority=priority,
            procedures=tuple(Procedure(procedure_id=one, study_uid=study or self.uid(one)) for one in wanted),
            steps=tuple(
                Step(step_id=step, procedure_id=one, modality="CT", stations=("CT1",), start="20260401101500")
                for one, step in pairs
            ),
            created_at=self.now,
            updated_at=self.now,
        )
        attributes = {
            "PatientName": PATIENT.name,
            "PatientBirthDate": PATIENT.birth_date,
            "PatientSex": PATIENT.sex,
        }
        patient = Patient(ref="ref", patient_id=PATIENT.patient_id, issuer=PATIENT.issuer, attributes=attributes)
        await self.outbox.run(Job(keys=(), decide=lambda held: Changes(save=(patient, order), result=None)))
        return order.id

    def uid(self, procedure: str) -> str:
        """Name the study of a procedure."""
        return "1.2.3." + str(int.from_bytes(procedure.encode()))

    async def create(self, uid: str, *references: dict[str, str], ae: str = "CT1", **changes: Any) -> Answer:
        """N-CREATE."""
        attributes = {
            "ScheduledStepAttributesSequence": list(references),
            "PatientID": PATIENT.patient_id,
            "PatientName": PATIENT.name,
            "PerformedProcedureStepID": "PPS1",
            "PerformedStationAETitle": ae,
            "PerformedProcedureStepStartDate": "20260401",
            "PerformedProcedureStepStartTime": "101600",
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "Modality": "CT",
            **changes,
        }
        return await self.performed.create(CreateRequest(uid=uid, ae=ae, attributes=attributes), b"raw", "1.2")

    async def end(
        self, uid: str, *objects: str, status: str = "COMPLETED", reason: str = "", ae: str = "CT1"
    ) -> Answer:
        """N-SET the final status, naming *objects*."""
        images = [{"ReferencedSOPInstanceUID": one} for one in objects]
        series = [{"SeriesInstanceUID": "1.9", "ProtocolName": "P", "ReferencedImageSequence": images}]
        attributes = {
            "PerformedProcedureStepStatus": status,
            "PerformedProcedureStepEndDate": "20260401",
            "PerformedProcedureStepEndTime": "103000",
            "PerformedSeriesSequence": series if objects else [],
        }
        if reason:
            attributes["PerformedProcedureStepDiscontinuationReasonCodeSequence"] = [{"CodeValue": reason}]
        return await self.performed.set(SetRequest(uid=uid, ae=ae, attributes=attributes), b"raw", "1.2")

    async def arrive(self, sop_uid: str, study_uid: str, *, digest: str = "", ae: str = "CT1", **facts: Any) -> Kept:
        """Let one object arrive."""
        said = {
            "sop_class": CT_IMAGE,
            "sop_uid": sop_uid,
            "study_uid": study_uid,
            "series_uid": "1.9",
            "modality": "CT",
            "patient": PATIENT,
        }
        instance = Instance(
            sop_uid=sop_uid,
            digest=digest or sop_uid,
            sop_class=CT_IMAGE,
            transfer_syntax="1.2.840.10008.1.2.1",
            study_uid=study_uid,
            series_uid="1.9",
            ae=ae,
            path=f"{study_uid}/{sop_uid}{digest}.dcm",
            size=100,
            received_at=self.now,
        )
        return await self.studies.received(ObjectFacts(**(said | facts)), instance)

    async def forward(self, node: str = "PACS") -> None:
        """Send what is due to *node*, once."""
        await self.forwarders[node].send_due()

    async def study(self, uid: str) -> Study:
        found = await self.store.studies.get(uid)
        assert found is not None
        return found

    async def order(self, accession: str) -> Order:
        (found,) = await self.store.orders.by_accession(accession)
        return found

    def told(self, *types: str) -> list[Event]:
        """Give the events of *types* so far, those for the timeline alone too."""
        return [event for event in self._events if not types or event.type in types]

    async def notices(self, destination: str) -> list[Delivery]:
        rows, _ = await self.store.deliveries.search(destination=destination, limit=1000)
        return sorted(rows, key=lambda row: row.id)


def reference(accession: str, step: str = "", procedure: str = "", study: str = "") -> dict[str, str]:
    """Make one item of the Scheduled Step Attributes Sequence."""
    return {
        "StudyInstanceUID": study,
        "AccessionNumber": accession,
        "RequestedProcedureID": procedure or f"RP{accession}",
        "ScheduledProcedureStepID": step or f"SP{accession}",
    }


Story = Callable[[Department], Coroutine[Any, Any, T]]


@pytest.fixture
def run(database_url: str) -> Callable[..., Any]:
    """Run a story in a department: ``run(story, forward_to=("PACS",), quiet=None)``; gives what the story gives."""

    @asynccontextmanager
    async def opened(
        forward_to: tuple[str, ...], quiet: timedelta | None, holding: Mapping[str, bool]
    ) -> AsyncIterator[Department]:
        subscriptions = (
            Subscription(destination="ris", events=("study.available",), needs_order=True),
            Subscription(destination="bus", events=("*",), needs_order=False),
        )
        outbox = Outbox(subscriptions, Ulids(lambda: datetime(2026, 4, 1, tzinfo=UTC)), Metrics())
        events: list[Event] = []
        deaths: list[BaseException] = []

        def fan_out(event: Event) -> tuple[Delivery, ...]:
            events.append(event)
            return outbox.fan_out(event)

        store = await Store.open(database_url, fan_out=fan_out, on_death=deaths.append)
        outbox.attach(store)
        try:
            yield Department(store, outbox, events, forward_to, quiet, holding)
        finally:
            await store.close()

    def go(
        story: Story[T],
        *,
        forward_to: tuple[str, ...] = ("PACS",),
        quiet: timedelta | None = None,
        holding: Mapping[str, bool] = NOBODY_HOLDS,
    ) -> T:
        async def whole() -> T:
            async with asyncio.timeout(60), opened(forward_to, quiet, holding) as department:
                return await story(department)

        return asyncio.run(whole())

    return go


@pytest.fixture
def refer() -> Callable[..., dict[str, str]]:
    return reference
