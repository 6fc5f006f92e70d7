"""Conversations, which are stored with their tasks, and their messages: numbers, limits, and the cost of reading."""

import asyncio
import json
from typing import Any

import pytest

from asya_gateway.domain import budget as budgets
from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.budget import Budget, NoRoom, Share
from asya_gateway.domain.conversations import Conversation, NewConversation
from asya_gateway.domain.errors import Conflict, KeyReused
from asya_gateway.domain.owners import EVERY_OWNER, OwnedBy
from asya_gateway.domain.ports import Terms
from asya_gateway.domain.task import LARGEST_INLINE
from asya_gateway.storage.a2a import contents
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.tasks.admitting import Admitted, Admitter, Applicant, ClientTaskIdTaken, Verdict
from asya_gateway.storage.tasks.creating import TaskCreator, into_outbox
from asya_gateway.storage.tasks.reading import WEIGHT
from tests.support.storage import Running, new_task

LARGE = json.dumps("x" * 50_000)
MOST = 10_000_000


async def begun(still: Running) -> tuple[PostgresConversations, str]:
    task_id = await still.create(owner="me", conversation=NewConversation("1.0", "c", '"first"'))
    return PostgresConversations(still.storage.database), task_id


async def test_tasks_with_and_without_a_conversation_are_stored_in_one_batch(still: Running) -> None:
    large = json.dumps("x" * 300_000)
    said = NewConversation("0.3", "c", '"hi"', reply="auto")
    for others in ((), (new_task(owner="me", conversation=NewConversation("1.0", "c", large)),)):
        batch = [new_task(), new_task(owner="a\x1fb", conversation=said), *others]
        creator = TaskCreator(lambda: still.storage.database.hot.pool, into_outbox(still.handed.extend), lambda _: None)
        times = await creator.flush(batch)
        # What is written again, because its answer was lost, is there once.
        assert await creator.flush(batch) == times
        conversations = PostgresConversations(still.storage.database)
        found = [await conversations.of_task(each.id) for each in batch]
        owner = batch[1].owner
        assert found[:2] == [None, Conversation(batch[1].id, owner, "0.3", "c", reply="auto")]
        assert [await conversations.messages(each.id, None, most_bytes=MOST) for each in batch[:2]] == [(), ['"hi"']]
        for each, at in zip(batch, times, strict=True):
            head = await still.tasks.head(each.id, owner=EVERY_OWNER)
            assert head is not None
            assert head.created_at == at


async def test_a_clients_name_is_that_of_one_task_and_disturbs_no_other_call(still: Running) -> None:
    database = still.storage.database
    named = NewConversation("0.1", "c", '"hi"', "mine")
    admitter = Admitter(lambda: database.pool, into_outbox(still.handed.extend))

    def call(key: str | None = None, **more: Any) -> Applicant:
        return Applicant(new_task(owner="me", **more), Terms(key, b"d" if key else None))

    first, second = call(conversation=named), call("k", conversation=named)
    plain, other = call(), call("other", conversation=named._replace(client_task_id=None))

    async def flushed(*batch: Applicant) -> list[Verdict]:
        """The verdicts without times, which what is stored now has."""
        verdicts = await admitter.flush(batch)
        return [each._replace(created_at=None) if isinstance(each, Admitted) else each for each in verdicts]

    verdicts = await flushed(first, second, plain, other)
    expected = [
        Admitted(first.new.id, None),
        ClientTaskIdTaken("mine"),
        Admitted(plain.new.id, None),
        Admitted(other.new.id, b"d"),
    ]
    assert verdicts == expected
    # The key of the call that was refused is free.
    again = call("k", conversation=named._replace(client_task_id="another"))
    assert await flushed(again) == [Admitted(again.new.id, b"d")]
    # Of a repeated call the key counts, not the name.
    assert await flushed(call("k", conversation=named._replace(client_task_id="another"))) == [
        Admitted(again.new.id, b"d")
    ]
    assert await flushed(first) == [Admitted(first.new.id, None)]
    for table, rows in (("tasks", 4), ("a2a_tasks", 3), ("a2a_messages", 3)):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == rows
    conversations = PostgresConversations(database)
    assert await conversations.find_client_task("me", "mine") == first.new.id


