"""Reading messages, studies, objects, accounts and alarms."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from broker.domain.accounts import Token, User
from broker.domain.records import RawDataSet


def run(story):
    return asyncio.run(asyncio.wait_for(story(), 30))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"state": "accepted"}, [4, 1]),
        ({"state": "refused"}, [3, 2]),
        ({"listener": "ris"}, [3]),
        ({"type": "ADT^A08"}, [4]),
        ({"order_id": "order-001"}, [4, 1]),
        ({"state": "refused", "listener": "his", "type": "ORM^O01"}, [2]),
        ({"cursor": "message-003"}, [2, 1]),
    ],
)
def test_messages_are_searched_from_the_newest(opened, rows, save, asked, found):
    async def story():
        async with opened() as store:
            await store.run(
                save(
                    rows.message(1, order_ids=("order-001", "order-001", "order-002")),
                    rows.message(2, state="refused"),
                    rows.message(3, state="refused", listener="ris"),
                    rows.message(4, type="ADT^A08", order_ids=("order-001",)),
                )
            )
            return await store.messages.search(**asked)

    messages, cursor = run(story)

    assert [message.id for message in messages] == [f"message-{n:03d}" for n in found]
    assert cursor == ""


def test_a_message_keeps_its_bytes(opened, rows, save):
    async def story():
        async with opened() as store:
            await store.run(save(rows.message()))
            return await store.messages.get("message-001"), await store.messages.get("message-002")

    assert run(story) == (rows.message(), None)


def test_studies_whose_quiet_time_is_over_are_due(opened, rows, save):
    past, future = rows.now - timedelta(seconds=1), rows.now + timedelta(seconds=1)

    async def story():
        async with opened() as store:
            none = await store.studies.next_quiet_at()
            await store.run(
                save(
                    rows.study(1, quiet_at=rows.now),
                    rows.study(2, quiet_at=future),
                    rows.study(3, quiet_at=past, completed_at=past),
                    rows.study(4),
                    rows.study(5, quiet_at=past),
                )
            )
            return none, await store.studies.due_quiet(rows.now), await store.studies.next_quiet_at()

    assert run(story) == (None, ["1.2.5", "1.2.1"], rows.now - timedelta(seconds=1))


def test_studies_are_paged_from_the_newest_object(opened, rows, save):
    async def story():
        async with opened() as store:
            moments = [rows.now + timedelta(seconds=n // 2) for n in range(6)]
            await store.run(save(*(rows.study(n, last_at=at, state="held") for n, at in enumerate(moments))))
            await store.run(save(rows.study(9)))
            first, cursor = await store.studies.search(state="held", limit=4)
            rest, end = await store.studies.search(state="held", limit=4, cursor=cursor)
            return [study.uid for study in (*first, *rest)], end, await store.studies.get("1.2.9")

    uids, end, study = run(story)

    assert uids == [f"1.2.{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert end == ""
    assert study == rows.study(9)


def test_objects_are_listed_for_their_study_and_for_the_spool(opened, rows, save):
    async def story():
        async with opened() as store:
            other = rows.instance(3, study_uid="1.2.9", path="1.2.9/3.dcm")
            await store.run(save(rows.instance(2), rows.instance(1), other))
            return await store.instances.of_study("1.2.1"), await store.instances.paths("S1")

    objects, paths = run(story)

    assert objects == [rows.instance(1), rows.instance(2)]
    assert paths == {"1.2.1/1.dcm", "1.2.1/2.dcm", "1.2.9/3.dcm"}


def test_every_data_set_of_an_mpps_is_kept_as_it_came(opened, rows, save):
    came = [
        RawDataSet(
            uid="1.9",
            kind="set" if n else "create",
            at=rows.now + timedelta(microseconds=n),
            transfer_syntax="1.2.840.10008.1.2",
            content=bytes([n, 255, 0]),
        )
        for n in range(3)
    ]

    async def story():
        async with opened() as store:
            await store.run(save(*reversed(came)))
            return await store.instances.raw_data_sets("1.9")

    assert run(story) == came


def test_users_and_tokens_are_found(opened, rows, save):
    user = User(name="ada", password_hash="$argon2id$", created_at=rows.now)
    token = Token(name="ris", token_hash="ab", created_at=rows.now)

    async def story():
        async with opened() as store:
            before = await store.accounts.has_users()
            await store.run(save(user, token))
            accounts = store.accounts
            found = [await accounts.user("ada"), await accounts.token("ab"), await accounts.has_users()]
            return before, found, [await accounts.user("bob"), await accounts.token("ris")]

    assert run(story) == (False, [user, token, True], [None, None])


def test_alarms_are_given_from_the_newest(opened, rows, save):
    async def story():
        async with opened() as store:
            await store.run(save(*(rows.event(n, is_alarm=bool(n % 2)) for n in range(8))))
            return await store.events.alarms(3)

    assert [event.id for event in run(story)] == ["event-007", "event-005", "event-003"]
