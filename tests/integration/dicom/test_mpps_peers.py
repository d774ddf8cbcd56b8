"""MPPS by pynetdicom as the modality, over real sockets into a real store."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep

from broker.dicom.client import associate
from broker.dicom.dataset import EXPLICIT, write_item

Opener = Callable[..., Any]
Answer = tuple[int, int]


class Modality:
    """One association of a modality; blocks."""

    def __init__(self, port: int, syntax: str = ExplicitVRLittleEndian, ae_title: str = "CT1") -> None:
        ae = AE(ae_title=ae_title)
        ae.add_requested_context(ModalityPerformedProcedureStep, [syntax])
        self.association = ae.associate("127.0.0.1", port, ae_title="BROKER")
        assert self.association.is_established

    def create(self, attributes: Dataset, uid: str | None = "1.2.77") -> Dataset:
        return self.association.send_n_create(attributes, ModalityPerformedProcedureStep, uid)[0]

    def set(self, attributes: Dataset, uid: str = "1.2.77") -> Dataset:
        return self.association.send_n_set(attributes, ModalityPerformedProcedureStep, uid)[0]


def started() -> Dataset:
    one, scheduled = Dataset(), Dataset()
    one.SpecificCharacterSet = "ISO_IR 100"
    scheduled.StudyInstanceUID, scheduled.AccessionNumber = "1.2.41", "A41"
    scheduled.RequestedProcedureID, scheduled.ScheduledProcedureStepID = "RP41", "SP41"
    one.ScheduledStepAttributesSequence = Sequence([scheduled])
    one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = "Ibáñez^Núria", "77041", "19790312", "F"
    one.PerformedProcedureStepID, one.PerformedStationAETitle, one.Modality = "PPS1", "CT1", "CT"
    one.PerformedProcedureStepStartDate, one.PerformedProcedureStepStartTime = "20260401", "101500"
    one.PerformedProcedureStepStatus = "IN PROGRESS"
    return one


def ended(status: str = "COMPLETED") -> Dataset:
    one, series, reference = Dataset(), Dataset(), Dataset()
    one.PerformedProcedureStepStatus = status
    one.PerformedProcedureStepEndDate, one.PerformedProcedureStepEndTime = "20260401", "103000"
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.41.1.1"
    series.SeriesInstanceUID, series.ProtocolName = "1.2.41.1", "Abdomen"
    series.ReferencedImageSequence = Sequence([reference])
    one.PerformedSeriesSequence = Sequence([series])
    return one


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_an_examination_moves_its_step(site: Opener, syntax: str) -> None:
    async def story() -> None:
        async with site() as running:
            order = await running.book()
            modality = await asyncio.to_thread(Modality, running.port, syntax)
            assert (await asyncio.to_thread(modality.create, started())).Status == 0x0000
            assert (await running.store.orders.get(order.id)).steps[0].status == "STARTED"
            assert (await asyncio.to_thread(modality.set, ended())).Status == 0x0000
            await asyncio.to_thread(modality.association.release)
            life = await running.store.orders.life(order.id)
            (performed,) = life.performed
            assert life.order.steps[0].status == "COMPLETED"
            assert (performed.patient.name, performed.instances) == ("Ibáñez^Núria", ("1.2.41.1.1",))
            assert [one.kind for one in await running.store.instances.raw_data_sets("1.2.77")] == ["create", "set"]

    asyncio.run(story())


def ask_the_lenient(port: int) -> list[Answer]:
    modality = Modality(port)
    other = ended("DISCONTINUED")
    answers = [
        modality.create(started()),
        modality.create(started()),
        modality.create(ended()),
        modality.set(ended("COMPLETE")),
        modality.set(ended("COMPLETE")),
        modality.set(other),
        modality.set(ended(), "1.2.78"),
    ]
    modality.association.release()
    return [(one.Status, one.get("ErrorID", 0)) for one in answers]


def test_the_lenient_answers(site: Opener) -> None:
    async def story() -> None:
        async with site() as running:
            assert await asyncio.to_thread(ask_the_lenient, running.port) == [
                (0x0000, 0),
                (0x0000, 0),
                (0x0111, 0),
                (0x0000, 0),
                (0x0000, 0),
                (0x0110, 0xA710),
                (0x0112, 0),
            ]

    asyncio.run(story())


def test_an_order_that_nobody_knows_is_no_reason_to_refuse(site: Opener) -> None:
    def examine(port: int) -> list[int]:
        modality = Modality(port)
        return [modality.create(started()).Status, modality.set(ended()).Status]

    async def story() -> None:
        async with site() as running:
            assert await asyncio.to_thread(examine, running.port) == [0x0000, 0x0000]

    asyncio.run(story())


def test_a_step_without_a_uid_gets_one_and_its_repeat_the_same(site: Opener) -> None:
    async def story() -> None:
        async with site() as running:
            contexts = [(ModalityPerformedProcedureStep, [EXPLICIT])]
            async with associate("127.0.0.1", running.port, calling="CT1", called="B", contexts=contexts) as modality:
                content = write_item({"PatientID": "77041", "Modality": "CT"}, EXPLICIT)
                first = await modality.n_create(ModalityPerformedProcedureStep, "", content, EXPLICIT)
                second = await modality.n_create(ModalityPerformedProcedureStep, "", content, EXPLICIT)
            assert first.status == second.status == 0x0000
            assert first.sop_instance == second.sop_instance
            assert len(await running.store.instances.raw_data_sets(first.sop_instance)) == 1

    asyncio.run(story())


def test_the_strict_are_answered_by_the_book(site: Opener) -> None:
    def examine(port: int) -> list[int]:
        modality = Modality(port)
        return [modality.create(started()).Status, modality.create(ended()).Status]

    async def story() -> None:
        async with site(strict=frozenset({"CT1"})) as running:
            assert await asyncio.to_thread(examine, running.port) == [0x0120, 0x0106]

    asyncio.run(story())
