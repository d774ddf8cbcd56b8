"""Objects that arrive: whose they are, when their study is complete, who is told, when their files go."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.domain.order import Identity

SOMEBODY = Identity(patient_id="99999", issuer="GENERAL", name="SOMEBODY^ELSE", birth_date="19500101")


def test_the_first_object_of_an_order_is_told_with_its_verdict(run):
    async def story(d):
        await d.book("A1")
        await d.arrive("1.1", d.uid("RPA1"))
        return await d.study(d.uid("RPA1")), await d.order("A1"), d.told("study.started")

    study, order, (started,) = run(story)

    assert (study.verdict, study.order_ids, study.instances) == ("matched", ("order A1",), 1)
    assert order.study_uids == (study.uid,)
    assert (started.order_id, started.subject) == ("order A1", "A1")


def test_an_identical_object_has_no_second_effect_even_when_its_file_has_gone(run):
    async def story(d):
        await d.book("A1")
        first = await d.arrive("1.1", d.uid("RPA1"))
        await d.forward()
        again = await d.arrive("1.1", d.uid("RPA1"))
        await d.forward()
        return first, again, d.removed, d.archives["PACS"].got

    first, again, removed, got = run(story)

    assert (first.is_new, again.is_new) == (True, False)
    assert len(removed) == 1
    assert got == ["1.1"]


def test_the_same_uid_with_other_bytes_is_kept_flagged_and_forwarded(run):
    async def story(d):
        await d.book("A1")
        await d.arrive("1.1", d.uid("RPA1"))
        await d.arrive("1.1", d.uid("RPA1"), digest="other")
        await d.forward()
        return await d.study(d.uid("RPA1")), d.told("study.noted"), d.removed

    study, (noted,), removed = run(story)

    assert study.instances == 2
    assert noted.is_alarm
    assert len(removed) == 2


def test_a_study_without_mpps_is_complete_after_its_quiet_time_and_available_when_the_archive_has_all(run):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.arrive("1.1", uid)
        d.later(minutes=9)
        await d.arrive("1.2", uid)
        d.later(minutes=9)
        await d.studies.look_again(uid)
        too_early = await d.study(uid)
        d.later(minutes=1)
        await d.studies.look_again(uid)
        complete = await d.study(uid)
        await d.forward()
        return too_early, complete, await d.study(uid), await d.order("A1"), d.told("study.available")

    too_early, complete, available, order, told = run(story)

    assert too_early.completed_at is None
    assert (complete.evidence, complete.state) == ("quiet", "arriving")
    assert available.state == "available"
    assert order.status == "completed"
    assert [event.order_id for event in told] == ["order A1"]


@pytest.mark.parametrize(
    ("quiet", "modality", "seconds"),
    [(None, "MR", 1200), (None, "US", 900), (None, "XA", 600), (timedelta(seconds=2), "MR", 2)],
)
def test_quiet_time_goes_by_modality_unless_one_is_configured(run, quiet, modality, seconds):
    async def story(d):
        await d.arrive("1.1", "1.5", modality=modality)
        return (await d.study("1.5")).quiet_at - d.now

    assert run(story, quiet=quiet) == timedelta(seconds=seconds)


def test_an_open_mpps_keeps_quiet_time_from_completing(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.arrive("1.1", uid)
        await d.create("1.7", refer("A1", study=uid))
        d.later(hours=1)
        await d.studies.look_again(uid)
        waiting = await d.study(uid)
        await d.end("1.7", "1.1")
        return waiting, await d.study(uid)

    waiting, complete = run(story)

    assert (waiting.completed_at, waiting.quiet_at) == (None, None)
    assert complete.evidence == "mpps"


def test_objects_that_come_after_the_final_mpps_complete_the_study_in_any_order_without_an_archive(run, refer):
    objects = [f"1.1.{n}" for n in range(30)]

    async def story(d):
        for accession, order in (("A1", objects), ("A2", objects[::-1])):
            uid = d.uid(f"RP{accession}")
            names = [f"{one}.{accession[1]}" for one in order]
            await d.book(accession)
            await d.create(f"1.7.{accession[1]}", refer(accession, study=uid))
            await d.end(f"1.7.{accession[1]}", *names)
            for name in names[:-1]:
                await d.arrive(name, uid)
            assert (await d.study(uid)).completed_at is None
            await d.arrive(names[-1], uid)
        return [(await d.study(d.uid(f"RPA{n}"))) for n in (1, 2)], d.told("study.available")

    studies, told = run(story, forward_to=())

    assert [(study.evidence, study.state) for study in studies] == [("mpps", "available")] * 2
    assert [event.subject for event in told] == ["A1", "A2"]


def test_a_study_of_many_objects_is_looked_through_a_few_times_only(run, refer):
    """Each look reads every object of the study: one look an object would make a large study slower and slower."""

    async def story(d):
        uid = d.uid("RPA1")
        names = [f"1.1.{n}" for n in range(200)]
        await d.book("A1")
        await d.create("1.7", refer("A1", study=uid))
        await d.end("1.7", *names)
        awaited = set()
        for name in names:
            await d.arrive(name, uid)
            awaited.add((await d.study(uid)).awaited)
        return await d.study(uid), awaited

    study, awaited = run(story)

    assert study.evidence == "mpps"
    assert len(awaited) < 20


def test_objects_after_completion_extend_the_study_once_it_is_quiet(run):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.arrive("1.1", uid)
        d.later(minutes=10)
        await d.studies.look_again(uid)
        await d.arrive("1.2", uid)
        d.later(minutes=10)
        await d.studies.look_again(uid)
        return d.told("study.available", "study.extended"), await d.notices("ris")

    told, notices = run(story, forward_to=())

    assert [event.type for event in told] == ["study.available", "study.extended"]
    assert [notice.event_type for notice in notices] == ["study.available", "study.extended"]
    assert len({notice.control_id for notice in notices}) == 2


def test_two_orders_in_one_study_are_each_told(run):
    async def story(d):
        for accession in ("A1", "A2"):
            await d.book(accession, study="1.4")
        await d.arrive("1.1", "1.4", accession="A1")
        d.later(minutes=10)
        await d.studies.look_again("1.4")
        return d.told("study.started", "study.available"), await d.notices("ris")

    told, notices = run(story, forward_to=())

    assert [(event.type, event.subject) for event in told] == [
        ("study.started", "A1"),
        ("study.started", "A2"),
        ("study.available", "A1"),
        ("study.available", "A2"),
    ]
    assert [notice.order_id for notice in notices] == ["order A1", "order A2"]


def test_a_group_of_two_orders_under_a_uid_of_the_scanner_gives_each_order_its_notice(run, refer):
    references = (("SPA1", "RPA1", "A1"), ("SPA2", "RPA2", "A2"))

    async def story(d):
        for accession in ("A1", "A2"):
            await d.book(accession)
        items = [refer(accession, study=d.uid(f"RP{accession}")) for accession in ("A1", "A2")]
        await d.create("1.7", *items)
        await d.arrive("1.1", "1.99", references=references)
        await d.arrive("1.2", "1.99", references=references)
        await d.end("1.7", "1.1", "1.2")
        return await d.study("1.99"), await d.notices("ris"), [await d.order(one) for one in ("A1", "A2")]

    study, notices, orders = run(story, forward_to=())

    assert (study.verdict, study.evidence, study.state) == ("matched", "mpps", "available")
    assert [notice.order_id for notice in notices] == ["order A1", "order A2"]
    assert [order.status for order in orders] == ["completed", "completed"]


def test_a_group_whose_objects_name_one_step_each_gathers_all_orders(run):
    async def story(d):
        for accession in ("A1", "A2"):
            await d.book(accession)
        await d.arrive("1.1", "1.99", references=(("SPA1", "RPA1", "A1"),))
        await d.arrive("1.2", "1.99", references=(("SPA2", "RPA2", "A2"),))
        return await d.study("1.99"), d.told("study.started")

    study, started = run(story)

    assert study.order_ids == ("order A1", "order A2")
    assert [event.subject for event in started] == ["A1", "A2"]


def test_one_order_with_two_procedures_in_one_study_of_the_scanners_own_uid_completes(run, refer):
    references = (("SPX", "RPX", "A1"), ("SPY", "RPY", "A1"))

    async def story(d):
        await d.book("A1", procedures=("RPX", "RPY"))
        await d.create(
            "1.7",
            refer("A1", "SPX", "RPX", study=d.uid("RPX")),
            refer("A1", "SPY", "RPY", study=d.uid("RPY")),
        )
        await d.arrive("1.1", "1.99", references=references)
        await d.end("1.7", "1.1")
        return await d.study("1.99"), await d.order("A1")

    study, order = run(story, forward_to=())

    assert (study.evidence, study.state) == ("mpps", "available")
    assert order.status == "completed"


def test_quiet_time_completes_only_the_steps_that_the_objects_name(run):
    async def story(d):
        await d.book("A1", steps=("S1", "S2"))
        await d.arrive("1.1", d.uid("RPA1"), references=(("S1", "RPA1", ""),))
        d.later(minutes=10)
        await d.studies.look_again(d.uid("RPA1"))
        return await d.order("A1")

    assert [str(step.status) for step in run(story).steps] == ["COMPLETED", "SCHEDULED"]


def test_a_mismatch_is_told_once_forwarded_and_never_completes_the_order(run):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        for n in range(3):
            await d.arrive(f"1.{n}", uid, patient=SOMEBODY)
        d.later(minutes=10)
        await d.studies.look_again(uid)
        await d.forward()
        return await d.study(uid), await d.order("A1"), d.told("study.mismatched"), d.archives["PACS"].got

    study, order, mismatched, got = run(story)

    assert (study.verdict, study.state) == ("mismatched", "available")
    assert {finding.attribute for finding in study.findings if finding.weight} >= {"PatientID", "PatientName"}
    assert order.status == "scheduled"
    assert [event.is_alarm for event in mismatched] == [True]
    assert len(got) == 3


def test_an_unscheduled_study_is_told_and_forwarded_without_a_notice_to_the_ris(run):
    async def story(d):
        await d.arrive("1.1", "1.99", patient=SOMEBODY)
        d.later(minutes=10)
        await d.studies.look_again("1.99")
        await d.forward()
        return d.told(), await d.notices("ris"), d.archives["PACS"].got

    told, notices, got = run(story)

    assert [event.type for event in told] == ["study.started", "study.unscheduled", "study.available"]
    assert {event.subject for event in told} == {"1.99"}
    assert notices == []
    assert got == ["1.1"]


def test_an_mpps_that_names_no_step_completes_its_study_by_the_objects_it_names(run):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.create("1.7")
        await d.arrive("1.1", uid, performed_uid="1.7")
        await d.end("1.7", "1.1")
        return await d.study(uid)

    study = run(story, forward_to=())

    assert study.performed_uids == ("1.7",)
    assert study.completed_at is not None


def test_a_step_that_is_appended_before_the_archive_has_all_is_waited_for(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.create("1.7", refer("A1", study=uid))
        await d.arrive("1.1", uid)
        await d.end("1.7", "1.1")
        complete = await d.study(uid)
        await d.create("1.8", refer("A1", study=uid))
        await d.forward()
        opened = await d.study(uid)
        await d.arrive("1.2", uid)
        await d.end("1.8", "1.2")
        await d.forward()
        return complete, opened, await d.study(uid), d.told("study.available", "study.extended", "study.mismatched")

    complete, opened, study, told = run(story)

    assert complete.evidence == "mpps"
    assert (opened.completed_at, opened.pending, opened.state) == (None, 0, "arriving")
    assert (study.state, study.evidence, study.verdict) == ("available", "mpps", "matched")
    assert [event.type for event in told] == ["study.available"]


def test_an_appended_mpps_that_names_the_study_alone_is_of_its_order_and_extends_it(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.create("1.7", refer("A1", study=uid))
        await d.arrive("1.1", uid)
        await d.end("1.7", "1.1")
        await d.create("1.8", {"StudyInstanceUID": uid})
        await d.arrive("1.2", uid, performed_uid="1.8")
        await d.end("1.8", "1.2")
        life = await d.store.orders.life("order A1")
        return (
            life,
            await d.study(uid),
            d.told("study.available", "study.extended", "study.mismatched"),
            await d.notices("ris"),
        )

    life, study, told, notices = run(story, forward_to=())

    assert {one.uid for one in life.performed} == {"1.7", "1.8"}
    assert (study.state, study.evidence, study.verdict) == ("available", "mpps", "matched")
    assert [event.type for event in told] == ["study.available", "study.extended"]
    assert [notice.event_type for notice in notices] == ["study.available", "study.extended"]


def test_a_group_known_only_by_its_mpps_is_matched_to_all_its_orders(run, refer):
    async def story(d):
        for accession in ("A1", "A2"):
            await d.book(accession)
        await d.create("1.7", *(refer(one, study=d.uid(f"RP{one}")) for one in ("A1", "A2")))
        await d.arrive("1.1", "1.99", performed_uid="1.7")
        await d.end("1.7", "1.1")
        return await d.study("1.99"), await d.notices("ris")

    study, notices = run(story, forward_to=())

    assert (study.verdict, study.order_ids) == ("matched", ("order A1", "order A2"))
    assert [notice.order_id for notice in notices] == ["order A1", "order A2"]
