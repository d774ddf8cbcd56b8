"""Patients, orders with their steps, performed steps, studies and objects: how they are kept and found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from broker.domain.identity import items, text
from broker.domain.order import Order, Patient, Step
from broker.domain.performed import PerformedStep
from broker.domain.records import RawDataSet
from broker.domain.study import Instance, Study
from broker.domain.text import name_key
from broker.domain.worklist import LISTED
from broker.store import tables as t
from broker.store.codec import moment
from broker.store.kinds import Finder, Kind, NamedKey, Projection, by, links, through


def _patient_keys(patient: Patient) -> Iterator[NamedKey]:
    yield "ref", patient.ref
    yield "identity", patient.patient_id, patient.issuer
    for former in patient.former:
        yield "identity", former.patient_id, former.issuer


def _alias_rows(patient: Patient) -> list[tuple[str, str, str, int]]:
    """List the other identifiers of the patient, each once: those of old, and those that are true elsewhere."""
    if not patient.former and "OtherPatientIDsSequence" not in patient.attributes:
        return []
    former = [(one.patient_id, one.issuer) for one in patient.former]
    elsewhere = [
        (text(one, "PatientID"), text(one, "IssuerOfPatientID"))
        for one in items(patient.attributes, "OtherPatientIDsSequence")
    ]
    now = (patient.patient_id, patient.issuer)
    pairs = dict.fromkeys(former + elsewhere)
    return [(*pair, patient.ref, int(pair in former)) for pair in pairs if pair[0] and pair != now]


def _is_current(patient: Patient, key: NamedKey) -> bool:
    return key[0] != "identity" or key[1:] == (patient.patient_id, patient.issuer)


def _order_keys(order: Order) -> Iterator[NamedKey]:
    yield "id", order.id
    yield "accession", order.accession
    yield "patient", order.patient_ref
    for kind, facility, namespace, number in order.numbers:
        yield kind, facility, namespace, number
        yield f"any {kind}", facility, number
    for study_uid in _study_uids(order):
        yield "study", study_uid
    for step in order.steps:
        yield "step", step.step_id


def _study_uids(order: Order) -> tuple[str, ...]:
    asked = (procedure.study_uid for procedure in order.procedures)
    return tuple(uid for uid in dict.fromkeys((*asked, *order.study_uids)) if uid)


def _order_columns(order: Order, version: int) -> tuple[Any, ...]:
    created_at = moment(order.created_at)
    return (
        order.accession,
        order.patient_ref,
        order.status.value,
        next(iter(order.modalities), ""),
        min((step.start for step in order.steps if step.start), default=""),
        order.facility,
        created_at,
        moment(order.updated_at),
        version,
    )


def _step_rows(order: Order, version: int) -> Iterator[tuple[Any, ...]]:
    for position, step in enumerate(order.steps):
        yield (
            order.id,
            step.procedure_id,
            step.step_id,
            position,
            order.patient_ref,
            step.status.value,
            step.modality,
            step.start,
            int(step.status in LISTED),
            moment(step.completed_at),
            version,
        )


def _station_rows(order: Order) -> Iterator[tuple[str, ...]]:
    for step in order.steps:
        if step.status in LISTED:
            for station in _stations(step):
                yield station, step.start, order.id, step.procedure_id, step.step_id


def _stations(step: Step) -> tuple[str, ...]:
    """Give the stations, each once; a step without any is kept under the empty title, since it fits every scanner."""
    return tuple(dict.fromkeys(step.stations)) or ("",)


def _performed_keys(performed: PerformedStep) -> Iterator[NamedKey]:
    yield "uid", performed.uid
    for order_id in performed.order_ids:
        yield "order", order_id
    for study_uid in _performed_studies(performed):
        yield "study", study_uid


def _performed_studies(performed: PerformedStep) -> tuple[str, ...]:
    return tuple(uid for uid in dict.fromkeys(r.study_uid for r in performed.references) if uid)


def _study_columns(study: Study, version: int) -> tuple[Any, ...]:
    is_complete = int(study.completed_at is not None)
    return study.state, moment(study.last_at), moment(study.quiet_at), is_complete


PATIENT = Kind(
    type=Patient,
    is_remembered=True,
    table=t.patients,
    identity=lambda patient: (patient.ref,),
    keys=_patient_keys,
    finders={
        "ref": by(t.patients.c.ref),
        "identity": Finder(
            columns=(t.patients.c.patient_id, t.patients.c.issuer),
            source=t.patients,
            fixed=t.present(t.patients.c.patient_id),
            subject=1,
            otherwise=Finder(
                columns=(t.patient_aliases.c.patient_id, t.patient_aliases.c.issuer),
                source=t.patient_aliases.join(t.patients, t.patient_aliases.c.patient_ref == t.patients.c.ref),
                fixed=t.patient_aliases.c.is_former == 1,
                subject=1,
            ),
        ),
    },
    columns=lambda patient, version: (patient.patient_id, patient.issuer, name_key(patient.name), version),
    projections=(
        Projection(
            table=t.patient_aliases,
            owner="patient_ref",
            rows=lambda patient, version: _alias_rows(patient),
        ),
    ),
    prefers=_is_current,
)

_BY_NUMBER = Finder(
    columns=tuple(t.order_numbers.c[name] for name in ("kind", "facility", "namespace", "number")),
    source=t.order_numbers.join(t.orders, t.order_numbers.c.order_id == t.orders.c.id),
    is_named=True,
    is_owned=True,
)

ORDER = Kind(
    type=Order,
    is_remembered=True,
    table=t.orders,
    identity=lambda order: (order.id,),
    keys=_order_keys,
    finders={
        "id": by(t.orders.c.id),
        "accession": by(t.orders.c.accession),
        "patient": by(t.orders.c.patient_ref),
        "study": through(t.order_studies.c.study_uid, t.orders.c.id),
        "step": Finder(
            columns=(t.steps.c.step_id,),
            source=t.steps.join(t.orders, t.steps.c.order_id == t.orders.c.id),
        ),
        "placer": _BY_NUMBER,
        "filler": _BY_NUMBER,
        **{
            f"any {kind}": Finder(
                columns=(t.order_numbers.c.facility, t.order_numbers.c.number),
                source=t.order_numbers.join(t.orders, t.order_numbers.c.order_id == t.orders.c.id),
                fixed=t.order_numbers.c.kind == kind,
            )
            for kind in ("placer", "filler")
        },
    },
    columns=_order_columns,
    projections=(
        Projection(
            table=t.order_numbers,
            rows=lambda order, version: [(*number, order.id) for number in order.numbers],
        ),
        Projection(
            table=t.order_studies,
            rows=lambda order, version: [(uid, order.id) for uid in _study_uids(order)],
        ),
        Projection(table=t.steps, owner="order_id", rows=_step_rows),
        links(t.step_stations, "order_id", _station_rows),
    ),
)

PERFORMED = Kind(
    type=PerformedStep,
    is_remembered=True,
    table=t.performed,
    identity=lambda performed: (performed.uid,),
    keys=_performed_keys,
    finders={
        "uid": by(t.performed.c.uid),
        "order": through(t.performed_orders.c.order_id, t.performed.c.uid),
        "study": through(t.performed_studies.c.study_uid, t.performed.c.uid),
    },
    columns=lambda performed, version: (
        performed.status,
        performed.ae,
        moment(performed.updated_at),
        moment(performed.look_at),
    ),
    projections=(
        links(t.performed_orders, "uid", lambda performed: [(o, performed.uid) for o in performed.order_ids]),
        links(t.performed_studies, "uid", lambda p: [(uid, p.uid) for uid in _performed_studies(p)]),
    ),
)

RAW_DATA_SET = Kind(
    type=RawDataSet,
    table=t.raw_data_sets,
    identity=lambda raw: (raw.uid, raw.kind, moment(raw.at)),
    keys=lambda raw: (("uid", raw.uid),),
    finders={"uid": by(t.raw_data_sets.c.uid)},
    columns=lambda raw, version: (),
    blobs=("content",),
)

STUDY = Kind(
    type=Study,
    is_remembered=True,
    table=t.studies,
    identity=lambda study: (study.uid,),
    keys=lambda study: (("uid", study.uid), *(("order", order_id) for order_id in study.order_ids)),
    finders={
        "uid": by(t.studies.c.uid),
        "order": through(t.study_orders.c.order_id, t.studies.c.uid),
    },
    columns=_study_columns,
    projections=(
        links(t.study_orders, "study_uid", lambda study: [(o, study.uid) for o in dict.fromkeys(study.order_ids)]),
    ),
)

INSTANCE = Kind(
    type=Instance,
    is_remembered=True,
    table=t.instances,
    identity=lambda instance: (instance.sop_uid, instance.digest),
    keys=lambda instance: (("sop", instance.sop_uid), ("study", instance.study_uid)),
    finders={"sop": by(t.instances.c.sop_uid), "study": by(t.instances.c.study_uid)},
    columns=lambda instance, version: (instance.study_uid, instance.series_uid, instance.spool, instance.path),
)
