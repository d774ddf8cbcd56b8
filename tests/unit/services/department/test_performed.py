"""MPPS in a department: what a scanner reports moves steps and studies, and is told."""

from __future__ import annotations

import pytest


def statuses(order):
    return [str(step.status) for step in order.steps]


def test_an_examination_starts_and_ends_its_step(run, refer):
    async def story(d):
        await d.book("A1")
        answers = [await d.create("1.7", refer("A1", study=d.uid("RPA1")))]
        started = await d.order("A1")
        answers.append(await d.end("1.7", "1.1"))
        return answers, started, await d.order("A1"), d.told()

    answers, started, ended, told = run(story)

    assert [answer.status for answer in answers] == [0, 0]
    assert (started.status, statuses(started)) == ("in_progress", ["STARTED"])
    assert (ended.status, statuses(ended)) == ("completed", ["COMPLETED"])
    assert [event.type for event in told] == ["procedure.started", "procedure.completed"]


def test_a_response_that_was_lost_is_given_again_without_a_second_effect(run, refer):
    async def story(d):
        await d.book("A1")
        reference = refer("A1", study=d.uid("RPA1"))
        answers = [await d.create("1.7", reference), await d.create("1.7", reference)]
        answers += [await d.end("1.7", "1.1"), await d.end("1.7", "1.1")]
        return answers, d.told(), await d.store.instances.raw_data_sets("1.7")

    answers, told, raw = run(story)

    assert [answer.status for answer in answers] == [0, 0, 0, 0]
    assert [event.type for event in told] == ["procedure.started", "procedure.completed"]
    assert [one.kind for one in raw] == ["create", "set"]


def test_what_ended_is_not_changed(run, refer):
    async def story(d):
        await d.book("A1")
        await d.create("1.7", refer("A1", study=d.uid("RPA1")))
        await d.end("1.7", "1.1")
        return await d.end("1.7", "1.1", "1.2"), await d.order("A1")

    answer, order = run(story)

    assert (answer.status, answer.error_id) == (0x0110, 0xA710)
    assert order.status == "completed"


def test_one_mpps_for_two_steps_moves_both(run, refer):
    async def story(d):
        await d.book("A1", steps=("S1", "S2"))
        uid = d.uid("RPA1")
        await d.create("1.7", refer("A1", "S1", study=uid), refer("A1", "S2", study=uid))
        started = statuses(await d.order("A1"))
        await d.end("1.7", "1.1")
        return started, statuses(await d.order("A1")), d.told("procedure.completed")

    started, ended, completed = run(story)

    assert (started, ended) == (["STARTED"] * 2, ["COMPLETED"] * 2)
    assert len(completed) == 1


def test_a_step_that_two_mpps_perform_ends_with_the_last(run, refer):
    async def story(d):
        await d.book("A1")
        for uid in ("1.7", "1.8"):
            await d.create(uid, refer("A1", study=d.uid("RPA1")))
        await d.end("1.7", "1.1")
        halfway = statuses(await d.order("A1"))
        await d.end("1.8", "1.2")
        return halfway, statuses(await d.order("A1"))

    assert run(story) == (["STARTED"], ["COMPLETED"])


