"""Whose study is this: an arriving object matched with the orders, and what is told of it (policies 6).

Pure, like progress.py: called inside the writing transaction of the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.domain.events import Event, EventType
from broker.domain.linking import Candidate
from broker.domain.matching import Match, match
from broker.domain.order import Order, Patient
from broker.domain.performed import PerformedStep
from broker.domain.study import ObjectFacts, Study, Verdict
from broker.ports import Held, Ids
from broker.services.progress import Rules, study_event

REFERENCES_KEPT = 200
"""Entries of Request Attributes Sequences that a study remembers; a scanner names a handful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """A study with its verdict, the orders that learn of it, and the events of a first object or a new verdict."""

    study: Study
    orders: tuple[Order, ...] = ()
    events: tuple[Event, ...] = ()


def recognize(
    held: Held, facts: ObjectFacts, before: Study | None, ae: str, *, rules: Rules, now: datetime, ids: Ids
) -> Recognized:
    """Match an object that *ae* sends with the orders; *before* is its study as it was until now."""
    if before is not None and (before.linked_by or _is_known_kind(before, facts)):
        return Recognized(study=before)
    candidates = _candidates(held, facts)
    matched = match(facts, candidates)
    study = _with_match(before or _new(facts, ae, now), facts, matched, before.verdict if before else None)
    if before is None and matched.may_be_held and rules.holds(ae):
        study = replace(study, state="held", held_at=now)
    orders = tuple(
        replace(one.order, study_uids=(*one.order.study_uids, study.uid))
        for one in candidates
        if one.order.id in matched.order_ids and study.uid not in one.order.study_uids
    )
    return Recognized(study=study, orders=orders, events=_first_events(held, study, before, rules, now, ids))


def about(
    held: Held,
    kind: EventType,
    text: str,
    study: Study,
    order_ids: Sequence[str],
    *,
    rules: Rules,
    now: datetime,
    ids: Ids,
    is_alarm: bool = True,
) -> tuple[Event, ...]:
    """Make the event for each of these orders, or for none when there are none."""
    events = []
    for id in order_ids or (None,):
        order = held.find(Order, "id", id)[0] if id else None
        patient = held.find(Patient, "ref", order.patient_ref)[0] if order else None
        events.append(
            study_event(kind, text, study, order, patient, at=now, zone=rules.zone, ids=ids, is_alarm=is_alarm)
        )
    return tuple(events)


def _is_known_kind(before: Study, facts: ObjectFacts) -> bool:
    """Say whether an object says nothing that the objects before it did not say."""
    return (
        before.verdict == "matched"
        and (before.patient, before.accession) == (facts.patient, facts.accession)
        and (not facts.performed_uid or facts.performed_uid in before.performed_uids)
        and set(before.references) >= set(facts.references)
    )


def _new(facts: ObjectFacts, ae: str, now: datetime) -> Study:
    return Study(
        uid=facts.study_uid,
        ae=ae,
        modality=facts.modality,
        accession=facts.accession,
        patient=facts.patient,
        first_at=now,
        last_at=now,
    )


def _with_match(study: Study, facts: ObjectFacts, matched: Match, verdict: Verdict | None) -> Study:
    performed_uids = dict.fromkeys((*study.performed_uids, *([facts.performed_uid] if facts.performed_uid else [])))
    return replace(
        study,
        verdict=_worse(verdict, matched.verdict),
        findings=tuple(dict.fromkeys((*study.findings, *matched.findings))),
        order_ids=tuple(dict.fromkeys((*study.order_ids, *matched.order_ids))),
        performed_uids=tuple(performed_uids),
        references=tuple(dict.fromkeys((*study.references, *facts.references)))[:REFERENCES_KEPT],
    )


def _worse(before: Verdict | None, now: Verdict) -> Verdict:
    """Keep a mismatch; else what the newest object says, unless it knows less."""
    if before == "mismatched" or (before == "matched" and now == "unscheduled"):
        return before
    return now


def _candidates(held: Held, facts: ObjectFacts) -> list[Candidate]:
    """Gather the orders that the object may belong to, by every key that it carries."""
    keys: dict[tuple[str, ...], None] = {("study", facts.study_uid): None}
    for accession in (facts.accession, *(accession for _, _, accession in facts.references)):
        if accession:
            keys[("accession", accession)] = None
    for step_id, _procedure, _accession in facts.references:
        if step_id:
            keys[("step", step_id)] = None
    performed = held.find(PerformedStep, "uid", facts.performed_uid) if facts.performed_uid else ()
    for one in (*performed, *held.find(PerformedStep, "study", facts.study_uid)):
        keys.update((("id", order_id), None) for order_id in one.order_ids)
    orders = {order.id: order for key in keys for order in held.find(Order, *key)}
    return [
        Candidate(
            order=order,
            patient=held.find(Patient, "ref", order.patient_ref)[0],
            performed=held.find(PerformedStep, "order", order.id),
        )
        for order in orders.values()
    ]


def _first_events(
    held: Held, study: Study, before: Study | None, rules: Rules, now: datetime, ids: Ids
) -> tuple[Event, ...]:
    """Tell each order of its first object, and of a verdict that is new to it."""
    known = before.order_ids if before else ()
    joining = tuple(id for id in study.order_ids if id not in known)
    events: tuple[Event, ...] = ()
    if before is None or joining:
        text = f"first object from {study.ae}"
        events += about(held, "study.started", text, study, joining, rules=rules, now=now, ids=ids, is_alarm=False)
    if before is not None and before.verdict == study.verdict:
        return events
    if study.verdict == "unscheduled":
        text = f"no order fits this study from {study.ae}; it is forwarded as it is"
        events += about(held, "study.unscheduled", text, study, (), rules=rules, now=now, ids=ids)
    elif study.verdict == "mismatched":
        differing = ", ".join(f.attribute for f in study.findings if f.weight)
        text = f"the study does not fit its order: {differing}; {_whereabouts(study, rules)}"
        events += about(held, "study.mismatched", text, study, study.order_ids, rules=rules, now=now, ids=ids)
    return events


def _whereabouts(study: Study, rules: Rules) -> str:
    if study.state != "held":
        return "it is forwarded as it is"
    until = (study.first_at + rules.hold_max).astimezone(rules.zone)
    return f"it is held until a person releases or rejects it, at most until {until:%H:%M:%S}"
