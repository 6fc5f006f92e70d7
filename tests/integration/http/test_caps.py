"""Caps on open tasks, in the form of each wire."""

from asya_gateway.protocols.http.keys import FLOWS
from tests.support.gateway import make_flows, start_gateway
from tests.support.mcp import TOOLS, open_post, stateless_body, stateless_headers


async def test_one_call_more_than_the_flow_may_have_is_429_until_one_ends(database_url: str) -> None:
    async with start_gateway(database_url, max_open_tasks_per_flow=2) as gateway:
        gateway.app[FLOWS].swap(make_flows(TOOLS).table)
        tasks = [await gateway.submit() for _ in range(2)]
        url, body = gateway.url + "/tools/call", '{"name":"anything"}'
        async with gateway.session.post(url, data=body, headers={"Accept": "application/json"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
            error = (await response.json())["error"]
        assert error["code"] == "too_many_tasks"
        assert "fewer than 2 open tasks of the flow anything" in error["message"]
        call = stateless_body("tools/call", {"name": "anything"})
        async with open_post(gateway, call, stateless_headers(call)) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
            error = (await response.json())["error"]
        assert error["code"] == -32603
        assert "fewer than 2 open tasks" in error["message"]
        await gateway.submit("shout", {"text": "another flow"})
        await gateway.finish(tasks[0])
        await gateway.submit()


async def test_a_key_is_answered_whatever_the_cap_of_its_owner(database_url: str) -> None:
    async with start_gateway(database_url, max_open_tasks_per_owner=1) as gateway:
        call, key = {"name": "anything"}, {"Idempotency-Key": "once"}
        first = await gateway.post("/tools/call", call, headers=key)
        assert first[0] == 200
        assert (await gateway.post("/tools/call", call))[0] == 429
        assert await gateway.post("/tools/call", call, headers=key) == first
