"""Reading orders: searching, finding, and the whole life of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, or_, select, union
from sqlalchemy.sql.elements import ColumnElement

from broker.domain.events import Event
from broker.domain.order import Order, Patient
from broker.domain.performed import PerformedStep
from broker.domain.records import Delivery
from broker.domain.study import Study
from broker.store import tables as t
from broker.store.bookkinds import ORDER, PATIENT, PERFORMED, STUDY
from broker.store.connection import Connection
from broker.store.kinds import Kind
from broker.store.readers import Readers, aside, page, select_values
from broker.store.recordkinds import DELIVERY, EVENT
from broker.store.worklist_query import patient_query

MOST_PATIENTS = 100
"""Patients with one identifier, of different issuers, whose orders are searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLife:
    """All that is known of one order; *events* and *deliveries* in the order in which they came about."""

    order: Order
    patient: Patient
    performed: tuple[PerformedStep, ...]
    studies: tuple[Study, ...]
    deliveries: tuple[Delivery, ...]
    events: tuple[Event, ...]


class OrderReader:
    """What is committed of orders."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def search(
        self,
        *,
        accession: str = "",
        patient_id: str = "",
        status: str = "",
        modality: str = "",
        start_from: str = "",
        start_to: str = "",
        limit: int = 50,
        cursor: str = "",
    ) -> tuple[list[tuple[Order, Patient]], str]:
        """Find orders, the newest first, and the cursor of the next page (empty: there is none).

        Starts are local, YYYYMMDDHHMMSS or the beginning of it, both included; an order counts with its first step's.
        *modality* is that of the first step. *patient_id* may be one of old.
        """
        is_narrow = bool(accession or patient_id or start_from or start_to)
        conditions: list[ColumnElement[bool]] = []
        if accession:
            conditions += [t.present(t.orders.c.accession), t.orders.c.accession == accession]
        if patient_id:
            conditions.append(t.orders.c.patient_ref.in_(patient_query({"ids": [patient_id]}, MOST_PATIENTS)))
        for column, wanted in ((t.orders.c.status, status), (t.orders.c.modality, modality)):
            if wanted:
                conditions.append((aside(column) if is_narrow else column) == wanted)
        if start_from:
            conditions.append(t.orders.c.start >= start_from)
        if start_to:
            conditions.append(t.orders.c.start <= start_to + "~")
        if cursor:
            conditions.append(t.orders.c.id < cursor)
        latest = aside(t.orders.c.id) if is_narrow else t.orders.c.id
        query = (
            select(t.orders.c.id, t.orders.c.document, t.patients.c.document)
            .join(t.patients, t.patients.c.ref == t.orders.c.patient_ref)
            .where(*conditions)
            .order_by(latest.desc())
            .limit(limit + 1)
        )
        rows, following = page(await self._readers.rows(query), limit)
        return [(ORDER.value(order), PATIENT.value(patient)) for _, order, patient in rows], following

    async def get(self, order_id: str) -> Order | None:
        """Find the order with our id."""
        found = await self._readers.values(ORDER, _contents(ORDER).where(t.orders.c.id == order_id))
        return next(iter(found), None)

    async def by_accession(self, accession: str) -> list[Order]:
        """Find all orders with that accession number, the oldest first."""
        is_it = t.present(t.orders.c.accession) & (t.orders.c.accession == accession)
        return await self._readers.values(ORDER, _contents(ORDER).where(is_it).order_by(t.orders.c.id))

    async def life(self, order_id: str) -> OrderLife | None:
        """Give all that is known of one order, as of one moment."""
        return await self._readers.read(lambda connection: _life(connection, order_id))


def _contents(kind: Kind[Any]) -> Select[Any]:
    return select(*kind.content_columns)


def _life(connection: Connection, order_id: str) -> OrderLife | None:
    with connection.snapshot():
        orders = select_values(connection, ORDER, _contents(ORDER).where(t.orders.c.id == order_id))
        if not orders:
            return None
        order = orders[0]
        is_patient = t.patients.c.ref == order.patient_ref
        (patient,) = select_values(connection, PATIENT, _contents(PATIENT).where(is_patient))
        uids = select(t.performed_orders.c.uid).where(t.performed_orders.c.order_id == order_id)
        performed = select_values(connection, PERFORMED, _contents(PERFORMED).where(t.performed.c.uid.in_(uids)))
        studies = select_values(connection, STUDY, _studies_of(order))
        is_told = t.present(t.deliveries.c.order_id) & (t.deliveries.c.order_id == order_id)
        deliveries = _contents(DELIVERY).where(is_told).order_by(t.deliveries.c.id)
        return OrderLife(
            order=order,
            patient=patient,
            performed=tuple(sorted(performed, key=lambda one: one.created_at)),
            studies=tuple(sorted(studies, key=lambda one: one.first_at)),
            deliveries=tuple(select_values(connection, DELIVERY, deliveries)),
            events=tuple(select_values(connection, EVENT, _events_of(order, studies))),
        )


def _studies_of(order: Order) -> Select[Any]:
    own = select(t.study_orders.c.study_uid).where(t.study_orders.c.order_id == order.id)
    return _contents(STUDY).where(or_(t.studies.c.uid.in_(own), t.studies.c.uid.in_(order.study_uids)))


def _events_of(order: Order, studies: list[Study]) -> Select[Any]:
    """Select the order's own events, and those of its studies and its patient that are of no order."""
    c = t.events.c
    own = select(c.id).where(t.present(c.order_id), c.order_id == order.id)
    of_studies = select(c.id).where(
        t.NO_ORDER, t.present(c.study_uid), c.study_uid.in_([study.uid for study in studies])
    )
    of_patient = select(c.id).where(
        t.NO_ORDER, t.present(c.patient_ref), c.patient_ref == order.patient_ref, c.study_uid == ""
    )
    return _contents(EVENT).where(c.id.in_(union(own, of_studies, of_patient))).order_by(c.at, c.id)
