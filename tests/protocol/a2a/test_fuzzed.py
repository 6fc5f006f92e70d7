"""Mutated requests of every dialect and binding: never a 500, never a hung stream, always an answer in the protocol's
form.

`FUZZ_EXAMPLES=50000 .venv/bin/python -m pytest tests/protocol/a2a/test_fuzzed.py` tries more, and others each time.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from yarl import URL

from asya_crds import jsontext
from servers.databases import Databases
from tests.protocol.a2a.fuzz.conversations import ASKS, ENDED, OPEN, conversation, mutated
from tests.protocol.a2a.fuzz.judging import Got, judge
from tests.support.a2a import SKILLS, rpc, text_message
from tests.support.fuzzing import Sent, encoded, fuzzed_with
from tests.support.gateway import Gateway, Reader, start_gateway
from tests.support.mcp import Actor, serve_tools

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALID = conversation()
LONGEST = 20.0
"""Seconds in which every answer is complete, and every stream has its first event. Messages wait a fifth of a second
for their tasks."""
NOW = {"configuration": {"returnImmediately": True}}


class Fuzzed:
    """A gateway, and the tasks that stand for the names in valid requests. (No dataclass, whose members a failure would
    print.)"""

    def __init__(self, gateway: Gateway, names: dict[str, str]) -> None:
        self.gateway = gateway
        self.names = names

    async def try_out(self, sent: Sent) -> None:
        """Send a request with real names, and judge the answer."""
        raw = b"" if sent.verb == "GET" else encoded(sent)
        path = sent.path
        for name, task_id in self.names.items():
            raw, path = raw.replace(name.encode(), task_id.encode()), path.replace(name, task_id)
        real = replace(sent, raw=raw, path=path)
        judge(real, raw, await self.answer_to(real, raw))

    async def answer_to(self, sent: Sent, raw: bytes) -> Got:
        headers = [*sent.headers]
        if not sent.all("Content-Type"):
            headers.append(("Content-Type", "application/json"))
        data = io.BytesIO(raw) if sent.verb == "POST" else None
        url = URL(self.gateway.url + sent.path, encoded=True)
        exchange = self.gateway.session.request(sent.verb, url, data=data, headers=headers)
        async with asyncio.timeout(LONGEST), exchange as response:
            version = response.headers.get("A2A-Version", "")
            if response.content_type == "text/event-stream":
                first = await Reader(response).next()
                return Got(response.status, response.content_type, [first.data] if first is not None else [], version)
            text = await response.text()
            is_json = response.content_type.endswith("json") and text
            return Got(response.status, response.content_type, [jsontext.loads(text)] if is_json else [], version)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzzed(databases: Databases, template_database: str) -> AsyncIterator[Fuzzed]:
    with databases.one(template_database) as url:
        async with start_gateway(url, keepalive_interval=0.5, a2a_block=0.2, max_call_bytes=1024 * 1024) as made:
            serve_tools(made, SKILLS)
            yield Fuzzed(made, await set_up(made))


async def set_up(gateway: Gateway) -> dict[str, str]:
    actor = Actor(gateway)
    names = {}
    for name in (ENDED, ASKS, OPEN):
        sent: dict[str, Any] = {"message": text_message("hi", contextId="chat"), "tenant": "echo", **NOW}
        names[name] = (await rpc(gateway, "SendMessage", sent))["result"]["task"]["id"]
        await actor.take()
    await actor.end(names[ENDED], result={"done": True})
    fields = [{"name": "sure", "type": "boolean"}]
    await actor.report(names[ASKS], "paused", pause_metadata={"prompt": "Sure?", "fields": fields})
    return names


async def test_every_request_is_valid_before_it_is_mutated(fuzzed: Fuzzed) -> None:
    for sent in VALID:
        await fuzzed.try_out(sent)


@fuzzed_with(300)
@given(sent=mutated(VALID))
async def test_every_mutated_request_gets_an_answer_of_the_protocol(
    fuzzed: Fuzzed, caplog: pytest.LogCaptureFixture, sent: Sent
) -> None:
    caplog.clear()
    await fuzzed.try_out(sent)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_gateway_still_answers(fuzzed: Fuzzed) -> None:
    task = (await rpc(fuzzed.gateway, "GetTask", {"id": fuzzed.names[ENDED]}))["result"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
