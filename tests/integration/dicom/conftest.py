"""A broker's DICOM side on a free port: the real acceptor, handlers, use cases, spool and a store on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from broker.dicom.mpps import PERFORMED_STEP, MppsHandler
from broker.dicom.server import DicomServer, ServerSettings
from broker.dicom.spool import Spool
from broker.dicom.storage import Storage
from broker.dicom.storage_classes import STORAGE_CLASSES
from broker.domain.order import Order, Patient, Procedure, Step
from broker.observe.metrics import Metrics
from broker.ports import Changes, Job
from broker.services.identifiers import Ulids
from broker.services.performed import PerformedSteps
from broker.services.progress import Rules
from broker.services.studies import Studies
from broker.store.store import Store

PATIENT = Patient(
    ref="p1",
    patient_id="77041",
    attributes={"PatientName": "Ibáñez^Núria", "PatientBirthDate": "19790312", "PatientSex": "F"},
)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """The running side: its port, its rows, its files."""

    port: int
    store: Store
    spool: Spool

    async def book(self, accession: str = "A41", study_uid: str = "1.2.41") -> Order:
        """Book an order of one CT step."""
        order = Order(
            id=f"order-{accession}",
            facility="GENERAL",
            patient_ref=PATIENT.ref,
            accession=accession,
            procedures=(Procedure(procedure_id="RP41", study_uid=study_uid),),
            steps=(Step(step_id="SP41", procedure_id="RP41", modality="CT", stations=("CT1",)),),
            created_at=now(),
            updated_at=now(),
        )
        await self.store.run(Job(keys=(), decide=lambda held: Changes(save=(PATIENT, order), result=None)))
        return order


Opener = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Opener:
    """Open the site of the test; *strict* names AE titles that are answered by the book."""

    def die(error: BaseException) -> None:
        raise AssertionError("the writer died") from error

    @asynccontextmanager
    async def opened(strict: frozenset[str] = frozenset()) -> AsyncIterator[Site]:
        store = await Store.open(database_url, fan_out=lambda event: (), on_death=die)
        ids, metrics = Ulids(now), Metrics()
        spool = Spool(tmp_path / "spool", ids)
        rules = Rules(quiet=None, forward_to=(), zone=ZoneInfo("Europe/Madrid"))
        studies = Studies(store, store.studies, rules, now, ids, metrics, lambda: None)
        storage = Storage(spool, studies, now, "2.25.1", "RADBROKER")
        performed = MppsHandler(PerformedSteps(store, rules, strict, now, ids, metrics))
        services = {PERFORMED_STEP: performed, **dict.fromkeys(STORAGE_CLASSES, storage)}
        server = DicomServer(ServerSettings(port=0), services, lambda abstract, offered, calling: offered[0])
        try:
            await storage.adopt(await store.instances.paths(spool.id))
            await server.start()
            yield Site(server.port, store, spool)
        finally:
            await server.stop()
            spool.close()
            await store.close()

    return opened
