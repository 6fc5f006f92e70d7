"""requestState between callers: what it is bound to besides the request (patterns/mrtr, "Server Requirements")."""

import asyncio

from tests.support.asking import ALICE, TOOLS, ask_tool, asked
from tests.support.mcp import Actor, serve_tools, start_mcp
from tests.support.principals import Tokens, bearer, closed

EVERYTHING = "mcp:read mcp:invoke"


async def test_a_state_of_another_caller_is_refused_and_stays_good_for_its_own(database_url: str) -> None:
    """patterns/mrtr: 'the authenticated principal, rejecting state presented by a different principal'."""
    tokens = Tokens(alice=EVERYTHING, bob=EVERYTHING)
    async with start_mcp(database_url, doors=closed(tokens)) as gateway:
        serve_tools(gateway, TOOLS)
        state = (await asked(gateway, "name", headers=bearer("alice")))["requestState"]
        status, answer = await ask_tool(
            gateway, "name", headers=bearer("bob"), inputResponses={"user_name": ALICE}, requestState=state
        )
        assert (status, answer["error"]) == (400, {"code": -32602, "message": "Invalid or expired requestState"})
        assert await gateway.stored() == 0
        call = asyncio.create_task(
            ask_tool(gateway, "name", headers=bearer("alice"), inputResponses={"user_name": ALICE}, requestState=state)
        )
        await Actor(gateway).serve({"done": True})
        status, answer = await call
        assert (status, answer["result"]["structuredContent"]) == (200, {"done": True})