async def test_messages_of_one_moment_have_numbers_of_their_own_and_the_limits_hold_among_them(still: Running) -> None:
    conversations, task_id = await begun(still)

    async def add(text: str, most: int, most_bytes: int = 1000) -> int:
        return await conversations.add(task_id, json.dumps(text), most=most, most_bytes=most_bytes)

    assert sorted(await asyncio.gather(*(add("next", 100) for _ in range(4)))) == [2, 3, 4, 5]
    told = await asyncio.gather(*(add("next", 7) for _ in range(4)), return_exceptions=True)
    assert sorted(each for each in told if isinstance(each, int)) == [6, 7]
    assert [type(each) for each in told if not isinstance(each, int)] == [Conflict, Conflict]
    # There are 43 bytes so far.
    with pytest.raises(Conflict, match="bytes"):
        await add("last", 100, 48)
    assert await add("last", 100, 49) == 8
    assert await conversations.messages(task_id, None, most_bytes=MOST) == ['"first"', *['"next"'] * 6, '"last"']
    assert await conversations.messages(task_id, 2, most_bytes=MOST) == ['"next"', '"last"']
    assert await conversations.add("unknown", "{}", most=10, most_bytes=10) == 0
    assert await conversations.messages("unknown", None, most_bytes=MOST) == ()


async def test_equal_messages_under_one_key_are_stored_once_and_another_one_is_refused(still: Running) -> None:
    conversations, task_id = await begun(still)

    async def add(text: str, key: str, digest: bytes) -> int:
        request = RequestKey("message", key, digest)
        return await conversations.add(task_id, json.dumps(text), most=10, most_bytes=1000, request=request)

    assert sorted(await asyncio.gather(*(add(f"yes {n}", "k", b"same") for n in range(4)))) == [0, 0, 0, 2]
    with pytest.raises(KeyReused):
        await add("no", "k", b"other")
    assert await add("more", "l", b"same") == 3
    # One that was not taken leaves its key to the next one.
    await conversations.remove(task_id, 3, RequestKey("message", "l", b"same"))
    assert await add("another", "l", b"other") == 3
    assert len(await conversations.messages(task_id, None, most_bytes=MOST)) == 3


async def test_large_messages_are_read_when_there_is_room_in_memory(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "PATIENCE", 0.01)
    conversations, task_id = await begun(still)
    for _ in range(2):
        await conversations.add(task_id, LARGE, most=10, most_bytes=1_000_000)
    budget = Budget(1_000_000)
    budget.charge(Share.READERS, 1)
    with budget.scope():
        with pytest.raises(NoRoom):
            await conversations.messages(task_id, None, most_bytes=MOST)
        # Small ones are read as they are.
        assert await conversations.messages(task_id, 1, most_bytes=MOST) == [LARGE]
        budget.give_back(Share.READERS, 1)
        assert await conversations.messages(task_id, None, most_bytes=MOST) == ['"first"', LARGE, LARGE]
        assert budget.holds(Share.READERS) == WEIGHT * (len('"first"') + 2 * len(LARGE))
    assert budget.holds(Share.READERS) == 0


async def test_no_more_is_read_than_fits_into_the_bytes_but_always_the_newest_message(still: Running) -> None:
    conversations, task_id = await begun(still)
    for _ in range(3):
        await conversations.add(task_id, LARGE, most=10, most_bytes=1_000_000)
    await conversations.add(task_id, '"last"', most=10, most_bytes=1_000_000)
    budget = Budget(1_000_000)

    async def read(most: int | None, most_bytes: int) -> list[int]:
        with budget.scope() as lease:
            found = await conversations.messages(task_id, most, most_bytes=most_bytes)
            size = sum(map(len, found))
            assert lease.bytes == (WEIGHT * size if size > LARGEST_INLINE else 0)
        return [len(each) for each in found]

    large, last = len(LARGE), len('"last"')
    assert await read(None, 1_000_000) == [len('"first"'), large, large, large, last]
    assert await read(None, 2 * large + last) == [large, large, last]
    assert await read(None, 2 * large + last - 1) == [large, last]
    assert await read(2, 1_000_000) == [large, last]
    assert await read(None, large) == await read(None, 1) == [last]
    await conversations.add(task_id, LARGE, most=10, most_bytes=1_000_000)
    assert await read(None, 1) == [large]


async def test_a_list_leaves_out_many_messages_that_are_large_together(
    still: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations, task_id = await begun(still)
    for _ in range(2):
        await conversations.add(task_id, LARGE, most=10, most_bytes=1_000_000)
    place = (await still.tasks.head(task_id, owner=OwnedBy("me"))).created_at, task_id
    lists = PostgresConversationLists(still.storage.database)

    async def whole(messages: int | None) -> bool:
        [listed] = await lists.contents("me", [place], messages=messages, results=False)
        assert len(listed.messages) == (0 if not listed.whole else messages or 3)
        return listed.whole

    assert await whole(None)
    monkeypatch.setattr(contents, "_CONTENTS", contents._CONTENTS.replace(str(contents.PAGE_BYTES), "60000"))
    assert not await whole(None)
    assert await whole(1)
