"""A simulated scanner: asks for its worklist, reports what it does (MPPS) if it can, sends images."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime

from broker.dicom.client import Answer, ClientAssociation, associate
from broker.dicom.dataset import read_item, write_item
from broker.dicom.find import WORKLIST_FIND
from broker.dicom.mpps import PERFORMED_STEP
from broker.domain.order import Item
from broker.errors import BrokerError
from broker.sim.objects import IMAGE_CLASSES, UTF_8, Image, begin_step, end_step, new_uid
from broker.ul.negotiation import EXPLICIT_LITTLE

QUERY: Item = {
    "SpecificCharacterSet": "ISO_IR 192",
    "AccessionNumber": "",
    "PatientName": "",
    "PatientID": "",
    "IssuerOfPatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyInstanceUID": "",
    "RequestedProcedureID": "",
    "RequestedProcedureDescription": "",
}
STEP: Item = {
    "ScheduledProcedureStepStartDate": "",
    "ScheduledProcedureStepStartTime": "",
    "ScheduledProcedureStepID": "",
    "ScheduledProcedureStepDescription": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """A scanner with AE title *ae*; the broker is *called* on loopback *port*. One without *has_mpps* reports nothing."""

    ae: str
    modality: str
    has_mpps: bool
    port: int
    called: str

    def _associate(self, sop_class: str) -> AbstractAsyncContextManager[ClientAssociation]:
        return associate(
            "127.0.0.1", self.port, calling=self.ae, called=self.called, contexts=[(sop_class, [EXPLICIT_LITTLE])]
        )

    async def worklist(self, accession: str) -> list[Item]:
        """Ask for the entries of one order."""
        step = {**STEP, "Modality": self.modality}
        identifier = {**QUERY, "AccessionNumber": accession, "ScheduledProcedureStepSequence": [step]}
        raw = write_item(identifier, EXPLICIT_LITTLE, UTF_8)
        async with self._associate(WORKLIST_FIND) as association:
            return [
                read_item(found, EXPLICIT_LITTLE)
                async for _status, found in association.find(WORKLIST_FIND, raw, EXPLICIT_LITTLE)
                if found
            ]

    async def begin(self, entry: Item, at: datetime) -> str:
        """Report that the step of *entry* has begun (N-CREATE); give the MPPS UID, empty for a scanner without MPPS."""
        if not self.has_mpps:
            return ""
        uid = new_uid()
        raw = begin_step(entry, self.ae, self.modality, at)
        async with self._associate(PERFORMED_STEP) as association:
            _expect(await association.n_create(PERFORMED_STEP, uid, raw, EXPLICIT_LITTLE), "N-CREATE")
        return uid

    async def end(self, uid: str, images: Sequence[Image], status: str, at: datetime) -> None:
        """Report the end of the step (N-SET) with what was made; *uid* empty: this scanner reports nothing."""
        if not uid:
            return
        raw = end_step(images, self.modality, status, at)
        async with self._associate(PERFORMED_STEP) as association:
            _expect(await association.n_set(PERFORMED_STEP, uid, raw, EXPLICIT_LITTLE), "N-SET")

    async def store(self, images: Sequence[Image]) -> None:
        """Send the images over one association."""
        sop_class = IMAGE_CLASSES[self.modality]
        async with self._associate(sop_class) as association:
            for image in images:
                _expect(await association.store(sop_class, image.uid, EXPLICIT_LITTLE, image.content), "C-STORE")


def _expect(answer: Answer, what: str) -> None:
    if not answer.is_success:
        raise BrokerError(f"{what} was answered {answer.status:04X}H {answer.comment}".rstrip(), code="X001")
