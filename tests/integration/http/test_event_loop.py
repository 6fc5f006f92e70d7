"""The event loop is never held: how late it wakes while large bodies arrive on every surface."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from asya_crds import jsontext
from asya_crds.flow import Flow
from asya_crds.large_json import FEW_VALUES
from asya_gateway.domain.flows import FlowTable, ServedFlow
from asya_gateway.protocols.http.keys import FLOWS, OFFLOAD
from asya_schemas.compiling import compile_schema
from tests.support.gateway import Gateway, start_gateway
from tests.support.waiting import lasts

HELD = 0.25
"""Seconds; what was decoded on the loop, or in a thread, held it for half a second and more."""
MEBIBYTES = 9 * 1024 * 1024
NUMBERS = {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}


@dataclass
class Lag:
    """The longest that the loop was held, in seconds."""

    longest: float = 0.0


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Wake again and again, and note how late. Time in which this process had no core does not count: it says how busy
    the machine is."""
    lag = Lag()

    async def watch() -> None:
        while True:
            wall, used = time.monotonic(), time.process_time()
            await lasts(0.005)
            lag.longest = max(lag.longest, min(time.monotonic() - wall, time.process_time() - used))

    task = asyncio.create_task(watch())
    try:
        yield lag
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def send(gateway: Gateway, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    """As a stream: a body in one piece would hold the client's side of this loop."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
    async with gateway.session.post(gateway.url + path, data=io.BytesIO(body), headers=headers) as response:
        return response.status, jsontext.loads(await response.text() or "null")


def wrapped(before: str, values: bytes, after: str) -> bytes:
    return before.encode() + b"[" + values + b"]" + after.encode()


def lists(size: int = MEBIBYTES) -> bytes:
    return b",".join([b"[]"] * (size // 3))


def numbers(count: int, last: bytes = b"7") -> bytes:
    return b",".join([*[b"1"] * (count - 1), last])


def add_flow(gateway: Gateway, name: str, schema: dict[str, Any]) -> None:
    flow = Flow.model_validate({"name": name, "entrypoint": "first", "mcp": {"inputSchema": schema}})
    table = gateway.app[FLOWS].table
    made = ServedFlow(flow, compile_schema(schema))
    gateway.app[FLOWS].swap(FlowTable.of(2, [*table.flows.values(), made]))


MCP_CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"numbers","arguments":{"n":'
SURFACES = {
    "REST": ("/tools/call", '{"name":"numbers","arguments":{"n":', "}}"),
    "MCP": ("/mcp", MCP_CALL, "}}}"),
    "mesh": ("/mesh/some-task/final", '{"status":"succeeded","result":', "}"),
}


@pytest.mark.parametrize("surface", SURFACES)
async def test_four_bodies_of_empty_lists_are_refused_and_hold_nothing(database_url: str, surface: str) -> None:
    path, before, after = SURFACES[surface]
    body = wrapped(before, lists(), after)
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            answers = await asyncio.gather(*(send(gateway, path, body) for _ in range(4)))
        assert [status for status, _ in answers] == [413] * 4
        assert "at most 1000000 values" in str(answers[0][1])
        assert await gateway.stored() == 0
    assert lag.longest < HELD


async def test_four_calls_with_as_many_values_as_are_taken_hold_nothing(database_url: str) -> None:
    body = wrapped('{"name":"numbers","arguments":{"n":', numbers(900_000), "}}")
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            answers = await asyncio.gather(*(send(gateway, "/tools/call", body) for _ in range(4)))
        assert [status for status, _ in answers] == [200] * 4
        stored = await gateway.running.storage.database.fetchval(
            "SELECT count(*) FROM task_bodies WHERE kind = 'payload' AND length(body::text) > 1800000"
        )
        assert stored == 4
    assert lag.longest < HELD


async def test_a_mistake_among_many_values_is_told_and_holds_nothing(database_url: str) -> None:
    body = wrapped('{"name":"numbers","arguments":{"n":', numbers(900_000, last=b'"x"'), "}}")
    async with start_gateway(database_url) as gateway:
        add_flow(gateway, "numbers", NUMBERS)
        async with watched() as lag:
            status, answer = await send(gateway, "/tools/call", body)
        assert status == 400
        assert answer["error"]["violations"][0]["path"] == "/n/899999"
    assert lag.longest < HELD


async def test_a_final_report_with_many_values_is_stored_as_it_is_and_holds_nothing(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        body = wrapped('{"status":"succeeded","result":', numbers(900_000), "}")
        async with watched() as lag:
            status, _ = await send(gateway, f"/mesh/{task_id}/final", body)
        assert status == 200
        result = await gateway.running.storage.database.fetchval(
            "SELECT body::text FROM task_bodies WHERE task_id = $1 AND kind = 'result'", task_id
        )
        assert result == f"[{numbers(900_000).decode()}]"
    assert lag.longest < HELD


async def test_a_report_with_many_values_is_taken_where_a_call_would_be_turned_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_gateway(database_url) as gateway:
        monkeypatch.setattr(gateway.app[OFFLOAD], "_most", 0)
        task_id, other = await gateway.submit(), await gateway.submit()
        data = numbers(FEW_VALUES + 1)
        call = wrapped('{"name":"anything","arguments":{"n":', data, "}}")
        final = wrapped('{"status":"succeeded","result":', data, "}")
        event = wrapped('{"type":"status","status":"succeeded","data":{"result":', data, "}}")
        progress = wrapped('{"status":"processed","curr":"first","frames":[{"n":', data, "}]}")
        bodies = {
            "/tools/call": call,
            f"/mesh/{task_id}/progress": progress,
            f"/mesh/{task_id}/final": final,
            f"/api/v1/mesh/{other}/events": event,
        }
        statuses = [(await send(gateway, path, body))[0] for path, body in bodies.items()]
        assert statuses == [503, 200, 200, 204]
