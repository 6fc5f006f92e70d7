"""The mix of callers: REST, streams, MCP tasks, A2A, questions, cancels and fan-outs. Each call has an idempotency key,
and is tried again until it is answered, as a careful client does."""

import asyncio
import contextlib
import itertools
import json
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp

from tests.chaos.calls import Call
from tests.chaos.owners import ANYBODY, Owner
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
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds until a client tries again: what Retry-After says, between these."""
EXPECTED = frozenset({408, 429, 502, 503, 504})
"""Answers that ask to try again."""
MIX = ("rest", "rest", "stream", "stream", "mcp", "a2a", "a2a", "ask", "cancel", "spread")
FAILURE = "failure"
"""A member that no result of MCP has."""
KNOWN = 50
"""Tasks of each owner that the others may ask for."""


class Clients:
    """Callers of one Service, each call by the next one of `owners`. `begun`: how many calls they have begun."""

    def __init__(self, url: str, records: Records, owners: Sequence[Owner] = (ANYBODY,)) -> None:
        self.url = url
        self.records = records
        self.mix: Sequence[str] = MIX
        """The kinds of calls that are begun, in turn. May be changed while they run."""
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self.known: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KNOWN))
        """The latest tasks, by the name of their owner."""
        self._owners = owners
        self._numbers = itertools.count(FIRST_NUMBER)
        self._under_way: set[asyncio.Task[None]] = set()
        self.begun = 0
        self.most = 0
        """How many may be under way at a time. May be changed while they run."""
        self.until = 0.0
        """When the last one is begun (monotonic). May be changed while they run."""
        self.kinds: dict[str, Callable[[Call], Awaitable[str]]] = {
            "rest": self._rest,
            "stream": self._stream,
            "mcp": self._mcp,
            "tool": self._tool,
            "a2a": self._a2a,
            "ask": self._ask,
            "cancel": self._cancel,
            "spread": self._spread,
        }
        """Each returns the id of its task, "" if it was told none."""

    async def run(self, until: float, rate: float, most: int, tasks: int | None = None) -> None:
        """Begin `rate` calls a second until `until` (monotonic), or until so many tasks were accepted, with at most
        `most` under way."""
        due, self.most, self.until = time.monotonic(), most, until
        while time.monotonic() < self.until and (tasks is None or self.records.accepted < tasks):
            due = max(due + 1 / rate, time.monotonic() - 1)
            await lasts(max(0.0, due - time.monotonic()))
            if len(self._under_way) < self.most:
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
        call = Call(self.records, kind, number, self._owners[number % len(self._owners)])
        self.begun += 1
        task = asyncio.create_task(self._one(call))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _one(self, call: Call) -> None:
        task = ""
        try:
            async with asyncio.timeout(GIVEN_UP):
                task = await self.kinds[call.kind](call)
                await self.afterwards(call)
        except TimeoutError:
            call.note("refused", status="given up")
        except Exception as error:  # noqa: BLE001 - an answer in a form that nobody expects is an observation, too
            call.note("wrong", status=f"{type(error).__name__}: {error}"[:500])
        finally:
            call.over(task)

    async def afterwards(self, call: Call) -> None:
        """What a client does once its call has come to its end."""

    # What a client does until it is answered

    async def answer(self, call: Call, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """(status, text) of the first answer that does not ask to try again."""
        while True:
            pause = SHORTEST_PAUSE
            try:
                async with self.session.request(
                    method, self.url + path, json=body, headers={**call.owner.headers, **headers}, timeout=PATIENCE
                ) as response:
                    text = await response.text()
                    if response.status not in EXPECTED:
                        return response.status, text
                    pause = self._refused(call, response, text)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                call.note("refused", status=type(error).__name__)
            await lasts(pause)

    def _refused(self, call: Call, response: aiohttp.ClientResponse, text: str) -> float:
        """Note it; returns the seconds that the client waits."""
        said = f"{response.status} {text[:200]}"
        overloaded = response.status == 503 and "overloaded" in text
        if overloaded and "Retry-After" not in response.headers:
            call.note("wrong", status=f"without Retry-After: {said}")
        call.note("overloaded" if overloaded else "refused", status=said)
        after = response.headers.get("Retry-After", "")
        return min(max(float(after), SHORTEST_PAUSE), LONGEST_PAUSE) if after.isdigit() else SHORTEST_PAUSE

    async def until_answered(
        self, call: Call, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """(status, JSON) of the first answer that does not ask to try again."""
        status, text = await self.answer(call, method, path, body, **headers)
        call.heard(text)
        if status >= 500:
            call.note("wrong", status=f"{status} {text[:200]}")
        return status, _json(text)

    async def called(self, call: Call, flow: str, **arguments: Any) -> str:
        """A call over REST; the task's id."""
        body = {"name": flow, "arguments": {"n": call.n, **arguments}}
        status, answer = await self.until_answered(call, "POST", "/tools/call", body, **call.key())
        if status != 200:
            call.note("wrong", status=f"{status} {answer}")
            raise TimeoutError
        task = str(json.loads(answer["content"][0]["text"])["task_id"])
        self.accepted(call, task)
        return task

    def accepted(self, call: Call, task: str) -> None:
        """The client was told of its task."""
        call.note("accepted", task=task)
        self.known[call.owner.name].append(task)

    async def _ended(self, call: Call, task: str) -> None:
        """Poll the task to its end."""
        await self._polled(call, task, TERMINAL)

    async def _polled(self, call: Call, task: str, wanted: frozenset[str]) -> str:
        while True:
            status, answer = await self.until_answered(call, "GET", f"/tasks/{task}")
            if status != 200:
                call.note("wrong", task=task, status=f"{status} {answer}")
                return ""
            found = str(answer["status"])
            call.polled(found)
            if found in wanted or found in TERMINAL:
                if found in TERMINAL:
                    call.note("ended", task=task, status=found)
                return found
            await lasts(0.5)

    # The kinds

    async def _rest(self, call: Call) -> str:
        task = await self.called(call, "work")
        await self._ended(call, task)
        return task

    async def _spread(self, call: Call) -> str:
        task = await self.called(call, "spread", parts=5)
        await self._ended(call, task)
        return task

    async def _stream(self, call: Call) -> str:
        task = await self.called(call, "work", tokens=3)
        await self.streamed(call, task)
        return task

    async def streamed(self, call: Call, task: str) -> None:
        """Read the task's stream to its end, connecting again with Last-Event-ID whenever it is cut."""
        seqs: list[int] = []
        statuses: list[str] = []
        try:
            while not statuses or statuses[-1] not in TERMINAL:
                if not await self._stream_once(call, task, seqs, statuses):
                    return
                await lasts(0.2)
            call.note("ended", task=task, status=statuses[-1])
        finally:
            whole = statuses and statuses[-1] in TERMINAL
            call.note("read" if whole else "read so far", task=task, seqs=tuple(seqs), statuses=tuple(statuses))

    async def _stream_once(self, call: Call, task: str, seqs: list[int], statuses: list[str]) -> bool:
        """One connection, as far as it goes; whether another one may follow."""
        headers = {**call.owner.headers, **({"Last-Event-ID": str(seqs[-1])} if seqs else {})}
        if seqs:
            call.note("moved", task=task)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.session.get(f"{self.url}/stream/{task}", headers=headers, timeout=STREAM_PATIENCE) as found:
                if found.status == 200:
                    await _take(call, found, seqs, statuses)
                elif found.status in EXPECTED:
                    call.note("refused", task=task, status=str(found.status))
                else:
                    call.note("wrong", task=task, status=str(found.status))
                    return False
        return True

    async def _cancel(self, call: Call) -> str:
        task = await self.called(call, "slow", takes=3)
        await lasts(0.5)
        status, answer = await self.until_answered(call, "POST", f"/tasks/{task}/cancel", {}, **call.key("c"))
        if status == 200:
            call.note("canceled", task=task, status=str(answer["status"]))
        elif status != 409:
            call.note("wrong", task=task, status=f"{status} {answer}")
        await self._ended(call, task)
        return task

    async def _ask(self, call: Call) -> str:
        task = await self.called(call, "ask")
        if await self._polled(call, task, frozenset({"paused"})) in TERMINAL:
            return task
        status, answer = await self.until_answered(
            call, "POST", f"/tasks/{task}/resume", {"answer": {"name": "Ada"}}, **call.key("a")
        )
        if status == 200:
            call.note("answered", task=task)
        else:
            call.note("wrong", task=task, status=f"{status} {answer}")
        await self._ended(call, task)
        return task

    async def _mcp(self, call: Call) -> str:
        answer = await self._rpc(call, "tools/call", self._tool_params(call))
        if failure := answer.get(FAILURE):
            # A connection that is cut before its answer cancels the task, and who repeats the call learns that.
            call.note("ended", task=failure["task_id"], status=_status_of(failure))
            return str(failure["task_id"])
        if answer.get("resultType") != "task":
            # It ended within the grace, and was answered inline.
            task = str(answer["_meta"]["sh.asya/task"]["task_id"])
            self.accepted(call, task)
            call.note("ended", task=task, status="failed" if answer.get("isError") else "succeeded")
            return task
        task = str(answer["taskId"])
        self.accepted(call, task)
        while answer.get("status") not in MCP_STATES:
            await lasts(0.5)
            answer = await self._rpc(call, "tasks/get", {"taskId": task})
        call.note("ended", task=task, status=MCP_STATES[answer["status"]])
        return task

    async def _tool(self, call: Call) -> str:
        """A call of MCP that waits for its result, as each version of the gateway answers it."""
        answer = await self._rpc(call, "tools/call", self._tool_params(call), declared={})
        if answer.get("isError") is not False:
            call.note("wrong", status=json.dumps(answer)[:500])
        else:
            call.note("ended", status="inline")
        return ""

    @staticmethod
    def _tool_params(call: Call) -> dict[str, Any]:
        return {
            "name": "work",
            "arguments": {"n": call.n},
            "_meta": {"sh.asya/idempotencyKey": call.key()["Idempotency-Key"]},
        }

    async def _rpc(
        self, call: Call, method: str, params: dict[str, Any], declared: Any = TASKS_DECLARED
    ) -> dict[str, Any]:
        """The result, or {FAILURE: what is said of a task that did not succeed}."""
        while True:
            body = stateless_body(method, params, **{"io.modelcontextprotocol/clientCapabilities": declared})
            status, answer = await self.until_answered(call, "POST", "/mcp", body, **stateless_headers(body))
            if isinstance(answer, dict) and "result" in answer:
                return dict(answer["result"])
            if isinstance(answer, dict) and "task_id" in (data := answer.get("error", {}).get("data") or {}):
                return {FAILURE: data}
            call.note("wrong", status=f"{status} {answer}")
            await lasts(0.5)

    async def _a2a(self, call: Call) -> str:
        message = {"messageId": f"m-{call.number}", "role": "ROLE_USER", "parts": [{"data": {"n": call.n}}]}
        params = {"message": message, "configuration": {"returnImmediately": True}}
        answer = await self._a2a_rpc(call, "SendMessage", params, **call.key())
        task = str(answer["task"]["id"])
        self.accepted(call, task)
        state = answer["task"]["status"]["state"]
        while state not in A2A_STATES:
            await lasts(0.5)
            answer = await self._a2a_rpc(call, "GetTask", {"id": task})
            state = answer["status"]["state"]
        call.note("ended", task=task, status=A2A_STATES[state])
        return task

    async def _a2a_rpc(self, call: Call, method: str, params: Any, **headers: str) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": call.number, "method": method, "params": params}
        while True:
            status, answer = await self.until_answered(
                call, "POST", "/a2a/work", body, **{"A2A-Version": "1.0", **headers}
            )
            if isinstance(answer, dict) and "result" in answer:
                return dict(answer["result"])
            call.note("wrong", status=f"{status} {answer}")
            await lasts(1)


async def _take(call: Call, response: aiohttp.ClientResponse, seqs: list[int], statuses: list[str]) -> None:
    async for name, seq, data in events(response):
        call.heard(json.dumps(data))
        if name == "update" and seq is not None:
            seqs.append(seq)
            statuses.append(str(data["status"]))


def _status_of(failure: dict[str, Any]) -> str:
    return "canceled" if failure["class"] == "canceled" else "failed"


def _json(text: str) -> Any:
    """JSON, or the data of the last event of a stream."""
    lines = [line[5:] for line in text.splitlines() if line.startswith("data:")]
    try:
        return json.loads(lines[-1] if lines else text)
    except ValueError:
        return text[:300]
