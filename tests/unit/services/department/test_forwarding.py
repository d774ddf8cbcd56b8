"""Objects on their way to several archives: nothing is forgotten, nothing waits for another."""

from __future__ import annotations

from datetime import timedelta

import pytest

from broker.services.notices import Outcome

UID = "1.5"


async def three_objects(d):
    for n in (1, 2, 3):
        await d.arrive(f"1.{n}", UID)
    d.later(minutes=10)
    await d.studies.look_again(UID)


def test_the_file_goes_and_the_study_is_available_only_when_every_archive_has_it(run):
    async def story(d):
        await three_objects(d)
        await d.forward("ONE")
        halfway = list(d.removed), (await d.study(UID)).state
        await d.forward("TWO")
        return halfway, sorted(d.removed), (await d.study(UID)).state, await d.store.instances.paths("S1")

    halfway, removed, state, paths = run(story, forward_to=("ONE", "TWO"))

    assert halfway == ([], "arriving")
    assert removed == ["1.5/1.1.dcm", "1.5/1.2.dcm", "1.5/1.3.dcm"]
    assert state == "available"
    assert paths - {""} == set()


@pytest.mark.parametrize("kind", ["retry", "broken"])
def test_an_object_that_the_archive_cannot_take_lets_the_others_pass(run, kind):
    async def story(d):
        await three_objects(d)
        d.archives["PACS"].answers["1.1"] = Outcome(kind=kind, text="no")
        await d.forward()
        await d.forward()
        waiting = await d.store.objects_of("S1").next_due_at("PACS")
        got = list(d.archives["PACS"].got)
        del d.archives["PACS"].answers["1.1"]
        d.later(seconds=1)
        await d.forward()
        return got, waiting, d.now, await d.study(UID)

    got, waiting, now, study = run(story)

    assert got == ["1.2", "1.3"]
    assert waiting == now
    assert study.state == "available"


def test_an_archive_that_was_down_gets_everything(run):
    async def story(d):
        await three_objects(d)
        d.archives["PACS"].answers["1.1"] = Outcome(kind="down", text="no connection")
        await d.forward()
        down = d.forwarders["PACS"].health
        shown = down.is_up, down.error, down.failures
        d.archives["PACS"].answers.clear()
        await d.forward()
        return shown, d.forwarders["PACS"].health, d.archives["PACS"].got

    shown, health, got = run(story)

    assert shown == (False, "no connection", 1)
    assert (health.is_up, health.error, health.failures) == (True, "", 0)
    assert sorted(got) == ["1.1", "1.2", "1.3"]


def test_objects_without_an_archive_stay_in_the_spool(run):
    async def story(d):
        await three_objects(d)
        return await d.study(UID), d.removed, await d.store.instances.paths("S1")

    study, removed, paths = run(story, forward_to=())

    assert study.state == "available"
    assert removed == []
    assert len(paths) == 3


def test_the_next_attempt_at_an_object_comes_later_and_later(run):
    async def story(d):
        await d.arrive("1.1", UID)
        d.archives["PACS"].answers["1.1"] = Outcome(kind="retry", text="A700")
        waits = []
        for _ in range(9):
            await d.forward()
            due = await d.store.objects_of("S1").next_due_at("PACS")
            waits.append(due - d.now)
            d.now = due
        return waits

    assert run(story) == [timedelta(seconds=s) for s in (1, 2, 4, 8, 16, 32, 60, 60, 60)]


def test_what_the_archive_fails_over_goes_last(run):
    async def story(d):
        await three_objects(d)
        d.archives["PACS"].answers["1.1"] = Outcome(kind="broken", text="aborted")
        await d.forward()
        d.later(minutes=1)
        await d.forward()
        return d.archives["PACS"].got

    assert run(story) == ["1.2", "1.3"]
