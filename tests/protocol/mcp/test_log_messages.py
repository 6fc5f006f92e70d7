"""Log messages of actors without a handshake, where each request asks for them itself. In sessions:
test_standing_streams.py."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.protocols.mcp.log_messages import LEVELS
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import LATEST, Actor, conforms, open_post, stateless_body, stateless_headers

LOG_LEVEL = "io.modelcontextprotocol__logLevel"


@contextlib.asynccontextmanager
async def call_that_asks(gateway: Gateway, level: str | None, id: str = "1") -> AsyncIterator[Reader]:
    """The stream of a call with this level, and with a progress token, so that it begins at once."""
    params = {"name": "anything", "_meta": {"progressToken": id}}
    body = stateless_body("tools/call", params, id=id, **({} if level is None else {LOG_LEVEL: level}))
    async with open_post(gateway, body, stateless_headers(body)) as response:
        assert response.status == 200
        yield Reader(response)


async def messages_of(reader: Reader) -> list[Any]:
    """The log messages of a stream, which ends."""
    told = [event.data for event in await reader.all()]
    assert told[-1]["result"]["resultType"] == "complete"
    return [each for each in told if each.get("method") == "notifications/message"]


@pytest.mark.parametrize("level", ["debug", "error", "emergency"])
async def test_messages_are_sent_from_the_level_that_the_request_names(
    gateway: Gateway, actor: Actor, level: str
) -> None:
    """server/utilities/logging, "Per-request log level": the level is a member of the request's `_meta`."""
    async with call_that_asks(gateway, level) as reader:
        task_id, _ = await actor.take()
        for each in LEVELS:
            await actor.fly(task_id, {"log": {"level": each, "logger": "it", "data": {"at": each}}})
        await actor.fly(task_id, {"log": {"level": "loud", "data": 1}})
        await actor.end(task_id, result=1)
        told = await messages_of(reader)
    for each in told:
        conforms(each, "LoggingMessageNotification", LATEST)
    assert [each["params"]["level"] for each in told] == list(LEVELS[LEVELS.index(level) :])


async def test_only_that_request_hears_of_them_which_asked(gateway: Gateway, actor: Actor) -> None:
    """server/utilities/logging: 'The server MUST NOT emit notifications/message for a request that does not include
    this field', nor on 'any stream other than the one carrying the response to the request that set the log level'."""
    async with call_that_asks(gateway, "info", "asks") as asks, call_that_asks(gateway, None, "silent") as silent:
        tasks = [(await actor.take())[0] for _ in range(2)]
        for task_id in tasks:
            await actor.fly(task_id, {"log": {"level": "error", "data": task_id}})
            await actor.end(task_id, result=1)
        heard = await messages_of(asks)
        assert len(heard) == 1
        assert heard[0]["params"]["data"] in tasks
        assert await messages_of(silent) == []
