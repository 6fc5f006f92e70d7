"""Streams of prompts/get and resources/read in sessions go on at another replica, as those of calls do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.inputs import NAME, pause_body
from tests.support.mcp import Actor, conforms, message, serve_tools
from tests.support.mcp_sessions import Stream, connect, replicas

OFFERS: list[dict[str, Any]] = [
    {"name": "told", "description": "T", "entrypoint": "first", "mcp": {"tool": False, "prompt": {}}},
    {
        "name": "read",
        "description": "R",
        "entrypoint": "first",
        "mcp": {"tool": False, "resource": {"uriTemplate": "docs://{page}", "mimeType": "text/plain"}},
    },
]
ASKED = {
    "prompts/get": ({"name": "told"}, "GetPromptResult"),
    "resources/read": ({"uri": "docs://handbook"}, "ReadResourceResult"),
}


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Gateway]]:
    async with replicas(database_url, keepalive_interval=0.2) as made:
        for each in made:
            serve_tools(each, OFFERS)
        yield made


@pytest.mark.parametrize("method", ASKED)
async def test_a_stream_goes_on_with_its_progress_its_question_and_its_result(pair: list[Gateway], method: str) -> None:
    """transports, "Resumability and Redelivery": 'the server MAY use this header to replay messages'."""
    params, definition = ASKED[method]
    client, actor = await connect(*pair), Actor(pair[0])
    body = message(method, {**params, "_meta": {"progressToken": "p"}}, 7)
    values = []
    async with client.post(body, pair[0]) as response:
        stream = Stream(response)
        task_id, _ = await actor.take()
        await actor.report(task_id, "processing", message="one")
        while (told := await stream.message())["params"].get("message") != "one":
            pass
        values.append(told["params"]["progress"])
        last = stream.last_id
    # Its flow is served no longer when the client comes back.
    serve_tools(pair[1], [])
    status, _ = await pair[0].post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"name": NAME}}))
    assert status == 200
    async with client.listen(pair[1], last=last) as stream:
        while (told := await stream.message())["method"] != "elicitation/create":
            values.append(told["params"]["progress"])
        await client.respond(told["id"], {"action": "accept", "content": {"name": "Ada"}}, pair[1])
        await actor.end(task_id, result="for Ada")
        while "method" in (told := await stream.message()):
            if told["method"] == "notifications/progress":
                values.append(told["params"]["progress"])
    assert told["id"] == 7
    conforms(told["result"], definition, "2025-11-25")
    assert "for Ada" in str(told["result"])
    assert values == sorted(set(values))
