"""The event loop is never held by what the operator pushes, however much that is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.registry.test_registry_routes import Served, start
from tests.support.event_loop import held, watched
from tests.support.gateway import send
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with start(database_url, tmp_path / "flows.yaml") as found:
        yield found


def entry(number: int, schema: str) -> str:
    flow = f'{{"name":"flow-{number}","entrypoint":"a","mcp":{{"inputSchema":{schema}}}}}'
    return f'{{"source":"flows.yaml","line":{number + 1},"flow":{flow}}}'


def problem(number: int) -> str:
    return f'{{"name":"bad-{number}","source":"flows.yaml","line":{number + 1},"reason":"no"}}'


def push(epoch: int, hash: str, flows: list[str], problems: list[str]) -> bytes:
    part = f'"configmap":{{"hash":"{hash}","flows":[{",".join(flows)}],"problems":[{",".join(problems)}]}}'
    return f'{{"epoch":{epoch},{part}}}'.encode()


def many_flows() -> list[str]:
    return [entry(number, '{"const":[' + ",".join(["[1]"] * 600) + "]}") for number in range(1_000)]


def large_flow() -> str:
    return entry(0, '{"properties":{' + ",".join(f'"{number}":{{}}' for number in range(400_000)) + "}}")


@pytest.mark.timeout(180)
async def test_a_push_of_more_than_a_million_values_is_served_and_holds_nothing(served: Served) -> None:
    """What the machine does besides can delay the loop at any time, but decoding on the loop would block it at every
    push, so one of three without a delay is proof."""
    flows = many_flows()
    epoch, blocked = await served.epoch(), []
    for generation, word in enumerate(("one", "two", "three"), 1):
        async with watched() as lag:
            status, answer = await send(served.gateway, "/mesh/config-reload", push(epoch, word, flows, []))
            assert (status, answer["flows"]) == (200, len(flows))
            await until(lambda: served.pod.generation == generation, seconds=120)  # noqa: B023 # awaited within the turn
        assert len(served.pod.served) == len(flows)
        blocked.append(held(lag))
        if not blocked[-1]:
            return
    assert not all(blocked)


async def test_a_flow_of_hundreds_of_thousands_of_values_is_left_out_and_holds_nothing(served: Served) -> None:
    body = push(await served.epoch(), "one", [large_flow(), entry(1, "{}")], [])
    async with watched() as lag:
        status, answer = await send(served.gateway, "/mesh/config-reload", body)
        await until(lambda: served.pod.generation == 1, seconds=120)
    assert (status, answer["flows"]) == (200, 1)
    assert answer["problems"] == [
        {"name": "flow-0", "reason": "expected a flow of at most 200000 values", "source": "flows.yaml", "line": 1}
    ]
    assert not held(lag)


async def test_pushes_of_many_problems_at_once_are_told_and_hold_nothing(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    epoch = await served.epoch()
    problems = [problem(number) for number in range(20_000)]
    bodies = [push(epoch, f"push-{number}", [], problems) for number in range(2)]
    async with watched() as lag:
        answers = await asyncio.gather(*(send(served.gateway, "/mesh/config-reload", body) for body in bodies))
        await until(lambda: served.pod.generation == 2, seconds=120)
        _, told = await served.gateway.get("/health/flows")
    assert [(status, len(answer["problems"])) for status, answer in answers] == [(200, 20_000)] * 2
    assert len(told["problems"]) == 20_000
    left_out = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert left_out[-1] == "and 19950 more flows left out; GET /health/flows names them"
    assert len(left_out) == 51
    assert not held(lag)
