"""The mix of callers: REST, streams, MCP tasks, A2A, questions, cancels and fan-outs. Each call has an idempotency key,
and is tried again until it is answered, as a careful client does."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp

from tests.chaos.records import Records
from tests.faults.world import events
from tests.support.mcp import TASKS_DECLARED, stateless_body, stateless_headers
from tests.support.waiting import lasts

GIVEN_UP = 240.0
"""Seconds after which a client stops trying. What it was told before is still checked."""
TERMINAL = frozenset({"succeeded", "failed", "canceled"})
A2A_STATES = {"TASK_STATE_COMPLETED": "succeeded", "TASK_STATE_FAILED": "failed", "TASK_STATE_CANCELED": "canceled"}
MCP_STATES = {"completed": "succeeded", "failed": "failed", "cancelled": "canceled"}
FIRST_NUMBER = 1_000
"""Calls of the world itself have lower ones."""
PATIENCE = aiohttp.ClientTimeout(total=30)
STREAM_PATIENCE = aiohttp.ClientTimeout(sock_read=40)
EXPECTED = frozenset({408, 429, 502, 503, 504})
"""Answers that ask to try again."""
MIX = ("rest", "rest", "stream", "stream", "mcp", "a2a", "a2a", "ask", "cancel", "spread")


class Clients:
    """Callers of one Service. `begun`: how many calls they have begun."""

    def __init__(self, url: str, records: Records) -> None:
        self.url = url
        self.records = records
        self.mix: Sequence[str] = MIX
        """The kinds of calls that are begun, in turn. May be changed while they run."""
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self._numbers = itertools.count(FIRST_NUMBER)
        self._under_way: set[asyncio.Task[None]] = set()
        self.begun = 0
        self.kinds: dict[str, Callable[[int], Awaitable[None]]] = {
            "rest": self._rest,
            "stream": self._stream,
            "mcp": self._mcp,
            "tool": self._tool,
            "a2a": self._a2a,
            "ask": self._ask,
            "cancel": self._cancel,
            "spread": self._spread,
        }

    async def run(self, until: float, rate: float, most: int, tasks: int | None = None) -> None:
        """Begin `rate` calls a second until `until` (monotonic), or until so many tasks were accepted, with at most
        `most` under way."""
        due = time.monotonic()
        while time.monotonic() < until and (tasks is None or self.records.accepted < tasks):
            due = max(due + 1 / rate, time.monotonic() - 1)
            await lasts(max(0.0, due - time.monotonic()))
            if len(self._under_way) < most:
                self._begin(self.mix[self.begun % len(self.mix)])

    async def drained(self, seconds: float) -> int:
        """Wait for the callers that are under way; returns how many did not come to an end."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        return len(self._under_way)

    async def close(self) -> None:
        """End what is under way."""
        for task in tuple(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self.session.close()

    def _begin(self, kind: str) -> None:
        number = next(self._numbers)
        self.begun += 1
        task = asyncio.create_task(self._one(kind, number))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _one(self, kind: str, number: int) -> None:
        try:
            async with asyncio.timeout(GIVEN_UP):
                await self.kinds[kind](number)
        except TimeoutError:
            self.records.add(kind, number, "refused", status="given up")

    # What a client does until it is answered

    async def until_answered(
        self, kind: str, number: int, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """(status, JSON) of the first answer that does not ask to try again."""
        while True:
            try:
                async with self.session.request(
                    method, self.url + path, json=body, headers=headers, timeout=PATIENCE
                ) as response:
                    text = await response.text()
                    if response.status not in EXPECTED:
                        if response.status >= 500:
                            self.records.add(kind, number, "wrong", status=f"{response.status} {text[:200]}")
                        return response.status, _json(text)
                    refused = f"{response.status} {text[:200]}"
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                refused = type(error).__name__
            self.records.add(kind, number, "refused", status=refused)
            await lasts(0.5)

    async def called(self, kind: str, number: int, flow: str, **arguments: Any) -> str:
        """A call over REST; the task's id."""
        body = {"name": flow, "arguments": {"n": number, **arguments}}
        status, answer = await self.until_answered(
            kind, number, "POST", "/tools/call", body, **{"Idempotency-Key": f"k-{number}"}
        )
        if status != 200:
            self.records.add(kind, number, "wrong", status=f"{status} {answer}")
            raise TimeoutError
        task = str(json.loads(answer["content"][0]["text"])["task_id"])
        self.records.add(kind, number, "accepted", task=task)
        return task

    async def _ended(self, kind: str, number: int, task: str) -> str:
        """Poll the task to its end."""
        return await self._polled(kind, number, task, TERMINAL)

    async def _polled(self, kind: str, number: int, task: str, wanted: frozenset[str]) -> str:
        while True:
            status, answer = await self.until_answered(kind, number, "GET", f"/tasks/{task}")
            if status != 200:
                self.records.add(kind, number, "wrong", task=task, status=f"{status} {answer}")
                return ""
            found = str(answer["status"])
            if found in wanted or found in TERMINAL:
                if found in TERMINAL:
                    self.records.add(kind, number, "ended", task=task, status=found)
                return found
            await lasts(0.5)

    # The kinds

    async def _rest(self, number: int) -> None:
        task = await self.called("rest", number, "work")
        await self._ended("rest", number, task)

    async def _spread(self, number: int) -> None:
        task = await self.called("spread", number, "spread", parts=5)
        await self._ended("spread", number, task)

    async def _stream(self, number: int) -> None:
        await self.streamed("stream", number, await self.called("stream", number, "work", tokens=3))

    async def streamed(self, kind: str, number: int, task: str) -> None:
        """Read the task's stream to its end, connecting again with Last-Event-ID whenever it is cut."""
        seqs: list[int] = []
        statuses: list[str] = []
        while not statuses or statuses[-1] not in TERMINAL:
            headers = {"Last-Event-ID": str(seqs[-1])} if seqs else {}
            if seqs:
                self.records.add(kind, number, "moved", task=task)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self.session.get(
                    f"{self.url}/stream/{task}", headers=headers, timeout=STREAM_PATIENCE
                ) as found:
                    if found.status == 200:
                        await _take(found, seqs, statuses)
                    elif found.status in EXPECTED:
                        self.records.add(kind, number, "refused", task=task, status=str(found.status))
                    else:
                        self.records.add(kind, number, "wrong", task=task, status=str(found.status))
                        return
            await lasts(0.2)
        self.records.add(kind, number, "read", task=task, seqs=tuple(seqs), statuses=tuple(statuses))
        self.records.add(kind, number, "ended", task=task, status=statuses[-1])

    async def _cancel(self, number: int) -> None:
        task = await self.called("cancel", number, "slow", takes=3)
        await lasts(0.5)
        status, answer = await self.until_answered(
            "cancel", number, "POST", f"/tasks/{task}/cancel", {}, **{"Idempotency-Key": f"c-{number}"}
        )
        if status == 200:
            self.records.add("cancel", number, "canceled", task=task, status=str(answer["status"]))
        elif status != 409:
            self.records.add("cancel", number, "wrong", task=task, status=f"{status} {answer}")
        await self._ended("cancel", number, task)

    async def _ask(self, number: int) -> None:
        task = await self.called("ask", number, "ask")
        if await self._polled("ask", number, task, frozenset({"paused"})) in TERMINAL:
            return
        status, answer = await self.until_answered(
            "ask",
            number,
            "POST",
            f"/tasks/{task}/resume",
            {"answer": {"name": "Ada"}},
            **{"Idempotency-Key": f"a-{number}"},
        )
        if status == 200:
            self.records.add("ask", number, "answered", task=task)
        else:
            self.records.add("ask", number, "wrong", task=task, status=f"{status} {answer}")
        await self._ended("ask", number, task)

    async def _mcp(self, number: int) -> None:
        params = {"name": "work", "arguments": {"n": number}, "_meta": {"sh.asya/idempotencyKey": f"k-{number}"}}
        answer = await self._rpc("mcp", number, "tools/call", params)
        if answer.get("resultType") != "task":
            # It ended within the grace, and was answered inline.
            self.records.add("mcp", number, "refused" if answer.get("isError") else "ended", status="inline")
            return
        task = str(answer["taskId"])
        self.records.add("mcp", number, "accepted", task=task)
        while answer.get("status") not in MCP_STATES:
            await lasts(0.5)
            answer = await self._rpc("mcp", number, "tasks/get", {"taskId": task})
        self.records.add("mcp", number, "ended", task=task, status=MCP_STATES[answer["status"]])

    async def _tool(self, number: int) -> None:
        """A call of MCP that waits for its result, as each version of the gateway answers it."""
        params = {"name": "work", "arguments": {"n": number}, "_meta": {"sh.asya/idempotencyKey": f"k-{number}"}}
        answer = await self._rpc("tool", number, "tools/call", params, declared={})
        if answer.get("isError") is not False:
            self.records.add("tool", number, "wrong", status=json.dumps(answer)[:500])
        else:
            self.records.add("tool", number, "ended", status="inline")

    async def _rpc(
        self, kind: str, number: int, method: str, params: dict[str, Any], declared: Any = TASKS_DECLARED
    ) -> dict[str, Any]:
        while True:
            body = stateless_body(method, params, **{"io.modelcontextprotocol/clientCapabilities": declared})
            status, answer = await self.until_answered(kind, number, "POST", "/mcp", body, **stateless_headers(body))
            if isinstance(answer, dict) and "result" in answer:
                return dict(answer["result"])
            if status not in (200, *EXPECTED):
                self.records.add(kind, number, "wrong", status=f"{status} {answer}")
            await lasts(0.5)

    async def _a2a(self, number: int) -> None:
        message = {"messageId": f"m-{number}", "role": "ROLE_USER", "parts": [{"data": {"n": number}}]}
        params = {"message": message, "configuration": {"returnImmediately": True}}
        answer = await self._a2a_rpc(number, "SendMessage", params, **{"Idempotency-Key": f"k-{number}"})
        task = str(answer["task"]["id"])
        self.records.add("a2a", number, "accepted", task=task)
        state = answer["task"]["status"]["state"]
        while state not in A2A_STATES:
            await lasts(0.5)
            answer = await self._a2a_rpc(number, "GetTask", {"id": task})
            state = answer["status"]["state"]
        self.records.add("a2a", number, "ended", task=task, status=A2A_STATES[state])

    async def _a2a_rpc(self, number: int, method: str, params: Any, **headers: str) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        while True:
            status, answer = await self.until_answered(
                "a2a", number, "POST", "/a2a/work", body, **{"A2A-Version": "1.0", **headers}
            )
            if isinstance(answer, dict) and "result" in answer:
                return dict(answer["result"])
            self.records.add("a2a", number, "wrong", status=f"{status} {answer}")
            await lasts(1)


async def _take(response: aiohttp.ClientResponse, seqs: list[int], statuses: list[str]) -> None:
    async for name, seq, data in events(response):
        if name == "update" and seq is not None:
            seqs.append(seq)
            statuses.append(str(data["status"]))


def _json(text: str) -> Any:
    """JSON, or the data of the last event of a stream."""
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:")]
    try:
        return json.loads(lines[-1] if lines else text)
    except ValueError:
        return text[:300]
