"""Studies that are held, released, rejected and linked by hand."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from broker.domain.order import Identity

SOMEBODY = Identity(patient_id="99999", issuer="GENERAL", name="SOMEBODY^ELSE", birth_date="19500101")
HOLDING = {"CT1": True}


async def hold(d, accession="A1", count=2, **booked):
    """Book an order and let its study arrive with somebody else's name."""
    uid = d.uid(f"RP{accession}")
    await d.book(accession, **booked)
    for n in range(count):
        await d.arrive(f"1.{accession[1:]}.{n}", uid, patient=SOMEBODY)
    return uid


async def be_quiet(d, uid):
    d.later(minutes=10)
    await d.studies.look_again(uid)


def test_nothing_of_a_held_study_leaves_and_the_alarm_is_told_at_once(run):
    async def story(d):
        uid = await hold(d)
        await be_quiet(d, uid)
        await d.forward()
        await d.reconciliation.look_at_held()
        shown = generate_latest(d.metrics.registry).decode()
        return await d.study(uid), d.archives["PACS"].got, d.told("study.mismatched", "study.available"), shown

    study, got, (told,), shown = run(story, holding=HOLDING)

    assert (study.state, study.verdict, study.instances, study.pending) == ("held", "mismatched", 2, 0)
    assert study.held_at == study.first_at
    assert got == []
    assert told.is_alarm
    assert "held until a person releases or rejects it, at most until 10:45:00" in told.text
    assert "radbroker_studies_held 1.0" in shown


@pytest.mark.parametrize(
    ("patient", "priority", "ae", "state"),
    [
        (SOMEBODY, "", "CT1", "held"),
        (SOMEBODY, "HIGH", "CT1", "held"),
        (SOMEBODY, "STAT", "CT1", "arriving"),
        (SOMEBODY, "", "CT2", "arriving"),
        (
            Identity(patient_id="99999", issuer="GENERAL", name="IBANEZ^NURIA", birth_date="19790312"),
            "",
            "CT1",
            "arriving",
        ),
        (Identity(patient_id="77041", issuer="GENERAL", name="SOMEBODY^ELSE"), "", "CT1", "arriving"),
        (Identity(patient_id="99999", issuer="OTHER", name="SOMEBODY^ELSE"), "", "CT1", "arriving"),
        (Identity(patient_id="99999", birth_date="19500101"), "", "CT1", "held"),
        (Identity(patient_id="", name="SOMEBODY^ELSE"), "", "CT1", "arriving"),
    ],
)
def test_only_who_contradicts_by_number_and_name_or_birth_date_is_held_and_never_what_is_urgent(
    run, patient, priority, ae, state
):
    async def story(d):
        await d.book("A1", priority=priority)
        await d.arrive("1.1", d.uid("RPA1"), patient=patient, ae=ae)
        return await d.study(d.uid("RPA1"))

    study = run(story, holding=HOLDING)

    assert study.state == state


def test_the_rest_of_a_study_of_which_something_has_left_is_never_held(run):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.arrive("1.1", uid)
        await d.forward()
        await d.arrive("1.2", uid, patient=SOMEBODY)
        await d.forward()
        return await d.study(uid), d.archives["PACS"].got

    study, got = run(story, holding=HOLDING)

    assert (study.state, study.verdict) == ("arriving", "mismatched")
    assert got == ["1.1", "1.2"]


def test_a_released_study_leaves_whole_and_is_available_as_what_it_is(run):
    async def story(d):
        uid = await hold(d)
        await be_quiet(d, uid)
        decided = await d.reconciliation.release(uid, "anna")
        again = await d.reconciliation.release(uid, "anna")
        await d.arrive("1.1.9", uid, patient=SOMEBODY)
        on_its_way = await d.study(uid)
        await d.forward()
        await be_quiet(d, uid)
        await d.forward()
        available = await d.study(uid)
        return (
            decided,
            again,
            on_its_way,
            available,
            sorted(d.archives["PACS"].got),
            d.told(),
            await d.notices("ris"),
            d.removed,
        )

    decided, again, on_its_way, available, got, told, notices, removed = run(story, holding=HOLDING)

    assert decided.study.state == on_its_way.state == "released"
    assert again.refusal == "it is released, not held"
    assert (available.state, available.verdict) == ("available", "mismatched")
    assert got == ["1.1.0", "1.1.1", "1.1.9"]
    assert len(removed) == 3
    assert [(event.type, event.is_alarm) for event in told] == [
        ("study.started", False),
        ("study.mismatched", True),
        ("study.released", False),
        ("study.available", False),
    ]
    assert "released by anna" in told[2].text
    assert [notice.event_type for notice in notices] == ["study.available"]


def test_what_nobody_decides_is_released_with_an_alarm_thirty_minutes_after_its_first_object(run):
    async def story(d):
        uid = await hold(d)
        d.later(minutes=20)
        await d.arrive("1.1.9", uid, patient=SOMEBODY)
        first_due = await d.reconciliation.look_at_held()
        d.later(minutes=10)
        await d.reconciliation.look_at_held()
        return first_due, d.now, await d.study(uid), d.told("study.released")

    first_due, now, study, (released,) = run(story, holding=HOLDING)

    assert (now - first_due).total_seconds() == 570  # asked again after half a minute: the end is ten minutes away
    assert (study.state, study.pending) == ("released", 3)
    assert released.is_alarm
    assert "nobody decided within 30 min" in released.text


