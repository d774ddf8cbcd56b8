"""The queries of the worklist. A query's cost follows what it finds, not how long the list is.

The narrowest condition leads and uses its index; the others filter, put so that a planner has nothing to choose.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import FromClause, Select, and_, exists, literal_column, select, union
from sqlalchemy.sql.elements import ColumnElement

from broker.domain.query import Criteria
from broker.store import tables as t
from broker.store.prepared import Asked
from broker.store.readers import aside

MOST_VALUES = 512
"""A condition with more values leaves nothing out."""
LAST = "\U0010ffff"

_UNORDERED = ("step_ids", "accessions", "study_uids", "patients", "procedure_ids", "stations")
"""Conditions that lead to few rows, in no order; the other ones walk the list by start."""


def conditions(criteria: Criteria) -> dict[str, tuple[str, ...]]:
    """Give the conditions on steps with their values, the narrowest first; *patients* has to be filled in."""
    name = criteria.name_prefix
    asked = {
        "step_ids": criteria.step_ids,
        "accessions": criteria.accessions,
        "study_uids": criteria.study_uids,
        "patients": (),
        "procedure_ids": criteria.procedure_ids,
        "stations": (*criteria.stations, "") if criteria.stations else (),
        "modalities": criteria.modalities,
        "name": (name, name + LAST) if name else (),
        "start_from": (criteria.start_from,) if criteria.start_from else (),
        "start_to": (criteria.start_to,) if criteria.start_to else (),
    }
    return {condition: values for condition, values in asked.items() if len(values) <= MOST_VALUES}


def patients_of(criteria: Criteria) -> dict[str, tuple[str, ...]]:
    """Give the conditions on patients with their values."""
    name = criteria.name_prefix
    if criteria.patient_ids and len(criteria.patient_ids) <= MOST_VALUES:
        return {"ids": criteria.patient_ids}
    return {"name": (name, name + LAST)} if name else {}


def patient_query(asked: Asked, most: int) -> Select[Any]:
    """Select the patients by identifiers, those of today and of old, or by the beginning of the name."""
    now, once = t.patients.c, t.patient_aliases.c
    if "ids" in asked:
        today = select(now.ref).where(t.present(now.patient_id), now.patient_id.in_(asked["ids"]))
        both = union(today, select(once.patient_ref).where(once.patient_id.in_(asked["ids"]))).subquery()
        return select(both.c.ref).limit(most)
    low, high = asked["name"]
    return select(now.ref).where(now.name_key >= low, now.name_key < high).limit(most)


def order_steps_query(asked: Asked) -> Select[Any]:
    """Select all steps of orders, listed or not."""
    s = t.steps.c
    return _keys(_steps()).where(s.order_id.in_(asked["orders"])).order_by(s.order_id, s.position)


def completed_steps_query(asked: Asked) -> Select[Any]:
    """Select the steps completed since a moment."""
    s = t.steps.c
    is_completed: ColumnElement[bool] = literal_column("steps.completed_at <> ''")
    return _keys(_steps()).where(is_completed, s.completed_at >= asked["since"][0]).order_by(s.start, s.order_id)


def step_query(asked: Asked) -> Select[Any]:
    """Select the keys of the listed steps that fulfil all that is *asked*; its first condition leads."""
    s, stations = t.steps.c, t.step_stations.c
    lead = next(iter(asked), "")
    start: ColumnElement[str] = aside(s.start) if lead in _UNORDERED else s.start
    query = _keys(_steps()).order_by(start, s.order_id, s.position)
    if lead == "stations":
        query = _keys(_steps().join(t.step_stations, _IS_STATION)).where(stations.ae.in_(asked["stations"]))
        query, start = query.order_by(start, s.order_id, s.position), stations.start
    where = [_condition(name, values, name == lead) for name, values in asked.items() if name not in _AT_START]
    if "start_from" in asked:
        where.append(start >= asked["start_from"][0])
    if "start_to" in asked:
        where.append(start <= asked["start_to"][0])
    return query.where(t.IS_LISTED, *where)


_AT_START = ("start_from", "start_to")

_IS_STATION = and_(
    t.step_stations.c.order_id == t.steps.c.order_id,
    t.step_stations.c.procedure_id == t.steps.c.procedure_id,
    t.step_stations.c.step_id == t.steps.c.step_id,
)


def _steps() -> FromClause:
    return t.steps.join(t.patients, t.patients.c.ref == t.steps.c.patient_ref)


def _keys(source: FromClause) -> Select[Any]:
    s = t.steps.c
    return select(s.order_id, s.procedure_id, s.step_id, s.order_version, t.patients.c.version).select_from(source)


def _condition(name: str, values: Any, is_leading: bool) -> ColumnElement[bool]:
    s = t.steps.c
    match name:
        case "name":
            name_key = aside(t.patients.c.name_key)
            return and_(name_key >= values[0], name_key < values[1])
        case "stations":
            has_one = exists().where(_IS_STATION, t.step_stations.c.ae.in_(values)).correlate(t.steps)
            return t.IS_LISTED if is_leading else has_one
        case "accessions":
            accession = t.orders.c.accession
            column, wanted = s.order_id, select(t.orders.c.id).where(t.present(accession), accession.in_(values))
        case "study_uids":
            column = s.order_id
            wanted = select(t.order_studies.c.order_id).where(t.order_studies.c.study_uid.in_(values))
        case "modalities":
            return s.modality.in_(values)
        case _:
            columns = {"step_ids": s.step_id, "patients": s.patient_ref, "procedure_ids": s.procedure_id}
            column, wanted = columns[name], values
    return (column if is_leading else aside(column)).in_(wanted)
