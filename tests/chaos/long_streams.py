"""Callers that watch a task for seconds, over each protocol that has streams, and go on elsewhere when their stream is
cut: event streams of REST, the stream of a call in a session of MCP, and the streams of A2A."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from tests.chaos.calls import Call
from tests.chaos.clients import A2A_STATES, EXPECTED, STREAM_PATIENCE, Clients
from tests.chaos.owners import ANYBODY, Owner
from tests.chaos.records import Records
from tests.support.mcp import BOTH, message
from tests.support.waiting import lasts

STAGE = 1.2
"""Seconds of each of the four hops."""
LONG = ("stages", "mcp-stream", "a2a-stream")
"""The kinds of calls that are begun here. The first is one that a version without sessions and A2A knows, too."""
_SESSION = "Mcp-Session-Id"
_VERSION = {"MCP-Protocol-Version": "2025-11-25", "Accept": BOTH}
_A2A = {"A2A-Version": "1.0", "Accept": "text/event-stream"}
_INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "a careful client", "version": "1"},
}


class _Sent(NamedTuple):
    """An event: its id ("" if it has none) and its JSON (None if it has no data)."""

    id: str
    data: Any


@dataclass
class _Watch:
    """What the reader of a stream has seen so far."""

    last_id: str = ""
    seqs: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    progress: float = -1.0
    task: str = ""
    state: str = ""
    answer: Any = None


class LongStreams(Clients):
    """Callers of one Service, as before, and those of LONG. `stage`: seconds of each of the four hops."""

    stage = STAGE

    def __init__(self, url: str, records: Records, owners: Sequence[Owner] = (ANYBODY,)) -> None:
        super().__init__(url, records, owners)
        self.kinds |= {"stages": self._stages, "mcp-stream": self._mcp_stream, "a2a-stream": self._a2a_stream}

    async def _stages(self, call: Call) -> str:
        task = await self.called(call, "stages", takes=self.stage)
        await self.streamed(call, task)
        return task

    # MCP: progress of a call in a session

    async def _mcp_stream(self, call: Call) -> str:
        session = await self._open_session(call)
        headers = {**_VERSION, _SESSION: session, **call.key()}
        arguments = {"n": call.n, "takes": self.stage}
        params = {"name": "stages", "arguments": arguments, "_meta": {"progressToken": call.number}}
        watch, earlier = _Watch(), list[_Watch]()
        while watch.answer is None:
            reading = {**headers, "Accept": "text/event-stream", "Last-Event-ID": watch.last_id}
            if watch.last_id:
                call.note("moved")
                await self._read(call, "GET", None, reading, watch)
            else:
                # What came without ids, since the database was away, cannot go on: the call is made again.
                earlier += [watch] if watch.texts else []
                watch = _Watch()
                await self._read(call, "POST", message("tools/call", params), headers, watch)
            await lasts(0.2)
        return self._ended_stream(call, watch, earlier)

    def _ended_stream(self, call: Call, watch: _Watch, earlier: Sequence[_Watch]) -> str:
        result = watch.answer.get("result", {})
        if result.get("isError") is not False:
            call.note("wrong", status=json.dumps(watch.answer)[:500])
            return ""
        task = result["_meta"]["sh.asya/task"]
        for each in (*earlier, watch):
            call.note("told", task=task["task_id"], statuses=tuple(each.texts))
        call.note("ended", task=task["task_id"], status=task["status"])
        return str(task["task_id"])

    async def _open_session(self, call: Call) -> str:
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self.session.post(
                    f"{self.url}/mcp",
                    json=message("initialize", _INITIALIZE),
                    headers={**call.owner.headers, **_VERSION},
                    timeout=STREAM_PATIENCE,
                ) as response:
                    text = await response.text()
                    if response.status == 200:
                        return response.headers[_SESSION]
                    call.note("refused", status=f"{response.status} {text[:200]}")
            await lasts(0.5)

    async def _read(self, call: Call, method: str, body: Any, headers: dict[str, str], watch: _Watch) -> None:
        """One stream of a call, as far as it goes."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.session.request(
                method,
                f"{self.url}/mcp",
                json=body,
                headers={**call.owner.headers, **headers},
                timeout=STREAM_PATIENCE,
            ) as found:
                if not await self._is_stream(call, found):
                    return
                async for sent in _sent(found):
                    watch.last_id = sent.id or watch.last_id
                    call.heard(json.dumps(sent.data))
                    self._take_message(call, sent.data, watch)

    def _take_message(self, call: Call, data: Any, watch: _Watch) -> None:
        if data is None:
            return
        if data.get("method") != "notifications/progress":
            watch.answer = data
            return
        params = data["params"]
        if params["progress"] <= watch.progress:
            call.note("wrong", status=f"{params['progress']} after {watch.progress}")
        watch.progress = params["progress"]
        if "message" in params:
            # Without one it is a sign of life.
            watch.texts.append(params["message"])

    async def _is_stream(self, call: Call, found: aiohttp.ClientResponse) -> bool:
        if found.status == 200 and found.content_type == "text/event-stream":
            return True
        text = f"{found.status} {(await found.text())[:200]}"
        call.note("refused" if found.status in EXPECTED else "wrong", status=text)
        return False

    # A2A: the events of a task

    async def _a2a_stream(self, call: Call) -> str:
        said = {
            "messageId": f"m-{call.number}",
            "role": "ROLE_USER",
            "parts": [{"data": {"n": call.n, "takes": self.stage}}],
        }
        watch = _Watch()
        try:
            while watch.state not in A2A_STATES:
                if watch.task:
                    call.note("moved", task=watch.task)
                    await self._events(call, "SubscribeToTask", {"id": watch.task}, watch)
                else:
                    await self._events(call, "SendStreamingMessage", {"message": said}, watch)
                await lasts(0.2)
            call.note("ended", task=watch.task, status=A2A_STATES[watch.state])
        finally:
            if watch.task:
                whole = watch.state in A2A_STATES
                call.note("watched" if whole else "watched so far", task=watch.task, seqs=tuple(watch.seqs))
        return watch.task

    async def _events(self, call: Call, method: str, params: Any, watch: _Watch) -> None:
        body = {"jsonrpc": "2.0", "id": call.number, "method": method, "params": params}
        headers = {**call.owner.headers, **_A2A, **call.key()}
        if watch.last_id:
            headers["Last-Event-ID"] = watch.last_id
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self.session.post(
                f"{self.url}/a2a/stages", json=body, headers=headers, timeout=STREAM_PATIENCE
            ) as found:
                if not await self._is_stream(call, found):
                    return
                async for sent in _sent(found):
                    call.heard(json.dumps(sent.data))
                    self._take_event(call, sent, watch)

    def _take_event(self, call: Call, sent: _Sent, watch: _Watch) -> None:
        result = sent.data["result"]
        if "task" in result and watch.task != str(result["task"]["id"]):
            watch.task = str(result["task"]["id"])
            self.accepted(call, watch.task)
        if sent.id:
            watch.last_id = sent.id
            seq = int(sent.id.partition(".")[0])
            # The end of a task is two events of one entry.
            if watch.seqs[-1:] != [seq] or not sent.id.endswith(".2"):
                watch.seqs.append(seq)
        status = result.get("task", result.get("statusUpdate", {})).get("status", {})
        watch.state = str(status.get("state", watch.state))


async def _sent(response: aiohttp.ClientResponse) -> AsyncIterator[_Sent]:
    """The events of a stream until it is cut."""
    id, data, has_data = "", "", False
    while line := await response.content.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        match name.rstrip(":"):
            case "id":
                id = value
            case "data":
                data, has_data = data + value, True
            case "" if has_data:
                yield _Sent(id, json.loads(data) if data.strip() else None)
                id, data, has_data = "", "", False
            case _:
                pass
