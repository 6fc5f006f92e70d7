"""FLY: live events from a handler to a reader, in order."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.actors import Mesh
from tests.support.handlers import CALLS, GATE
from tests.support.waiting import until


async def read_tokens(mesh: Mesh, task_id: str, reading: asyncio.Event) -> list[Any]:
    tokens = []
    async with mesh.session.get(f"{mesh.url}/stream/{task_id}") as response:
        name = ""
        async for line in response.content:
            reading.set()
            text = line.decode().rstrip()
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: ") and name == "partial":
                tokens.append(json.loads(text.removeprefix("data: "))["token"])
    return tokens


@pytest.mark.parametrize("handler", ["tokens", "tokens_async"])
async def test_every_token_reaches_a_reader_in_order_and_before_the_end(mesh: Mesh, handler: str) -> None:
    await mesh.run(mesh.worker("gate", "gated"), mesh.worker("tokens", handler))
    task_id = await mesh.submit(["gate", "tokens"], {"count": 2000})
    await until(lambda: CALLS)
    reading = asyncio.Event()
    reader = asyncio.create_task(read_tokens(mesh, task_id, reading))
    await reading.wait()
    GATE.set()
    async with asyncio.timeout(20):
        assert await reader == [f"t{number}" for number in range(2000)]
    assert (await mesh.ended(task_id))["result"] == {"said": 2000}


async def test_an_event_over_a_mebibyte_is_refused_to_the_handler(mesh: Mesh) -> None:
    await mesh.run(mesh.worker("large", "large_event"))
    task = await mesh.ended(await mesh.submit(["large"], {}))
    assert "the limit is" in task["result"]["refused"]
