"""Calls of clients that wait for progress alone: in every revision and on every stream some comes in time."""

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import ValidationError

from servers.databases import Databases
from tests.support.gateway import Gateway, make_settings
from tests.support.mcp import (
    BOTH,
    HANDSHAKE_VERSIONS,
    LATEST,
    Actor,
    conforms,
    message,
    open_post,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.mcp_sessions import Stream, connect, open_sse

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAYS = [
    *((version, "alone") for version in [*HANDSHAKE_VERSIONS, LATEST]),
    *((version, way) for version in HANDSHAKE_VERSIONS for way in ("session", "sse")),
]
"""How a call reaches the gateway: by itself, in a session, or in one of HTTP+SSE."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def restless(databases: Databases, template_database: str) -> AsyncIterator[tuple[Gateway, Actor]]:
    """A gateway that lets hardly any time pass without progress, and its actor."""
    with databases.one(template_database) as url:
        async with start_mcp(url, mcp_progress_interval=0.02) as made:
            yield made, Actor(made)


@contextlib.asynccontextmanager
async def called(gateway: Gateway, version: str, way: str, flow: str) -> AsyncIterator[Stream]:
    """The stream of a tools/call with a progressToken."""
    params = {"name": flow, "arguments": {}, "_meta": {"progressToken": "t"}}
    body = stateless_body("tools/call", params) if version == LATEST else message("tools/call", params)
    if way == "sse":
        async with open_sse([gateway]) as client:
            await client.initialize(version)
            assert await client.post(body) == 202
            yield client.stream
    elif way == "session":
        session = await connect(gateway, version=version)
        async with session.post(body) as response:
            yield Stream(response)
    else:
        stated = {"Accept": BOTH, "MCP-Protocol-Version": version}
        headers = stateless_headers(body) if version == LATEST else stated
        async with open_post(gateway, body, headers) as response:
            yield Stream(response)


@pytest.mark.parametrize("flow", ["anything", "quiet"])
@pytest.mark.parametrize(("version", "way"), WAYS)
async def test_a_quiet_call_goes_on_with_progress(
    restless: tuple[Gateway, Actor], version: str, way: str, flow: str
) -> None:
    """patterns/progress: 'The progress value MUST increase with each notification'. Clients reset their timers on
    progress only (`resetTimeoutOnProgress`), so a flow that says nothing, or keeps it to itself, has some, too."""
    gateway, actor = restless
    async with called(gateway, version, way, flow) as stream:
        task_id, _ = await actor.take()
        values: list[float] = []
        beats = 0
        while beats < 3:
            told = await stream.message()
            conforms(told, "ProgressNotification", version)
            values.append(told["params"]["progress"])
            beats += "message" not in told["params"]
        assert all(value < 100 for value in values)
        await actor.end(task_id, result={})
        while "method" in (last := await stream.message()):
            values.append(last["params"]["progress"])
    assert values == sorted(set(values))
    assert all(value < 100 for value in values[:-1])
    assert last["result"].get("isError", False) is False


async def test_the_time_without_progress_is_at_most_a_quarter_of_a_minute() -> None:
    assert make_settings(mcp_progress_interval="15s").mcp_progress_interval == 15
    for wrong in ("15.1s", "0s"):
        with pytest.raises(ValidationError, match="mcp_progress_interval"):
            make_settings(mcp_progress_interval=wrong)
