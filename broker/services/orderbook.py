"""One request against the order book, inside the writing transaction: which order it means, what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from broker.domain.booking import book_cancelled, decide, is_same_patient, update_patient
from broker.domain.events import Event
from broker.domain.facts import snapshot
from broker.domain.identity import compare
from broker.domain.order import Number, Order, Patient
from broker.domain.records import Tombstone
from broker.domain.request import Decision, OrderRequest, PatientRequest, Remark
from broker.errors import BrokerError
from broker.ports import Ids
from broker.services.draft import Draft, request_numbers

TOMBSTONE_LASTS = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a request comes from: shown in the timeline. *text* like ``ORM^O01 NW from HIS``."""

    text: str
    now: datetime
    zone: tzinfo
    ref: Mapping[str, str]


def apply_request(
    draft: Draft, request: OrderRequest, source: Source, ids: Ids, is_one_of_many: bool
) -> tuple[str, ...]:
    """Apply *request* to the orders that it means and note the events; give their ids, none when nobody knows the order.

    Raises BrokerError (AE 205) when the message names another patient than the order's; that is noted in the order.
    """
    order = find_order(draft, request, is_one_of_many)
    if order is None and request.action not in ("create", "update"):
        _bury(draft, request, source)
        return ()
    orders = [order, *_siblings(draft, order, request)] if order is not None else [None]
    return tuple(_apply(draft, one, request, source, ids) for one in orders)


def _apply(draft: Draft, order: Order | None, request: OrderRequest, source: Source, ids: Ids) -> str:
    patient = _patient(draft, order, request, source, ids)
    new = Order(
        id=ids(),
        facility=request.facility,
        patient_ref=patient.ref,
        created_at=source.now,
        updated_at=source.now,
    )
    tombstones = draft.find_tombstones(request, source.now) if order is None else []
    if tombstones:
        draft.used_tombstones.extend(tombstones)
        decision = book_cancelled(request, new, source.now)
    else:
        decision = decide(order, request, new, source.now)
    draft.keep(decision.order)
    _note(draft, decision, patient, source, ids)
    return decision.order.id


def find_order(draft: Draft, request: OrderRequest, is_one_of_many: bool) -> Order | None:
    """Find the order by filler number, then placer number, then accession with the same patient (policies 3.1).

    One number may stand for several orders: then the accession number tells them apart.
    """
    by_accession = _find_by_accession(draft, request)
    for key in request_numbers(request):
        if key[0] == "accession":
            break
        for order in draft.find_orders(*key):
            if not _is_other_accession(order, request):
                return order
            is_group = key[0] == "placer" and _is_other_filler(order, request)
            if by_accession is None and not is_one_of_many and not is_group:
                return order
    if by_accession is None and request.action != "create":
        return _find_by_bare_number(draft, request)
    return by_accession


def _find_by_bare_number(draft: Draft, request: OrderRequest) -> Order | None:
    """Find the one order whose number agrees where one side leaves the namespace out, as short cancels do."""
    for kind, number in (("any filler", request.filler), ("any placer", request.placer)):
        if number is None or not number.number:
            continue
        same = [
            order
            for order in draft.find_orders(kind, request.facility, number.number)
            if not _is_other_accession(order, request) and _is_namespace_left_out(order, number)
        ]
        if len(same) == 1:
            return same[0]
    return None


def _is_namespace_left_out(order: Order, number: Number) -> bool:
    known = {namespace for _, _, namespace, known in order.numbers if known == number.number}
    return not number.namespace or "" in known


def _is_other_accession(order: Order, request: OrderRequest) -> bool:
    return bool(request.is_accession_own and order.accession and request.accession != order.accession)


def _is_other_filler(order: Order, request: OrderRequest) -> bool:
    return bool(request.filler and order.filler and request.filler != order.filler)


def _find_by_accession(draft: Draft, request: OrderRequest) -> Order | None:
    if not request.accession:
        return None
    for order in draft.find_orders("accession", request.accession):
        issuers = {order.accession_issuer, request.accession_issuer} - {""}
        if len(issuers) > 1:
            continue
        if request.patient is None and order.facility == request.facility:
            return order
        if request.patient is None or not is_same_patient(draft.get_patient(order.patient_ref), request.patient):
            continue
        if order.facility == request.facility or not _is_stranger(
            draft.get_patient(order.patient_ref), request.patient
        ):
            return order
    return None


