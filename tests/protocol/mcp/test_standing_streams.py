"""The standalone stream of a session (2025-11-25, basic/transports, "Listening for Messages from the Server"), on two
replicas."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.gateway import Gateway
from tests.support.mcp import TOOLS, Actor, conforms, message, serve_tools
from tests.support.mcp_sessions import Stream, connect, events, replicas


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2) as made:
        yield made


def change(gateway: Gateway, generation: int) -> None:
    """Serve one tool more than before."""
    more = [{"name": f"more{generation}", "entrypoint": "first", "mcp": {}}]
    serve_tools(gateway, [*TOOLS, *more], generation)


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18", "2025-11-25"])
async def test_changes_of_lists_are_told(pair: list[Gateway], version: str) -> None:
    """server/tools, "List Changed Notification": 'servers that declared the listChanged capability SHOULD send a
    notification'."""
    client = await connect(*pair, version=version)
    async with client.listen(pair[1]) as stream:
        if version >= "2025-11-25":
            first = await stream.next()
            assert first is not None
            assert (first.data, first.id is not None, stream.retry) == (None, True, 1000)
        else:
            assert await stream.comment() == "connected"
        change(pair[1], 2)
        event = await stream.next()
        assert event is not None
        assert event.id is not None
        conforms(event.data, "ToolListChangedNotification", version)


