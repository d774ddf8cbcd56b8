"""What a job's requests have made of the order book so far: later ones of the same message see it."""

from __future__ import annotations

from datetime import datetime

from broker.domain.events import Event
from broker.domain.order import Order, Patient
from broker.domain.records import Tombstone
from broker.domain.request import OrderRequest, PatientRequest
from broker.ports import Held


class Draft:
    """The rows of a job as its own earlier requests have left them."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.orders: dict[str, Order] = {}
        self._kept: list[Order] = []
        self._order_ids: dict[tuple[str, ...], dict[str, None]] = {}
        self.patients: dict[str, Patient] = {}
        self.tombstones: list[Tombstone] = []
        self.used_tombstones: list[Tombstone] = []
        self.events: list[Event] = []

    def keep(self, order: Order) -> None:
        """Take *order* in the place of what it was."""
        self.orders[order.id] = order
        self._kept.append(order)

    def find_orders(self, *key: str) -> tuple[Order, ...]:
        """Find orders under *key* (see ports.Held), this job's own changes included."""
        for order in self._kept:
            for name in (*order.numbers, ("accession", order.accession), ("patient", order.patient_ref)):
                self._order_ids.setdefault(name, {})[order.id] = None
        self._kept.clear()
        held = self._held.find(Order, *key)
        if not self.orders:
            return held
        found = {order.id: self.orders.get(order.id, order) for order in held}
        found |= {order_id: self.orders[order_id] for order_id in self._order_ids.get(key, ())}
        return tuple(found.values())

    def find_patient(self, request: PatientRequest) -> Patient | None:
        """Find the patient by number and issuer."""
        for patient in self.patients.values():
            if (patient.patient_id, patient.issuer) == (request.patient_id, request.issuer):
                return patient
        return next(iter(self._held.find(Patient, "identity", request.patient_id, request.issuer)), None)

    def get_patient(self, ref: str) -> Patient:
        """Give the patient with our reference *ref*."""
        return self.patients.get(ref) or self._held.find(Patient, "ref", ref)[0]

    def find_tombstones(self, request: OrderRequest, now: datetime) -> list[Tombstone]:
        """Find cancels that came before their order."""
        keys = request_numbers(request)
        found = [t for key in keys for t in self._held.find(Tombstone, *key)]
        return [t for t in found if t.expires_at > now and t not in self.used_tombstones]


def request_numbers(request: OrderRequest) -> list[tuple[str, str, str, str]]:
    """List the keys by which later messages may name the order: (kind, facility, namespace, number)."""
    keys = []
    for kind, number in (("filler", request.filler), ("placer", request.placer)):
        if number is not None and number.number:
            keys.append((kind, request.facility, number.namespace, number.number))
    if request.accession:
        keys.append(("accession", request.facility, request.accession_issuer, request.accession))
    return keys
