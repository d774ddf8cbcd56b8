"""MPPS that nobody closes are alarmed once (policies 7.2): until they are, their studies stay incomplete."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

from broker.domain.events import Event
from broker.domain.facts import snapshot
from broker.domain.order import Order, Patient
from broker.domain.performed import PerformedStep
from broker.ports import Changes, Held, Ids, Job

OPEN_LIMIT: Final = timedelta(hours=4)
"""How long an MPPS may be in progress without a word."""


def overdue(uid: str, now: datetime, zone: tzinfo, ids: Ids) -> Job[None]:
    """Make the job that alarms the MPPS *uid* if it is still open; one alarmed before is only put off."""

    def decide(held: Held) -> Changes[None]:
        found = held.find(PerformedStep, "uid", uid)
        if not found or found[0].is_final:
            return Changes(result=None)
        performed = replace(found[0], updated_at=now, is_overdue=True)
        events = () if found[0].is_overdue else tuple(_alarms(held, found[0], now, zone, ids))
        return Changes(save=(performed,), events=events, result=None)

    return Job(keys=((PerformedStep, ("uid", uid)),), decide=decide)


def _alarms(held: Held, performed: PerformedStep, now: datetime, zone: tzinfo, ids: Ids) -> list[Event]:
    """Make one alarm for each order, or one without."""
    events = []
    for order_id in performed.order_ids or (None,):
        order = held.find(Order, "id", order_id)[0] if order_id else None
        patient = held.find(Patient, "ref", order.patient_ref)[0] if order else None
        hours = int((now - performed.created_at) / timedelta(hours=1))
        events.append(
            Event(
                id=ids(),
                type="procedure.noted",
                at=now,
                text=f"MPPS from {performed.ae} has been in progress for {hours} h: close it at the scanner",
                order_id=order.id if order else "",
                patient_ref=patient.ref if patient else "",
                subject=order.accession if order else "",
                is_alarm=True,
                facts=snapshot(now.astimezone(zone), order=order, patient=patient, performed=(performed,)),
                ref={"performed": performed.uid},
            )
        )
    return events