async def test_a_client_that_comes_back_is_told_of_what_changed_meanwhile(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.listen(pair[0]) as stream:
        await stream.next()
        last = stream.last_id
    for gateway in pair:
        change(gateway, 2)
    async with client.listen(pair[1], last=last) as stream:
        methods = {(await stream.message())["method"] for _ in range(3)}
        assert "notifications/tools/list_changed" in methods
        last = stream.last_id
    async with client.listen(pair[0], last=last) as stream:
        await stream.next()
        change(pair[0], 3)
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_the_newest_stream_ends_the_older_on_any_replica(pair: list[Gateway]) -> None:
    """'The server MUST send each of its JSON-RPC messages on only one of the connected streams'."""
    client = await connect(*pair)
    async with client.listen(pair[0]) as first:
        await first.next()
        async with client.listen(pair[1]) as second:
            await second.next()
            assert [event async for event in events(first)] == []
            assert "another stream of this session is open now" in first.comments
            change(pair[1], 2)
            assert (await second.message())["method"] == "notifications/tools/list_changed"


async def test_a_stream_ends_with_its_session(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.listen(pair[0]) as stream:
        await stream.next()
        assert await client.delete(pair[1]) == 204
        assert [event async for event in events(stream)] == []


async def test_a_stream_goes_on_while_its_session_is_used(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    async with client.listen(pair[0]) as stream:
        await stream.next()
        await client.ask("logging/setLevel", {"level": "debug"}, at=pair[1])
        await client.ask("resources/subscribe", {"uri": "asya://nothing"}, at=pair[1])
        await client.ask("resources/unsubscribe", {"uri": "asya://nothing"}, at=pair[1])
        change(pair[0], 2)
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_subscribed_task_is_told_of(pair: list[Gateway]) -> None:
    """server/resources, "Subscriptions"."""
    client, actor = await connect(*pair), Actor(pair[0])
    task_id = await pair[0].submit("anything", {})
    async with client.listen(pair[0]) as stream:
        await stream.next()
        await client.ask("resources/subscribe", {"uri": f"asya://tasks/{task_id}"}, at=pair[1])

        # Once when the stream begins to watch it, and with each change from then on.
        for ends in (False, True):
            if ends:
                await actor.end(task_id, result=1)
            told = await stream.message()
            conforms(told, "ResourceUpdatedNotification", "2025-11-25")
            assert told["params"]["uri"] == f"asya://tasks/{task_id}"


async def test_a_subscription_to_what_cannot_be_leaves_the_stream_open(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    for end in ("%00", "a%00/result", "nothing", "x" * 300):
        await client.ask("resources/subscribe", {"uri": f"asya://tasks/{end}"}, at=pair[0])
    async with client.listen(pair[1]) as stream:
        await stream.next()
        change(pair[1], 2)
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_stream_without_the_right_accept_header_is_406(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    headers = {**client.all_headers, "Accept": "application/json"}
    async with pair[0].session.get(pair[0].url + "/mcp", headers=headers) as response:
        assert response.status == 406


async def test_a_stream_survives_the_loss_of_its_gateway(database_url: str) -> None:
    async with replicas(database_url, 1) as first:
        client = await connect(*first)
        async with client.listen(first[0]) as stream:
            await stream.next()
            last = stream.last_id
            first[0].stop.set()
            assert await ends(stream)
    async with replicas(database_url, 1) as second, client.listen(second[0], last=last) as stream:
        await stream.next()
        change(second[0], 2)
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def ends(stream: Stream) -> bool:
    try:
        return await stream.next() is None
    except aiohttp.ClientError:
        return True


LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


async def log_messages(pair: list[Gateway], version: str, level: str | None) -> list[Any]:
    """What a client with this level is told of a message of each level."""
    client, actor = await connect(*pair, version=version), Actor(pair[0])
    if level is not None:
        assert await client.ask("logging/setLevel", {"level": level}, at=pair[1]) == {}
    async with client.call("anything", at=pair[0]) as stream:
        task_id, _ = await actor.take()
        if level is not None:
            await stream.next()
            for each in LEVELS:
                await actor.fly(task_id, {"log": {"level": each, "logger": "it", "data": {"at": each}}})
            await actor.fly(task_id, {"log": {"level": "loud", "data": 1}})
        await actor.end(task_id, result=1)
        seen = [event.data async for event in events(stream) if event.data is not None]
    return [each["params"] for each in seen[:-1] if each["method"] == "notifications/message"]


async def test_messages_are_sent_from_the_level_on_that_was_set(pair: list[Gateway]) -> None:
    """server/utilities/logging: 'the server ... Sends only messages at the set level or higher'."""
    version = "2025-11-25"
    seen = await log_messages(pair, version, "error")
    assert [each["level"] for each in seen] == LEVELS[4:]
    for each in seen:
        whole = {"jsonrpc": "2.0", "method": "notifications/message", "params": each}
        conforms(whole, "LoggingMessageNotification", version)


async def test_no_messages_are_sent_before_a_level_is_set(pair: list[Gateway]) -> None:
    assert await log_messages(pair, "2025-11-25", None) == []


@pytest.mark.parametrize("level", [None, 7, "loud", "ERROR", ["info"]], ids=range(5))
async def test_a_level_that_does_not_exist_is_invalid(pair: list[Gateway], level: Any) -> None:
    """server/utilities/logging, "Error Handling": 'Invalid log level: -32602'."""
    client = await connect(*pair)
    _, answer = await client.send(message("logging/setLevel", {"level": level}))
    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize("uri", [None, 7, "", "x" * 3000, "a\x00b"], ids=range(5))
async def test_a_subscription_to_no_uri_is_invalid(pair: list[Gateway], uri: Any) -> None:
    client = await connect(*pair)
    for method in ("resources/subscribe", "resources/unsubscribe"):
        _, answer = await client.send(message(method, {"uri": uri}))
        assert answer["error"]["code"] == -32602


async def test_a_session_has_few_subscriptions(pair: list[Gateway]) -> None:
    client = await connect(*pair)
    await pair[0].running.storage.database.execute(
        "UPDATE mcp_sessions SET uris = ARRAY(SELECT 'test://' || n FROM generate_series(1, 100) n)"
    )
    assert await client.ask("resources/subscribe", {"uri": "test://7"}) == {}
    _, answer = await client.send(message("resources/subscribe", {"uri": "test://more"}))
    assert answer["error"]["code"] == -32602
