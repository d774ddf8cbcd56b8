"""How fast the store books new orders: ``python bench/store_speed.py [jobs]``.

Prints, by how many wait at once, the time of a job in microseconds; then worklist queries on the list that has come of it.
A job saves a patient, an order with one step, a message and an event with two deliveries. Synced to a file in $TMPDIR.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from broker.domain.events import Event
from broker.domain.order import Number, Order, Patient, Procedure, Step
from broker.domain.query import Criteria
from broker.domain.records import Delivery, StoredMessage, Tombstone
from broker.ports import Changes, Held, Job
from broker.store.store import Store

NOW = datetime.now(UTC)
RAW = b"MSH|^~\\&|HIS|GENERAL|BROKER|RADIOLOGY|20260401||ORM^O01|1|P|2.3.1\r".ljust(1200, b"x")


def fan_out(event: Event) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(
            id=f"{event.id}{destination}",
            destination=destination,
            event_id=event.id,
            event_type=event.type,
            order_id=event.order_id,
            lane=f"order {event.order_id}",
            control_id=event.id,
            not_before=event.at,
            created_at=event.at,
            updated_at=event.at,
        )
        for destination in ("ris", "bus")
    )


def new_order(n: int) -> Job[str]:
    """Make the job beforehand, so that the store alone is measured."""
    key = f"his {n} {'f' * 32}"
    keys = (
        (StoredMessage, ("key", key)),
        (Order, ("filler", "GENERAL", "RIS", f"F{n}")),
        (Order, ("placer", "GENERAL", "HIS", f"P{n}")),
        (Order, ("accession", f"A{n}")),
        (Patient, ("identity", f"7{n}", "GENERAL")),
        (Tombstone, ("filler", "GENERAL", "RIS", f"F{n}")),
        (Tombstone, ("placer", "GENERAL", "HIS", f"P{n}")),
        (Tombstone, ("accession", "GENERAL", "", f"A{n}")),
    )
    order = _order(n)
    changes = Changes(save=(_patient(n), order, _message(n, key)), events=(_event(n),), result=order.id)

    def decide(held: Held) -> Changes[str]:
        for kind, found in keys:
            held.find(kind, *found)
        return changes

    return Job(keys=keys, decide=decide)


def _patient(n: int) -> Patient:
    attributes = {
        "PatientName": f"Doe{n % 977}^John{n}",
        "PatientBirthDate": "19790312",
        "PatientSex": "F",
        "PatientAddress": "1 Main Street",
    }
    return Patient(ref=f"R{n:025d}", patient_id=f"7{n}", issuer="GENERAL", attributes=attributes)


def _order(n: int) -> Order:
    code = [{"CodeValue": "CTABD", "CodingSchemeDesignator": "L", "CodeMeaning": "CT abdomen"}]
    step = Step(
        step_id=f"S{n}",
        procedure_id=f"RP{n}",
        modality=("CT", "MR", "US", "DX")[n % 4],
        stations=(f"SCANNER{n % 20}",),
        start=f"202604{1 + n % 28:02d}101500",
        attributes={"ScheduledProcedureStepDescription": "CT abdomen", "ScheduledProtocolCodeSequence": code},
    )
    procedure = Procedure(
        procedure_id=f"RP{n}",
        study_uid=f"1.2.826.0.1.3680043.10.1.{n}",
        attributes={"RequestedProcedureDescription": "CT abdomen", "RequestedProcedureCodeSequence": code},
    )
    return Order(
        id=f"O{n:025d}",
        facility="GENERAL",
        patient_ref=f"R{n:025d}",
        accession=f"A{n}",
        placer=Number(number=f"P{n}", namespace="HIS"),
        filler=Number(number=f"F{n}", namespace="RIS"),
        attributes={"ReferringPhysicianName": "Ward^Ann", "AdmissionID": f"V{n}", "CurrentPatientLocation": "W1"},
        procedures=(procedure,),
        steps=(step,),
        created_at=NOW,
        updated_at=NOW,
    )


def _message(n: int, key: str) -> StoredMessage:
    return StoredMessage(
        id=f"M{n:025d}",
        key=key,
        listener="his",
        sender="HIS GENERAL",
        control_id=str(n),
        type="ORM^O01",
        received_at=NOW,
        raw=RAW,
        charset="utf-8",
        state="accepted",
        answer=RAW[:200],
        order_ids=(f"O{n:025d}",),
    )


def _event(n: int) -> Event:
    facts = {"patient": {"id": f"7{n}", "name": f"Doe^John{n}"}, "order": {"id": f"O{n:025d}", "accession": f"A{n}"}}
    return Event(
        id=f"E{n:025d}",
        type="order.scheduled",
        at=NOW,
        text="ORM^O01 NW from HIS: scheduled",
        order_id=f"O{n:025d}",
        patient_ref=f"R{n:025d}",
        subject=f"A{n}",
        facts=facts,
        ref={"message": f"M{n:025d}"},
    )


async def book(store: Store, first: int, count: int, at_once: int) -> float:
    """Book *count* orders, *at_once* waiting at any time; give microseconds a job."""
    jobs = iter([new_order(n) for n in range(first, first + count)])

    async def sender() -> None:
        for job in jobs:
            await store.run(job)

    started = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(at_once)))
    return (time.perf_counter() - started) / count * 1e6


async def ask(store: Store, name: str, criteria: Criteria) -> None:
    """Ask the same query 50 times and print how many it finds and the median in milliseconds."""
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        found = await store.worklist.search(criteria)
        taken.append(time.perf_counter() - started)
    print(f"  {name:<28} {len(found):>6} found {sorted(taken)[25] * 1e3:>8.2f} ms")


async def main(jobs: int) -> None:
    sys.setswitchinterval(0.0001)
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(f"sqlite:///{Path(folder)}/broker.db", fan_out=fan_out, on_death=print)
        await book(store, 0, 64, 16)
        print(f"new orders, {jobs} each")
        for turn, at_once in enumerate((1, 4, 16, 64), start=1):
            print(f"  {at_once:>3} at once {await book(store, turn * jobs, jobs, at_once):>28.0f} us a job")
        print("worklist")
        day = {"start_from": "20260401000000", "start_to": "20260401235959"}
        await ask(store, "one by accession", Criteria(accessions=(f"A{jobs}",)))
        await ask(store, "one by patient", Criteria(patient_ids=(f"7{jobs}",)))
        await ask(store, "by name", Criteria(name_prefix=f"doe{jobs % 977}^john{jobs}"))
        await ask(store, "a station's day", Criteria(stations=("SCANNER0",), **day))
        await ask(store, "a modality's day", Criteria(modalities=("CT",), **day))
        await ask(store, "everything", Criteria())
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
