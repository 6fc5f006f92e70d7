"""Payloads and results arrive as they were sent, whatever JSON allows."""

from typing import Any

import pytest

from tests.support.gateway import Gateway

ODD: list[Any] = [
    {"n": 2**63 + 1, "m": -(2**200)},
    {"nul": "a\0b", "lone": "\ud800", "pair": "\U0001f600", "line": "\u2028\r\n"},
    {"\0": {"\udfff": 1}},
    {"f": 0.1, "e": 1e-300},
    {"__proto__": None, "": ""},
]


@pytest.mark.parametrize("value", ODD)
async def test_arguments_and_results_survive_the_journey(gateway: Gateway, value: Any) -> None:
    """'Payloads and results are kept as JSON text (...). NUL and control characters are refused in
    ids and names only. Integers beyond 64 bits stay exact or are refused, never rounded'."""
    task_id = await gateway.submit("anything", value)
    await gateway.finish(task_id, [value])
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert (task["payload"], task["result"]) == (value, [value])
    async with gateway.stream(f"/stream/{task_id}") as reader:
        assert [event.data.get("result") for event in await reader.all()] == [None, [value]]


@pytest.mark.parametrize("value", ODD)
async def test_live_events_survive_the_journey(gateway: Gateway, value: Any) -> None:
    task_id = await gateway.submit()
    async with gateway.stream(f"/mesh/{task_id}/stream") as reader:
        await reader.next()
        await gateway.post(f"/mesh/{task_id}/fly", {"payload": value})
        event = await reader.next()
    assert event is not None
    assert event.data == value


async def test_messages_and_errors_with_odd_characters_are_kept_readable(gateway: Gateway) -> None:
    task_id = await gateway.submit()
    report = {"status": "processing", "curr": "first", "message": "a\0b\ud800"}
    assert (await gateway.post(f"/mesh/{task_id}/progress", report))[0] == 200
    details = {"message": "no\0", "n": 2**64, "lone": "\ud800"}
    final = {"status": "failed", "error": "no\0\ud800", "error_details": details}
    assert (await gateway.post(f"/mesh/{task_id}/final", final))[0] == 200
    _, task = await gateway.get(f"/tasks/{task_id}")
    assert task["error"]["details"] == details
    assert task["message"].startswith("no")
    async with gateway.stream(f"/stream/{task_id}") as reader:
        assert len(await reader.all()) == 3