def test_an_mpps_appended_to_a_completed_step_is_kept_alarmed_and_extends_the_study(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        for mpps, name in (("1.7", "1.1"), ("1.8", "1.2")):
            await d.create(mpps, refer("A1", study=uid))
            await d.arrive(name, uid)
            await d.end(mpps, name)
        return await d.order("A1"), d.told("procedure.started"), d.told("study.available", "study.extended")

    order, started, told = run(story, forward_to=())

    assert order.status == "completed"
    assert [event.is_alarm for event in started] == [False, True]
    assert [event.type for event in told] == ["study.available", "study.extended"]


@pytest.mark.parametrize(
    ("objects", "state", "step"), [((), "scheduled", "SCHEDULED"), (("1.1",), "discontinued", "DISCONTINUED")]
)
def test_a_wrong_entry_reopens_the_step_unless_there_are_objects(run, refer, objects, state, step):
    async def story(d):
        await d.book("A1")
        await d.create("1.7", refer("A1", study=d.uid("RPA1")))
        for name in objects:
            await d.arrive(name, d.uid("RPA1"))
        await d.end("1.7", *objects, status="DISCONTINUED", reason="110514")
        return await d.order("A1"), d.told("procedure.discontinued")

    order, (event,) = run(story)

    assert (order.status, statuses(order)) == (state, [step])
    assert "wrong worklist entry" in event.text
    assert event.facts["study"]["instances"] == len(objects)


def test_an_examination_that_nobody_ordered_is_kept_and_alarmed(run, refer):
    async def story(d):
        answer = await d.create("1.7", refer("", "", "", study="1.99"))
        return answer, d.told()

    answer, (event,) = run(story)

    assert answer.status == 0
    assert (event.type, event.is_alarm, event.subject) == ("procedure.started", True, "1.99")


def test_an_mpps_that_names_no_steps_at_all_is_kept(run):
    async def story(d):
        return [await d.create("1.7"), await d.end("1.7")], d.told("procedure.noted")

    answers, noted = run(story)

    assert [answer.status for answer in answers] == [0, 0]
    assert len(noted) == 2


def test_the_operator_and_the_times_of_an_examination_are_told(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        await d.create(
            "1.7",
            refer("A1", study=uid),
            PerformedSeriesSequence=[{"SeriesInstanceUID": "1.9", "OperatorsName": "TECH^ONE"}],
        )
        await d.arrive("1.1", uid)
        await d.end("1.7", "1.1")
        return d.told("study.available")

    (event,) = run(story, forward_to=())

    assert event.facts["mpps"] == {
        "status": "COMPLETED",
        "started_at": "20260401101600",
        "ended_at": "20260401103000",
        "operator": "TECH^ONE",
    }


def test_the_strict_are_answered_by_the_book(run, refer):
    async def story(d):
        await d.book("A1")
        return await d.create("1.7", refer("A1", study=d.uid("RPA1")), ae="STRICT"), await d.order("A1")

    answer, order = run(story)

    assert answer.status == 0x0120
    assert order.status == "scheduled"


def test_an_mpps_that_nobody_closes_is_alarmed_once_after_four_hours(run, refer):
    async def story(d):
        await d.book("A1")
        await d.create("1.7", refer("A1", study=d.uid("RPA1")))
        await d.create("1.8")
        await d.create("1.9")
        await d.end("1.9")
        counts = []
        for minutes in (239, 1, 239, 1, 480):
            d.later(minutes=minutes)
            await d.studies.look_at_what_waits()
            counts.append(len([event for event in d.told("procedure.noted") if "4 h" in event.text]))
        ended = await d.end("1.7", "1.1")
        return counts, [event for event in d.told("procedure.noted") if "4 h" in event.text], ended

    counts, alarms, ended = run(story)

    assert counts == [0, 2, 2, 2, 2]
    assert all(event.is_alarm for event in alarms)
    assert sorted(event.subject for event in alarms) == ["", "A1"]
    assert ended.status == 0


def test_objects_that_an_mpps_names_and_that_never_come_are_alarmed_once_and_counted_until_they_do(run, refer):
    async def story(d):
        uid = d.uid("RPA1")
        await d.book("A1")
        for mpps, names in (("1.7", ("1.1", "1.2", "1.3")), ("1.8", ("1.1",))):
            await d.create(mpps, refer("A1", study=uid))
            await d.end(mpps, *names)
        await d.arrive("1.1", uid)
        seen = []
        for minutes, arriving in ((239, ""), (1, ""), (10, ""), (1, "1.2"), (10, ""), (1, "1.3"), (60, ""), (600, "")):
            d.later(minutes=minutes)
            if arriving:
                await d.arrive(arriving, uid)
            await d.studies.look_at_what_waits()
            life = await d.store.orders.life("order A1")
            seen.append([one.missing for one in sorted(life.performed, key=lambda one: one.uid)])
        return seen, [event for event in d.told("procedure.noted") if event.is_alarm], await d.study(uid)

    seen, alarms, study = run(story, forward_to=())

    assert seen == [[0, 0], [2, 0], [2, 0], [2, 0], [1, 0], [1, 0], [0, 0], [0, 0]]
    assert [event.subject for event in alarms] == ["A1"]
    assert "ended 4 h ago and names 3 objects; 2 of them have not arrived" in alarms[0].text
    assert study.evidence == "mpps"


def test_an_mpps_alarmed_while_it_was_open_is_alarmed_again_for_what_it_names(run, refer):
    async def story(d):
        await d.book("A1")
        await d.create("1.7", refer("A1", study=d.uid("RPA1")))
        for _ in range(2):
            d.later(hours=4)
            await d.studies.look_at_what_waits()
        await d.end("1.7", "1.1")
        d.later(hours=4)
        await d.studies.look_at_what_waits()
        return [event.text for event in d.told("procedure.noted") if event.is_alarm]

    open_one, missing = run(story)

    assert "in progress for 4 h" in open_one
    assert "names 1 objects; 1 of them" in missing
