"""What jobs see of each other within one transaction, and afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.domain.order import Identity, Number, Order, Patient
from broker.domain.performed import PerformedStep, StepKey, StepReference
from broker.domain.records import Delivery, RawDataSet, StoredMessage, Tombstone
from broker.domain.study import Instance, Study
from broker.ports import Changes, Job
from broker.store import held
from broker.store.dialects import open_engine


def results(batches, *jobs):
    outcomes = batches.run(jobs)
    assert [outcome.error for outcome in outcomes] == [None] * len(jobs)
    return [outcome.result for outcome in outcomes]


@pytest.mark.parametrize("is_one_batch", [True, False])
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (Order, ("id", "order-001")),
        (Order, ("filler", "GENERAL", "RIS", "F1")),
        (Order, ("placer", "GENERAL", "", "P1")),
        (Order, ("accession", "A1")),
        (Order, ("study", "1.2.1")),
        (Order, ("step", "S1")),
        (Order, ("patient", "ref-77041")),
        (Patient, ("ref", "ref-77041")),
        (Patient, ("identity", "77041", "GENERAL")),
        (PerformedStep, ("uid", "1.9")),
        (PerformedStep, ("order", "order-001")),
        (PerformedStep, ("study", "1.2.1")),
        (RawDataSet, ("uid", "1.9")),
        (Study, ("uid", "1.2.1")),
        (Study, ("order", "order-001")),
        (Instance, ("sop", "1.2.1.1.1")),
        (Instance, ("study", "1.2.1")),
        (Delivery, ("id", "delivery-001")),
        (Delivery, ("copy", "1.2.1", "1.2.1.1.1")),
        (StoredMessage, ("id", "message-001")),
        (StoredMessage, ("key", "key 1")),
        (StoredMessage, ("problem", "his ORM M012")),
        (Tombstone, ("filler", "GENERAL", "RIS", "F9")),
        (Tombstone, ("accession", "GENERAL", "", "A9")),
    ],
)
def test_a_row_is_found_under_each_of_its_keys(batches, rows, save, find, kind, key, is_one_batch):
    saved = (
        rows.patient(),
        rows.order(),
        PerformedStep(
            uid="1.9",
            ae="CT1",
            patient=Identity(patient_id="77041"),
            references=(StepReference(study_uid="1.2.1"),),
            links=(StepKey(order_id="order-001", procedure_id="RP1", step_id="S1"),),
            created_at=rows.now,
            updated_at=rows.now,
        ),
        RawDataSet(uid="1.9", kind="create", at=rows.now, transfer_syntax="1.2", content=b"\x00\xff"),
        rows.study(order_ids=("order-001",)),
        rows.instance(),
        rows.delivery(sop_uid="1.2.1.1.1", study_uid="1.2.1"),
        rows.message(problem_key="his ORM M012"),
        Tombstone(kind="filler", facility="GENERAL", namespace="RIS", number="F9", expires_at=rows.now),
        Tombstone(kind="accession", facility="GENERAL", namespace="", number="A9", expires_at=rows.now),
    )

    if is_one_batch:
        _, found = results(batches, save(*saved), find(kind, *key))
    else:
        results(batches, save(*saved))
        (found,) = results(batches, find(kind, *key))

    assert found == tuple(row for row in saved if type(row) is kind and key in _keys(kind, row))
    assert found


def _keys(kind, row):
    from broker.store.recordkinds import KINDS

    return tuple(KINDS[kind].keys(row))


def test_a_job_finds_the_newest_value_whatever_key_it_asks_by(batches, rows, save, find):
    results(batches, save(rows.order()))

    found = results(
        batches,
        save(rows.order(accession="A2", steps=(rows.step(step_id="S2"),))),
        find(Order, "accession", "A2"),
        find(Order, "accession", "A1"),
        find(Order, "step", "S2"),
        find(Order, "step", "S1"),
    )[1:]

    assert [len(orders) for orders in found] == [1, 0, 1, 0]


def test_a_key_that_was_not_announced_is_looked_up_with_the_batch_in_view(batches, rows, save):
    results(batches, save(rows.order(1, accession="SHARED"), rows.order(2, accession="SHARED")))
    looking = Job(keys=(), decide=lambda held: Changes(result=held.find(Order, "accession", "SHARED")))

    _, found = results(batches, save(rows.order(1, accession="OWN"), rows.order(3, accession="SHARED")), looking)

    assert [order.id for order in found] == ["order-002", "order-003"]


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_the_first_order_with_a_number_keeps_it(batches, rows, save, find, is_one_batch):
    number = Number(number="F7", namespace="RIS")
    jobs = [save(rows.order(2, filler=number)), save(rows.order(1, filler=number))]
    if is_one_batch:
        results(batches, *jobs)
    else:
        results(batches, jobs[0])
        results(batches, jobs[1])

    (found,) = results(batches, find(Order, "filler", "GENERAL", "RIS", "F7"))

    assert [order.id for order in found] == ["order-002"]


def test_the_first_order_with_a_number_keeps_it_in_the_eyes_of_its_own_batch(batches, rows, save, find):
    number = Number(number="F7", namespace="RIS")
    results(batches, save(rows.order(2, filler=number)))

    _, found = results(batches, save(rows.order(1, filler=number)), find(Order, "filler", "GENERAL", "RIS", "F7"))

    assert [order.id for order in found] == ["order-002"]


@pytest.mark.parametrize("is_one_batch", [True, False])
def test_a_patient_is_found_by_a_number_of_old_unless_somebody_has_it_now(batches, rows, save, find, is_one_batch):
    moved = rows.patient("77041", former=(Identity(patient_id="OLD", issuer="GENERAL"),))
    job = save(moved, rows.patient("NEW"))
    (before,) = results(batches, job, find(Patient, "identity", "OLD", "GENERAL"))[1:]
    other = save(rows.patient("OLD"))
    asked = find(Patient, "identity", "OLD", "GENERAL")
    after = (
        results(batches, other, asked)[1] if is_one_batch else (results(batches, other), results(batches, asked)[0])[1]
    )

    assert [patient.ref for patient in before] == ["ref-77041"]
    assert [patient.ref for patient in after] == ["ref-OLD"]


def test_a_deleted_row_is_found_no_more(batches, rows, save, find):
    stone = Tombstone(kind="filler", facility="GENERAL", namespace="", number="F1", expires_at=rows.now)
    results(batches, save(stone, rows.order()))
    key = ("filler", "GENERAL", "", "F1")

    _, in_batch, order = results(
        batches,
        Job(keys=(), decide=lambda held: Changes(delete=(stone, rows.order()), result=None)),
        find(Tombstone, *key),
        find(Order, "step", "S1"),
    )

    assert (in_batch, order) == ((), ())
    assert results(batches, find(Tombstone, *key), find(Order, "placer", "GENERAL", "", "P1")) == [(), ()]


@pytest.mark.parametrize(
    ("kind", "key"),
    [(Order, ("accession", "")), (StoredMessage, ("key", "")), (Patient, ("identity", "", "GENERAL"))],
)
def test_an_empty_key_finds_nothing(batches, rows, save, find, kind, key):
    results(batches, save(rows.order(accession=""), rows.message(key=""), rows.patient("")))

    assert results(batches, find(kind, *key)) == [()]


def test_more_keys_than_fit_one_query_are_all_looked_up(batches, rows, save):
    results(batches, save(*(rows.order(n) for n in range(600))))
    keys = tuple((Order, ("accession", f"A{n}")) for n in range(600))
    counting = Job(keys=keys, decide=lambda held: Changes(result=sum(len(held.find(*_flat(key))) for key in keys)))

    assert results(batches, counting) == [600]


def _flat(key):
    return key[0], *key[1]


def test_a_row_saved_again_replaces_what_it_was(batches, rows, save, find):
    results(batches, save(rows.order(), rows.message()))
    changed = replace(rows.order(), steps=(), procedures=())

    results(batches, save(changed, rows.message(answer=b"MSA|AE")))

    assert results(batches, find(Order, "id", "order-001"), find(Order, "step", "S1")) == [(changed,), ()]
    assert results(batches, find(StoredMessage, "key", "key 1"))[0][0].answer == b"MSA|AE"


def test_what_another_program_changes_between_two_batches_is_seen(batches, rows, save, find, database_url):
    batches.run([save(rows.order(1))])
    assert batches.run([find(Order, "accession", "A1")])[0].result == (rows.order(1),)

    with open_engine(database_url).connect() as other:
        other.exec_driver_sql("DELETE FROM orders")

    assert batches.run([find(Order, "accession", "A1")])[0].result == ()


def test_what_was_found_before_is_found_again_after_a_batch_that_failed(batches, rows, save, find):
    batches.run([save(rows.order(1))])
    batches.run([save(rows.order(2), rows.order(3, accession=None))])

    assert batches.run([find(Order, "patient", "ref-77041")])[0].result == (rows.order(1),)


def test_as_many_keys_are_remembered_as_there_is_room_for(batches, rows, save, find, monkeypatch):
    monkeypatch.setattr(held, "MOST_KNOWN", 10)
    for n in range(20):
        batches.run([save(rows.order(n))])

    assert len(batches.run([find(Order, "patient", "ref-77041")])[0].result) == 20
