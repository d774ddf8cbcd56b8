"""What one job's fault does to the others of its transaction: nothing."""

from __future__ import annotations

from broker.domain.order import Order
from broker.domain.records import StoredMessage
from broker.errors import BrokerError
from broker.ports import Changes, Job
from broker.store import prepared, statements


def refuse(held):
    raise BrokerError("no such patient", code="R101")


def test_a_job_that_raises_fails_alone(batches, rows, save, find):
    outcomes = batches.run([save(rows.order(1)), Job(keys=(), decide=refuse), save(rows.order(2))])

    assert [outcome.error and outcome.error.code for outcome in outcomes] == [None, "R101", None]
    assert len(batches.run([find(Order, "patient", "ref-77041")])[0].result) == 2


def test_rows_that_cannot_be_written_fail_alone(batches, rows, save, find):
    poison = [
        save(rows.order(7, accession="\ud800")),
        save(rows.order(6, accession=None)),
        save(rows.order(8, attributes={"PatientComments": object()})),
        save("no row at all"),
        Job(keys=((Order, ("nonsense", "x")),), decide=lambda held: Changes(result=None)),
    ]

    outcomes = batches.run([save(rows.order(1)), *poison, save(rows.order(2))])

    assert [outcome.error is None for outcome in outcomes] == [True, *[False] * 5, True]
    assert [order.id for order in batches.run([find(Order, "patient", "ref-77041")])[0].result] == [
        "order-001",
        "order-002",
    ]


def test_a_repeat_key_belongs_to_one_message(batches, rows, save, find):
    outcomes = batches.run([save(rows.message(1, key="k")), save(rows.message(2, key="k")), save(rows.message(3))])

    assert [outcome.error and outcome.error.code for outcome in outcomes] == [None, "S002", None]
    assert [message.id for message in batches.run([find(StoredMessage, "key", "k")])[0].result] == ["message-001"]


def test_messages_without_a_repeat_key_are_all_kept(batches, rows, save):
    outcomes = batches.run([save(rows.message(n, key="")) for n in range(3)])

    assert [outcome.error for outcome in outcomes] == [None] * 3


def test_a_repeat_key_can_be_handed_on_in_one_job(batches, rows, save, find):
    batches.run([save(rows.message(1, key="k"))])

    (outcome,) = batches.run([save(rows.message(1, key=""), rows.message(2, key="k"))])

    assert outcome.error is None
    assert [message.id for message in batches.run([find(StoredMessage, "key", "k")])[0].result] == ["message-002"]


def test_a_conflict_is_decided_once_more_on_fresh_rows(batches, rows, save):
    batches.run([save(rows.message(1, key="k"))])
    tries = []

    def decide(held):
        tries.append(len(tries))
        key = "k" if len(tries) == 1 else "another"
        return Changes(save=(rows.message(2, key=key),), result=key)

    (outcome,) = batches.run([Job(keys=(), decide=decide)])

    assert (outcome.result, len(tries)) == ("another", 2)


def test_events_and_their_deliveries_are_kept_with_their_cause(batches, rows, select):
    batches._fan_out = lambda event: (rows.delivery(event_id=event.id),)
    job = Job(keys=(), decide=lambda held: Changes(save=(rows.order(),), events=(rows.event(),), result=None))

    batches.run([job])

    assert select("SELECT event_id FROM deliveries JOIN events ON events.id = event_id") == [("event-001",)]


def test_a_job_whose_fan_out_fails_leaves_nothing(batches, rows, select):
    def fan_out(event):
        raise ValueError("no such destination")

    batches._fan_out = fan_out
    job = Job(keys=(), decide=lambda held: Changes(save=(rows.order(),), events=(rows.event(),), result=None))

    (outcome,) = batches.run([job])

    assert isinstance(outcome.error, ValueError)
    assert select("SELECT count(*) FROM orders") == [(0,)]


def test_an_unchanged_row_keeps_its_version(batches, rows, save, select):
    batches.run([save(rows.patient())])
    before = select("SELECT version FROM patients")

    batches.run([Job(keys=(), decide=lambda held: Changes(save=held.find(*_patient()), result=None))])

    assert select("SELECT version FROM patients") == before


def _patient():
    from broker.domain.order import Patient

    return Patient, "ref", "ref-77041"


def test_what_is_prepared_is_not_compiled_when_the_first_jobs_come(batches, rows, save, find, monkeypatch):
    batches.run([Job(keys=(), decide=batches.prepare)])

    def compile_now(*_, **__):
        raise AssertionError("the first job waits for a statement")

    for module in (prepared, statements):
        monkeypatch.setattr(module, "compiled", compile_now)
    first = [save(rows.patient(), rows.order(), rows.message(), rows.event(), rows.delivery(), rows.study())]
    outcomes = batches.run([*first, find(Order, "accession", "A1"), find(Order, "filler", "GENERAL", "RIS", "F1")])

    assert [outcome.error for outcome in outcomes] == [None, None, None]