def _is_stranger(patient: Patient, request: PatientRequest) -> bool:
    """Say whether one patient number means two people: no issuer in common, and name or birth date contradict."""
    if patient.issuer and patient.issuer == request.issuer:
        return False
    likeness = compare(update_patient(_nobody(request), request).identity, patient)
    return likeness.name is False or likeness.birth_date is False


def _nobody(request: PatientRequest) -> Patient:
    return Patient(ref="", patient_id=request.patient_id, issuer=request.issuer)


def _siblings(draft: Draft, order: Order, request: OrderRequest) -> list[Order]:
    """List the patient's other orders under the same number, when a wish or a status names no other thing than that number."""
    number = request.filler or request.placer
    if request.action in ("create", "update") or request.is_accession_own or number is None:
        return []
    kind = "filler" if request.filler else "placer"
    key = (kind, request.facility, number.namespace, number.number)
    return [o for o in draft.find_orders("patient", order.patient_ref) if o.id != order.id and key in o.numbers]


def _patient(draft: Draft, order: Order | None, request: OrderRequest, source: Source, ids: Ids) -> Patient:
    if order is not None:
        patient = draft.get_patient(order.patient_ref)
        if request.patient is None:
            return patient
        if not is_same_patient(patient, request.patient):
            raise _wrong_patient(draft, order, patient, source, ids)
    elif request.patient is None:
        raise BrokerError(
            "a new order needs a patient",
            code="R101",
            hint="fill PID-3 with the patient's number",
            hl7_code="101",
            location="PID^1^3",
        )
    else:
        found = draft.find_patient(request.patient)
        patient = found or Patient(ref=ids(), patient_id=request.patient.patient_id, issuer=request.patient.issuer)
    changed = update_patient(patient, request.patient)
    if changed == patient and patient.attributes:
        return patient
    draft.patients[changed.ref] = changed
    if patient.attributes and changed.identity != patient.identity:
        facts = snapshot(source.now.astimezone(source.zone), patient=changed)
        is_doubtful = _is_somebody_else(patient, changed)
        draft.events.append(
            Event(
                id=ids(),
                type="patient.updated",
                at=source.now,
                text=f"patient {'has another name and birth date now' if is_doubtful else 'updated'}: {source.text}",
                is_alarm=is_doubtful,
                patient_ref=changed.ref,
                order_id=order.id if order else "",
                subject=order.accession if order else "",
                facts=facts,
                ref=source.ref,
            )
        )
    return changed if changed.attributes else patient


def _is_somebody_else(before: Patient, after: Patient) -> bool:
    likeness = compare(after.identity, before)
    return likeness.name is False and likeness.birth_date is False


def _wrong_patient(draft: Draft, order: Order, patient: Patient, source: Source, ids: Ids) -> BrokerError:
    """Note in the order that a message named somebody else; give the refusal."""
    refused = Remark(type="order.noted", text="refused, it names another patient than the order has", is_alarm=True)
    _note(draft, Decision(order=order, remarks=(refused,)), patient, source, ids)
    return BrokerError(
        "the message names another patient than the order has",
        code="R205",
        hint="check PID-3 and the order number; a merge of the two patients must come first",
        hl7_code="205",
        location="PID^1^3",
    )


def _bury(draft: Draft, request: OrderRequest, source: Source) -> None:
    """Keep the cancel of an unknown order for a day, so that a late new order does not bring it to life."""
    if request.action != "cancel":
        return
    expires_at = source.now + TOMBSTONE_LASTS
    for kind, facility, namespace, number in request_numbers(request):
        draft.tombstones.append(
            Tombstone(kind=kind, facility=facility, namespace=namespace, number=number, expires_at=expires_at)  # type: ignore[arg-type]
        )


def _note(draft: Draft, decision: Decision, patient: Patient, source: Source, ids: Ids) -> None:
    if not decision.remarks:
        return
    order = decision.order
    facts = snapshot(source.now.astimezone(source.zone), order=order, patient=patient)
    for remark in decision.remarks:
        draft.events.append(
            Event(
                id=ids(),
                type=remark.type,
                at=source.now,
                text=_line(remark, source),
                order_id=order.id,
                patient_ref=patient.ref,
                subject=order.accession or next((p.study_uid for p in order.procedures), ""),
                is_alarm=remark.is_alarm,
                facts=facts,
                ref=source.ref,
            )
        )


def _line(remark: Remark, source: Source) -> str:
    return f"{source.text}: {remark.text}"