def test_a_held_study_whose_order_becomes_urgent_goes(run):
    async def story(d):
        uid = await hold(d)
        await d.book("A1", priority="STAT")
        await d.reconciliation.look_at_held()
        return await d.study(uid), d.told("study.released")

    study, (released,) = run(story, holding=HOLDING)

    assert study.state == "released"
    assert "urgent" in released.text


def test_a_rejected_study_never_leaves_whatever_comes_and_is_set_aside(run):
    async def story(d):
        uid = await hold(d)
        decided = await d.reconciliation.reject(uid, "anna")
        wishes = [
            await d.reconciliation.release(uid, "berta"),
            await d.reconciliation.reject(uid, "berta"),
            await d.reconciliation.link(uid, "order A1", "berta"),
        ]
        d.later(minutes=1)
        kept = [await d.arrive(f"1.1.{n}", uid, patient=SOMEBODY) for n in (7, 8)]
        d.later(hours=5)
        await d.studies.look_again(uid)
        await d.reconciliation.look_at_held()
        await d.forward()
        return (
            decided,
            wishes,
            kept,
            await d.study(uid),
            d.archives["PACS"].got,
            d.aside,
            d.told(),
            await d.notices("ris"),
        )

    decided, wishes, kept, study, got, aside, told, notices = run(story, holding=HOLDING)

    assert decided.study.state == study.state == "rejected"
    assert all(wish.refusal for wish in wishes)
    assert [one.is_rejected for one in kept] == [True, True]
    assert study.instances == 4
    assert (got, notices) == ([], [])
    assert aside == [study.uid]
    assert [event.type for event in told] == ["study.started", "study.mismatched", "study.rejected", "study.noted"]
    assert "rejected by anna" in told[2].text
    assert told[3].is_alarm


def test_what_was_rejected_before_the_process_ended_is_set_aside_at_the_next_start(run):
    async def story(d):
        uid = await hold(d)
        await d.reconciliation.reject(uid, "anna")
        d.aside.clear()
        await d.reconciliation.set_aside_rejected()
        return uid, d.aside

    uid, aside = run(story, holding=HOLDING)

    assert aside == [uid]


def test_a_study_that_is_not_known_or_not_held_is_not_decided(run):
    async def story(d):
        await d.arrive("1.1", "1.99")
        return [
            await wish(uid, "anna")
            for wish in (d.reconciliation.release, d.reconciliation.reject)
            for uid in ("1.98", "1.99")
        ]

    answers = run(story, holding=HOLDING)

    assert [(answer.study, answer.refusal) for answer in answers] == [
        (None, ""),
        (None, "it is arriving, not held"),
    ] * 2


def test_a_held_study_without_an_archive_is_available_once_it_is_released(run):
    async def story(d):
        uid = await hold(d)
        await be_quiet(d, uid)
        held = await d.study(uid)
        await d.reconciliation.release(uid, "anna")
        return held, await d.study(uid), d.removed

    held, study, removed = run(story, holding=HOLDING, forward_to=())

    assert (held.state, study.state) == ("held", "available")
    assert removed == []


def test_a_held_study_linked_to_its_true_order_goes_and_completes_that_order_alone(run):
    async def story(d):
        uid = await hold(d)
        await d.book("A2")
        await be_quiet(d, uid)
        await d.reconciliation.link(uid, "order A2", "anna")
        await d.arrive("1.1.9", uid, patient=SOMEBODY)
        await be_quiet(d, uid)
        await d.forward()
        return (
            await d.study(uid),
            [await d.order(one) for one in ("A1", "A2")],
            await d.notices("ris"),
            d.told("study.noted"),
        )

    study, (wrong, right), notices, noted = run(story, holding=HOLDING)

    assert (study.state, study.verdict, study.order_ids) == ("available", "matched", ("order A2",))
    assert (wrong.status, wrong.study_uids) == ("scheduled", ())
    assert (right.status, right.study_uids) == ("completed", (study.uid,))
    assert [(notice.event_type, notice.order_id) for notice in notices] == [("study.available", "order A2")]
    assert [event.order_id for event in noted] == ["order A2", "order A1"]


def test_an_unscheduled_study_that_is_available_is_told_to_the_order_that_it_is_linked_to(run):
    async def story(d):
        await d.arrive("1.1", "1.99", patient=SOMEBODY)
        await be_quiet(d, "1.99")
        await d.book("A1")
        refused = await d.reconciliation.link("1.99", "order A9", "anna")
        linked = await d.reconciliation.link("1.99", "order A1", "anna")
        again = await d.reconciliation.link("1.99", "order A1", "anna")
        return refused, linked, again, await d.order("A1"), await d.notices("ris"), d.told("study.available")

    refused, linked, again, order, notices, told = run(story, forward_to=())

    assert refused.refusal == "there is no such order"
    assert (linked.study.state, linked.study.verdict) == ("available", "matched")
    assert again.refusal == "it is of that order already"
    assert order.status == "completed"
    assert [notice.event_type for notice in notices] == ["study.available"]
    assert [event.order_id for event in told] == ["", "order A1"]


def test_a_study_of_the_wrong_worklist_entry_is_completed_by_the_mpps_of_that_entry(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.book("A2")
        await d.create("1.7", refer("A1", study=uid))
        await d.arrive("1.1", uid, patient=SOMEBODY, performed_uid="1.7")
        await d.end("1.7", "1.1")
        held = await d.study(uid)
        await d.reconciliation.link(uid, "order A2", "anna")
        return held, await d.study(uid), await d.order("A2")

    held, study, order = run(story, forward_to=(), holding=HOLDING)

    assert held.state == "held"
    assert (study.state, study.evidence) == ("available", "mpps")
    assert order.status == "completed"
