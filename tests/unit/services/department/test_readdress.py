"""A node is taken out of forward_to while objects wait for it: at the next start they go elsewhere or stay."""

from __future__ import annotations

from dataclasses import replace

from broker.services.inspect import Inspection
from broker.services.notices import Outcome
from broker.services.readdress import Readdressing

UID = "1.5"


async def restart(d, *nodes):
    """Start again with *nodes* in forward_to."""
    forgotten = []

    async def remove(path):
        forgotten.append(path)

    await Readdressing(
        writer=d.outbox,
        outbox=d.store.deliveries,
        objects=d.store.objects_of(""),
        remove=remove,
        known={"ris", "bus", *nodes},
        rules=replace(d.rules, forward_to=nodes),
        clock=d.clock,
        ids=d.ids,
    ).run()
    return forgotten


async def two_objects(d):
    for n in (1, 2):
        await d.arrive(f"1.{n}", UID)
    d.later(minutes=10)
    await d.studies.look_again(UID)


def test_what_no_archive_has_goes_to_the_nodes_that_are_configured_now(run):
    async def story(d):
        await two_objects(d)
        d.archives["OLD"].answers["1.1"] = Outcome(kind="down", text="gone")
        await d.forward("OLD")
        removed = await restart(d, "NEW")
        waiting = await d.study(UID)
        await d.forward("NEW")
        again = await restart(d, "NEW")
        rows = [row.state for row in await d.notices("OLD")]
        return (
            removed,
            waiting,
            await d.study(UID),
            d.archives["NEW"].got,
            rows,
            again,
            d.told("study.noted"),
            d.removed,
        )

    removed, waiting, study, got, rows, again, (noted,), gone = run(story, forward_to=("OLD", "NEW"))

    assert removed == again == []
    assert (waiting.pending, waiting.state) == (2, "arriving")
    assert (study.state, study.pending) == ("available", 0)
    assert got == ["1.1", "1.2"]
    assert rows == ["cancelled", "cancelled"]
    assert noted.is_alarm
    assert "2 objects waited for OLD, which is not configured any more" in noted.text
    assert len(gone) == 2


def test_what_another_archive_has_needs_the_old_one_no_more(run):
    async def story(d):
        await two_objects(d)
        await d.forward("NEW")
        halfway = await d.study(UID)
        removed = await restart(d, "NEW")
        return halfway, removed, await d.study(UID), d.told("study.available"), await d.store.instances.paths("")

    halfway, removed, study, told, paths = run(story, forward_to=("OLD", "NEW"))

    assert (halfway.state, halfway.pending) == ("arriving", 2)
    assert sorted(removed) == ["1.5/1.1.dcm", "1.5/1.2.dcm"]
    assert (study.state, study.pending) == ("available", 0)
    assert len(told) == 1
    assert paths == set()


def test_what_waited_for_the_old_node_alone_is_queued_for_the_new_one_and_kept_until_it_is_there(run):
    async def story(d):
        await two_objects(d)
        removed = await restart(d, "NEW")
        study = await d.study(UID)
        back = await restart(d, "OLD")
        rows = [(row.destination, row.state) for node in ("OLD", "NEW") for row in await d.notices(node)]
        return removed, study, back, await d.study(UID), rows

    removed, study, back, after, rows = run(story, forward_to=("OLD",))

    assert removed == back == []
    assert (study.state, study.pending, after.pending) == ("arriving", 2, 2)
    assert rows == [
        ("OLD", "cancelled"),
        ("OLD", "cancelled"),
        ("OLD", "available"),
        ("OLD", "available"),
        ("NEW", "cancelled"),
        ("NEW", "cancelled"),
    ]


def test_a_cancelled_object_may_be_sent_to_its_node_once_that_is_back_while_its_file_is_there(run):
    async def story(d):
        await two_objects(d)
        await restart(d)
        (first, second) = await d.notices("OLD")
        retried = [await inspection(d).retry(row.id) for row in (first, second)]
        pending = (await d.study(UID)).pending
        await d.forward("OLD")
        return retried, pending, await d.study(UID), d.archives["OLD"].got

    retried, pending, study, got = run(story, forward_to=("OLD",))

    assert [one.delivery.state for one in retried] == ["available", "available"]
    assert (pending, study.pending) == (2, 0)
    assert got == ["1.1", "1.2"]


def test_a_cancelled_object_whose_file_is_gone_is_not_sent_again(run):
    async def story(d):
        await two_objects(d)
        await d.forward("NEW")
        await restart(d, "NEW")
        return await inspection(d).retry((await d.notices("OLD"))[0].id)

    assert "other archives have it" in run(story, forward_to=("OLD", "NEW")).refusal


def inspection(d):
    names = ("orders", "messages", "deliveries", "alarms", "worklist", "health", "studies")
    nobody = dict.fromkeys(names)
    return Inspection(**nobody, reconciliation=d.reconciliation, writer=d.outbox, clock=d.clock, ids=d.ids)


def test_without_any_node_the_objects_stay_in_the_spool(run):
    async def story(d):
        await two_objects(d)
        removed = await restart(d)
        return removed, await d.study(UID), await d.store.instances.paths(""), d.told("study.noted")

    removed, study, paths, (noted,) = run(story, forward_to=("OLD",))

    assert removed == []
    assert (study.state, study.pending) == ("available", 0)
    assert len(paths) == 2
    assert "they stay in the spool" in noted.text


def test_objects_for_nodes_that_are_configured_are_left_alone(run):
    async def story(d):
        await two_objects(d)
        await restart(d, "OLD")
        return await d.study(UID), d.told("study.noted")

    study, noted = run(story, forward_to=("OLD",))

    assert (study.pending, noted) == (2, [])
