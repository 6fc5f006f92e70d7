"""Mutated messages of every revision: never a 500, never a hung stream, always the code of the specification.

`FUZZ_EXAMPLES=50000 .venv/bin/python -m pytest tests/protocol/mcp/test_fuzzed.py` tries more, and others each time.
"""

import asyncio
import contextlib
import io
import itertools
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import given

from asya_crds import jsontext
from servers.databases import Databases
from tests.protocol.mcp.fuzz.conversations import HANDSHAKE, SET, Known, conversation, named, selections
from tests.protocol.mcp.fuzz.judging import Got, check_message, judge
from tests.protocol.mcp.fuzz.mutations import mutated
from tests.protocol.mcp.fuzz.validating import Asked, check_valid
from tests.protocol.mcp.offers import OFFERS
from tests.support.asking import TOOLS as ASKING
from tests.support.asking import asked
from tests.support.fuzzing import Sent, encoded, fuzzed_with
from tests.support.gateway import Gateway
from tests.support.mcp import TOOLS, Actor, ask, message, serve_tools, start_mcp
from tests.support.mcp_sessions import Stream, connect
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = named()
VALID = conversation(NAMES)
SERVED = [*TOOLS, *ASKING, *OFFERS]
FLOWS = [each["name"] for each in SERVED]
SHOWN_ALIKE = selections(FLOWS)
RESULTS: list[Any] = [
    {"n": 1},
    "text",
    {
        "content": [
            {"type": "text", "text": "hello"},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "test://x", "mimeType": "text/plain", "text": "x"}},
        ]
    },
    [1, None],
    {"content": [{"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}], "isError": True},
    {"contents": [{"text": "x", "uri": "test://x"}]},
    {"messages": [{"role": "user", "content": "x"}]},
    None,
    {"content": [{"type": "resource_link", "uri": "test://y", "name": "y"}], "structuredContent": {"n": 1}},
]
"""Of the actor, one after the other."""
LONGEST = 20.0
"""Seconds in which every answer is complete. Calls wait a fifth of a second for their tasks."""


class Fuzzed:
    """A gateway, what stands in it for the names in valid messages, and the revisions of its sessions by their ids;
    `sse` reads its stream of HTTP+SSE. (No dataclass, whose members a failure would print.)"""

    def __init__(self, gateway: Gateway, known: Known, sse: "asyncio.Task[None]", asked: Asked) -> None:
        self.gateway = gateway
        self.sse = sse
        self.asked = asked
        self.names = dict(zip(NAMES.texts(), known.texts(), strict=True))
        self.sessions = {id: version for version, id in known.sessions.items()}

    async def try_out(self, sent: Sent) -> None:
        """Send a request with real names, and judge the answer."""
        raw = encoded(sent)
        for name, value in self.names.items():
            raw = raw.replace(name.encode(), value.encode())
        named = tuple((header, self._named(value)) for header, value in sent.headers)
        real = replace(sent, headers=named, raw=raw, path=self._named(sent.path))
        with contextlib.suppress(ValueError, RecursionError):
            self.asked.note(json.loads(raw))
        try:
            got = await answer_to(self.gateway, real, raw)
        except aiohttp.ClientResponseError as error:
            # Of a request that cannot be parsed the server does not know that it is a HEAD, whose answers have no body.
            if (real.verb, error.status) != ("HEAD", HTTPStatus.BAD_REQUEST):
                raise
            return
        judge(real, raw, got, self.sessions, self.asked)
        if self.sse.done():
            self.sse.result()
            raise AssertionError("the stream of HTTP+SSE ended")
        ended = real.header("Mcp-Session-Id")
        if real.verb == "DELETE" and got.status == HTTPStatus.NO_CONTENT and ended in self.sessions:
            await self._renew(ended)

    async def _renew(self, ended: str) -> None:
        """Another session in place of one that a mutation has ended."""
        version = self.sessions.pop(ended)
        client = await connect(self.gateway, version=version)
        self.sessions[client.id] = version
        self.names[NAMES.sessions[version]] = client.id

    def _named(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzzed(databases: Databases, template_database: str) -> AsyncIterator[Fuzzed]:
    with databases.one(template_database) as url:
        async with start_mcp(url, keepalive_interval=0.5, mcp_max_wait=0.2, max_call_bytes=1024 * 1024) as made:
            serve_tools(made, SERVED, sets={SET: frozenset(FLOWS)})
            asked = Asked()
            async with working(made), open_sse(made, asked) as (id, sse):
                yield Fuzzed(made, await set_up(made, id, asked), sse, asked)


@contextlib.asynccontextmanager
async def working(gateway: Gateway) -> AsyncIterator[None]:
    """An actor behind the gateway, whose results are of every kind."""

    handed, actor = gateway.running.handed, Actor(gateway)

    async def work() -> None:
        for number in itertools.count():
            await until(lambda: actor.waits, seconds=3600)
            task_id, _ = await actor.take()
            await gateway.post(f"/mesh/{task_id}/fly", {"payload": {"token": "t"}})
            report = {"prev": [], "curr": "first", "next": [], "status": "processing"}
            await gateway.post(f"/mesh/{task_id}/progress", report)
            # A task that was canceled meanwhile takes none.
            result = RESULTS[number % len(RESULTS)]
            await gateway.post(f"/mesh/{task_id}/final", {"id": task_id, "status": "succeeded", "result": result})

    task = asyncio.create_task(work())
    yield
    assert handed, "nothing was called"
    assert not task.done(), task.result()
    task.cancel()
    await asyncio.wait([task])


@contextlib.asynccontextmanager
async def open_sse(gateway: Gateway, asked: Asked) -> AsyncIterator[tuple[str, "asyncio.Task[None]"]]:
    """A stream of HTTP+SSE: its session, and the task that reads and judges its messages."""
    headers, unlimited = {"Accept": "text/event-stream"}, aiohttp.ClientTimeout(total=None)
    async with gateway.session.get(gateway.url + "/mcp/sse", headers=headers, timeout=unlimited) as response:
        stream = Stream(response)
        first = await stream.next()
        assert first is not None
        reading = asyncio.create_task(read_on(response, asked))
        yield str(first.data).partition("session_id=")[2], reading
        reading.cancel()
        await asyncio.wait([reading])


async def read_on(response: aiohttp.ClientResponse, asked: Asked) -> None:
    """Any revision may have been negotiated meanwhile."""
    while True:
        for each in await messages_of_block(response):
            check_message(each, in_session=True)
            check_valid(each, asked, HANDSHAKE)


async def set_up(gateway: Gateway, sse: str, noted: Asked) -> Known:
    state = (await asked(gateway, "name"))["requestState"]
    task_id = await gateway.submit("anything")
    await gateway.finish(task_id, {"done": True})
    clients = {version: await connect(gateway, version=version) for version in HANDSHAKE}
    others = {version: (await connect(gateway, version=version)).id for version in HANDSHAKE}
    event_ids, server_requests = {}, {}
    for version, client in clients.items():
        noted.note(message("tools/call", id=(id := client.new_id())))
        async with client.call("needs-sampling", id=id) as stream:
            server_requests[version] = (await stream.message())["id"]
            event_ids[version] = stream.last_id or "get-0-0"
    # Mutated handshakes make so many sessions that the longest idle ones give way.
    later = "UPDATE mcp_sessions SET used_at = used_at + interval '1 day'"
    await gateway.running.storage.database.execute(later)
    return Known(state, task_id, {v: each.id for v, each in clients.items()}, others, event_ids, server_requests, sse)


async def answer_to(gateway: Gateway, sent: Sent, raw: bytes) -> Got:
    """Send a request and read its whole answer; of a stream that goes on by itself, or that asks, the beginning."""
    headers = [*sent.headers]
    if not sent.all("Content-Type"):
        headers.append(("Content-Type", "application/json"))
    data = io.BytesIO(raw) if sent.verb in ("POST", "PUT", "PATCH") else None
    exchange = gateway.session.request(
        sent.verb, gateway.url + sent.path, data=data, headers=headers, skip_auto_headers=["Accept"]
    )
    async with asyncio.timeout(LONGEST), exchange as response:
        if response.content_type != "text/event-stream":
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Got(response.status, response.content_type, [jsontext.loads(text)] if is_json else [])
        return Got(response.status, response.content_type, await messages_of(response, sent))


async def messages_of(response: aiohttp.ClientResponse, sent: Sent) -> list[Any]:
    """The messages of a stream to its end. One that is only opened shows first that it lives, by an event or a comment;
    what asks its client is left there."""
    messages: list[Any] = []
    while not response.content.at_eof():
        found = await messages_of_block(response)
        messages += found
        methods = [each.get("method", "") for each in found if isinstance(each, dict)]
        if any(method and not method.startswith("notifications/") for method in methods):
            break
        if sent.verb == "GET" or "notifications/subscriptions/acknowledged" in methods:
            break
    return messages


async def messages_of_block(response: aiohttp.ClientResponse) -> list[Any]:
    """The message of the next event; none of a comment, of an event without data, and of the end of a stream. Fails for
    a line that no event stream may have."""
    data: list[str] = []
    while line := await response.content.readline(max_line_length=2**24):
        text = line.decode().removesuffix("\n")
        if not text:
            break
        field, _, value = text.partition(":")
        assert field in ("", "event", "id", "retry", "data"), text
        if field == "data":
            data.append(value.removeprefix(" "))
    whole = "\n".join(data)
    return [jsontext.loads(whole)] if whole else []


@pytest.mark.timeout(300)
async def test_every_conversation_is_valid_before_it_is_mutated(fuzzed: Fuzzed) -> None:
    """At the endpoint, and at one after the other of those that show the same."""
    for sent, path in zip(VALID, itertools.cycle(SHOWN_ALIKE), strict=False):
        await fuzzed.try_out(sent)
        if sent.path == "/mcp":
            await fuzzed.try_out(replace(sent, path=path))


@fuzzed_with(400)
@given(sent=mutated(VALID, SHOWN_ALIKE))
async def test_every_mutated_message_gets_the_answer_of_the_specification(
    fuzzed: Fuzzed, caplog: pytest.LogCaptureFixture, sent: Sent
) -> None:
    caplog.clear()
    await fuzzed.try_out(sent)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_gateway_still_answers(fuzzed: Fuzzed) -> None:
    status, answer = await ask(fuzzed.gateway, "tools/list")
    tools = {each["name"] for each in SERVED if each.get("mcp", {"tool": False}).get("tool", True)}
    assert (status, {each["name"] for each in answer["result"]["tools"]}) == (200, tools)
