"""Is this the patient that a query names by ID: with the ID of today, or one of old (policy: worklist 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from broker.domain.order import Item
from broker.domain.patterns import Pattern, holds


@dataclass(frozen=True, slots=True)
class PatientKey:
    """Patient ID with its issuer, where the query names one: both are compared with the same identity."""

    ids: Pattern
    issuers: Pattern | None = None

    def accepts(self, item: Item) -> bool:
        """Say whether *item* is of that patient."""
        return self.is_current(item) or any(self._is(*identity) for identity in _former(item))

    def is_current(self, item: Item) -> bool:
        """Say whether the query names the patient by the ID of today."""
        return self._is(item.get("PatientID", ""), item.get("IssuerOfPatientID", ""))

    def _is(self, patient_id: str, issuer: str | None) -> bool:
        """Compare one identity; an issuer that nobody can know (None) is no contradiction."""
        if not holds(self.ids, patient_id):
            return False
        return self.issuers is None or issuer is None or holds(self.issuers, issuer)


def _former(item: Item) -> Iterator[tuple[str, str | None]]:
    for other in item.get("OtherPatientIDsSequence") or ():
        yield other.get("PatientID", ""), other.get("IssuerOfPatientID", "")
    others = item.get("OtherPatientIDs") or ()
    for patient_id in (others,) if isinstance(others, str) else others:
        yield patient_id, None
