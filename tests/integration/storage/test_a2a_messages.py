"""The messages of a conversation: their numbers, their limits, and the memory that reading them takes."""

import asyncio
import json

import pytest

from asya_gateway.domain import budget as budgets
from asya_gateway.domain.budget import Budget, NoRoom, Share
from asya_gateway.domain.conversations import Conversation
from asya_gateway.domain.errors import Conflict
from asya_gateway.domain.owners import OwnedBy
from asya_gateway.storage.a2a import contents
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.a2a.messages import WEIGHT
from tests.support.storage import Running

LARGE = json.dumps("x" * 50_000)


async def begun(still: Running) -> tuple[PostgresConversations, str]:
    task_id = await still.create(owner="me")
    conversations = PostgresConversations(still.storage.database)
    await conversations.begin(Conversation(task_id, "me", "1.0", "c"), '"first"')
    return conversations, task_id


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
    assert await conversations.messages(task_id, None) == ['"first"', *['"next"'] * 6, '"last"']
    assert await conversations.messages(task_id, 2) == ['"next"', '"last"']
    assert await conversations.add("unknown", "{}", most=10, most_bytes=10) == 0
    assert await conversations.messages("unknown", None) == ()


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
            await conversations.messages(task_id, None)
        # Small ones are read as they are.
        assert await conversations.messages(task_id, 1) == [LARGE]
        budget.give_back(Share.READERS, 1)
        assert await conversations.messages(task_id, None) == ['"first"', LARGE, LARGE]
        assert budget.holds(Share.READERS) == WEIGHT * (len('"first"') + 2 * len(LARGE))
    assert budget.holds(Share.READERS) == 0


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
