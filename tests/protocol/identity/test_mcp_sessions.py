"""Sessions of MCP at a closed gateway: each belongs to one caller, and ends with its credential."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from asya_gateway.storage.identity.keys import revoke_keys
from tests.support.asking import ALICE
from tests.support.asking import TOOLS as ASKING
from tests.support.gateway import Gateway, start_gateway
from tests.support.identity import BY, store_key
from tests.support.inputs import NAME, pause_body
from tests.support.mcp import TOOLS, Actor, message, serve_tools
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

    async def lesser(self, name: str, scopes: str) -> dict[str, str]:
        """The header of another credential of this caller, known to both gateways."""
        key = (await store_key(self.url, name, scopes=frozenset(scopes.split()))).text

        async def known() -> bool:
            answers = [await each.get("/tasks", headers=bearer(key)) for each in self.gateways]
            return {status for status, _ in answers} == {200}

        await until(known)
        return bearer(key)


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


ADA = {"action": "accept", "content": {"name": "Ada"}}
LESSER = {"reader": "mcp:read", "caller of another flow": "mcp:read flow:shout:invoke"}


@pytest.fixture
def asking(closed: Closed) -> Closed:
    """With flows that are paused by their actor, and some that ask before they start."""
    for each in closed.gateways:
        serve_tools(each, [*TOOLS, *ASKING])
    return closed


def attempts(id: str, request: Any, answer: Any) -> Iterator[Any]:
    """What a credential may try: an answer to the request `id`, and the end of the call `request`."""
    yield {"jsonrpc": "2.0", "id": id, "result": answer}
    yield {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request}}


@contextlib.asynccontextmanager
async def question_of_a_task(asking: Closed, client: Client) -> AsyncIterator[tuple[Stream, Any]]:
    """A call whose task asks, and the request."""
    one, actor = asking.gateways[0], Actor(asking.gateways[0])
    async with client.call("anything", at=one, id=5) as stream:
        task_id, _ = await actor.take()
        status, _ = await one.post(f"/mesh/{task_id}/progress", pause_body(task_id, {"inputs": {"name": NAME}}))
        assert status == 200
        yield stream, await stream.message()


@contextlib.asynccontextmanager
async def question_before_the_start(asking: Closed, client: Client) -> AsyncIterator[tuple[Stream, Any]]:
    async with client.call("name", at=asking.gateways[0], id=5) as stream:
        yield stream, await stream.message()


QUESTIONS = {"of a task": (question_of_a_task, ADA, 2), "before the start": (question_before_the_start, ALICE, 1)}


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("scopes", LESSER.values(), ids=LESSER)
@pytest.mark.parametrize(("question", "answer", "envelopes"), QUESTIONS.values(), ids=QUESTIONS)
async def test_a_credential_answers_and_cancels_what_it_could_call(
    asking: Closed, question: Any, answer: Any, envelopes: int, scopes: str, at: int
) -> None:
    """Two keys of one name are one caller; what each may do is its own, whoever holds the call."""
    client, gateway = await asking.connect("alice"), asking.gateways[at]
    lesser = replace(client, headers=await asking.lesser("alice", scopes))
    async with question(asking, client) as (stream, asked):
        for attempt in attempts(asked["id"], 5, answer):
            async with lesser.post(attempt, gateway) as response:
                assert response.status == 403, await response.text()
                assert 'scope="mcp:invoke"' in response.headers["WWW-Authenticate"]
                assert (await response.json())["error"]["data"]["required_scopes"] == ["mcp:invoke"]
        # The request is open as before, and the call goes on with the answer of a key that may give it.
        await client.respond(asked["id"], answer, gateway)
        handed = [each.running.handed for each in asking.gateways]
        await until(lambda: sum(map(len, handed)) == envelopes, what="the task to go on")
        task_id = (handed[0] or handed[1])[0].task_id
        await Actor(asking.gateways[0]).end(task_id, result="done")
        assert (await stream.message())["result"]["content"][0]["text"] == "done"


@pytest.mark.parametrize("at", [0, 1])
async def test_a_reader_ends_no_call_before_it_is_known(asking: Closed, at: int) -> None:
    client = await asking.connect("alice")
    lesser = replace(client, headers=await asking.lesser("alice", "mcp:read"))
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    assert (await lesser.send(cancel, asking.gateways[at]))[0] == 403
    actor = Actor(asking.gateways[0])
    async with client.call("anything", at=asking.gateways[0], id=5, token="t") as stream:
        await stream.next()
        task_id, _ = await actor.take()
        await actor.end(task_id, result="done")
        while "result" not in (last := await stream.message()):
            pass
        assert last["id"] == 5
