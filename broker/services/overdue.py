"""MPPS that keep a study incomplete are alarmed once: nobody closes them, or what they name does not come (policies 7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

from broker.domain.events import Event
from broker.domain.facts import snapshot
from broker.domain.order import Order, Patient
from broker.domain.performed import PATIENCE, PerformedStep
from broker.domain.study import Instance
from broker.ports import Changes, Held, Ids, Job

SOONEST: Final = timedelta(minutes=10)
"""What does not come is looked for again after that time at the earliest, the older it is the less often."""


def overdue(uid: str, now: datetime, zone: tzinfo, ids: Ids) -> Job[None]:
    """Make the job that looks at the MPPS *uid*: what was alarmed before is only put off."""

    def decide(held: Held) -> Changes[None]:
        found = held.find(PerformedStep, "uid", uid)
        if not found:
            return Changes(result=None)
        performed = found[0]
        due = performed.look_at or performed.updated_at + PATIENCE
        if now < due:
            return Changes(save=(replace(performed, look_at=due),), result=None)
        looked = _look(held, performed, now)
        is_news = looked.is_overdue and not performed.is_overdue
        events = _alarms(held, looked, now, zone, ids) if is_news else []
        return Changes(save=(looked,), events=tuple(events), result=None)

    return Job(keys=((PerformedStep, ("uid", uid)),), decide=decide)


def _look(held: Held, performed: PerformedStep, now: datetime) -> PerformedStep:
    if not performed.is_final:
        return replace(performed, is_overdue=True, look_at=now + PATIENCE)
    missing = len(_missing(held, performed))
    if not missing:
        return replace(performed, missing=0, look_at=None)
    again = now + max(SOONEST, (now - performed.updated_at) / 24)
    return replace(performed, is_overdue=True, missing=missing, look_at=again)


def _missing(held: Held, performed: PerformedStep) -> list[str]:
    """Find what the MPPS names and is not here, study by study as its objects lead there."""
    here: set[str] = set()
    missing = []
    for uid in performed.instances:
        if uid in here:
            continue
        found = held.find(Instance, "sop", uid)
        for study_uid in {one.study_uid for one in found}:
            here.update(one.sop_uid for one in held.find(Instance, "study", study_uid))
        if not found:
            missing.append(uid)
    return missing


def _alarms(held: Held, performed: PerformedStep, now: datetime, zone: tzinfo, ids: Ids) -> list[Event]:
    """Make one alarm for each order, or one without."""
    events = []
    for order_id in performed.order_ids or (None,):
        order = held.find(Order, "id", order_id)[0] if order_id else None
        patient = held.find(Patient, "ref", order.patient_ref)[0] if order else None
        events.append(
            Event(
                id=ids(),
                type="procedure.noted",
                at=now,
                text=_text(performed, now),
                order_id=order.id if order else "",
                patient_ref=patient.ref if patient else "",
                subject=order.accession if order else "",
                is_alarm=True,
                facts=snapshot(now.astimezone(zone), order=order, patient=patient, performed=(performed,)),
                ref={"performed": performed.uid},
            )
        )
    return events


def _text(performed: PerformedStep, now: datetime) -> str:
    since = performed.updated_at if performed.is_final else performed.created_at
    hours = int((now - since) / timedelta(hours=1))
    if not performed.is_final:
        return f"MPPS from {performed.ae} has been in progress for {hours} h: close it at the scanner"
    named = len(performed.instances)
    return (
        f"MPPS from {performed.ae} ended {hours} h ago and names {named} objects; {performed.missing} of them have not "
        "arrived: send them from the scanner"
    )
