"""Sessions of MCP at a closed gateway: each belongs to one caller, and ends with its credential."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from asya_gateway.storage.identity.keys import revoke_keys
from tests.support.gateway import Gateway, start_gateway
from tests.support.identity import BY, store_key
from tests.support.mcp import message
from tests.support.mcp_sessions import HEADER, Client, Stream, connect, events
from tests.support.principals import bearer
from tests.support.waiting import until

SCOPES = {"alice": "mcp:read mcp:invoke", "bob": "mcp:read mcp:invoke", "empty": "unrelated"}


@dataclass
class Closed:
    """Two replicas of a closed gateway, and the credential of each caller."""

    gateways: list[Gateway]
    url: str
    keys: dict[str, str]

    async def connect(self, name: str) -> Client:
        return await connect(*self.gateways, headers=bearer(self.keys[name]))


@pytest.fixture
async def closed(database_url: str) -> AsyncIterator[Closed]:
    keys = {
        name: (await store_key(database_url, name, scopes=frozenset(each.split()))).text
        for name, each in SCOPES.items()
    }
    async with (
        start_gateway(database_url, auth="required") as one,
        start_gateway(database_url, auth="required") as two,
    ):
        yield Closed([one, two], database_url, keys)


async def test_a_session_of_somebody_else_is_answered_as_one_that_does_not_exist(closed: Closed) -> None:
    """transports, "Session Management"; security best practices, "Session Hijacking": 'MCP servers SHOULD bind session
    IDs to user-specific information'."""
    theirs = await closed.connect("alice")
    seen = []
    for id in (theirs.id, theirs.id[:-4] + "0000"):
        for method, body in (("POST", message("ping")), ("GET", None), ("DELETE", None)):
            accept = "text/event-stream" if method == "GET" else "application/json"
            headers = {HEADER: id, "Accept": accept, **bearer(closed.keys["bob"])}
            gateway = closed.gateways[1]
            async with gateway.session.request(method, gateway.url + "/mcp", json=body, headers=headers) as response:
                kept = {name: value for name, value in response.headers.items() if name != "Date"}
                seen.append((response.status, await response.text(), kept))
    assert seen[:3] == seen[3:]
    assert {status for status, _, _ in seen} == {404}
    assert await theirs.ask("ping") == {}


async def test_an_id_alone_opens_nothing(closed: Closed) -> None:
    """security best practices: 'MCP Servers MUST NOT use sessions for authentication'."""
    client = await closed.connect("alice")
    client.headers = {}
    status, _ = await client.send(message("ping"))
    assert status == 401


async def test_a_session_ends_with_its_key(closed: Closed) -> None:
    client = await closed.connect("alice")
    async with client.listen(closed.gateways[0]) as stream:
        await stream.next()
        connection = await asyncpg.connect(closed.url)
        try:
            assert await revoke_keys(connection, "alice", BY)
        finally:
            await connection.close()
        assert [event async for event in events(stream)] == []
    database = closed.gateways[0].running.storage.database

    async def gone() -> bool:
        return bool(await database.fetchval("SELECT count(*) = 0 FROM mcp_sessions"))

    await until(gone)


async def posted(closed: Closed, poster: str, body: object, at: int) -> tuple[int, object]:
    """What becomes of a message that `poster` sends to alice's stream of HTTP+SSE."""
    one = closed.gateways[0]
    headers = {"Accept": "text/event-stream", **bearer(closed.keys["alice"])}
    async with one.session.get(one.url + "/mcp/sse", headers=headers) as response:
        stream = Stream(response)
        first = await stream.next()
        assert first is not None
        gateway = closed.gateways[at]
        async with gateway.session.post(
            gateway.url + str(first.data), json=body, headers=bearer(closed.keys[poster])
        ) as posted:
            if posted.status != 202:
                return posted.status, None
        return 202, await stream.message()


@pytest.mark.parametrize("at", [0, 1])
async def test_a_stream_takes_messages_of_its_own_caller_only(closed: Closed, at: int) -> None:
    assert (await posted(closed, "bob", message("ping"), at))[0] == 404
    status, answer = await posted(closed, "alice", message("ping"), at)
    assert (status, answer) == (202, {"jsonrpc": "2.0", "id": 1, "result": {}})


@pytest.mark.parametrize("at", [0, 1])
async def test_a_message_has_the_rights_of_the_key_that_posted_it(closed: Closed, at: int) -> None:
    """Two keys of one name are one caller; what each may do is its own."""
    closed.keys["lesser"] = (await store_key(closed.url, "alice", scopes=frozenset({"unrelated"}))).text

    async def known() -> bool:
        return (await closed.gateways[at].get("/flows", headers=bearer(closed.keys["lesser"])))[0] == 403

    await until(known)
    _, answer = await posted(closed, "lesser", message("tools/list"), at)
    assert isinstance(answer, dict)
    assert answer["error"]["data"]["user_scopes"] == ["unrelated"]
    _, answer = await posted(closed, "alice", message("tools/list"), at)
    assert isinstance(answer, dict)
    assert answer["result"]["tools"]
