"""Callers of the api Service over REST and event streams."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.waiting import lasts

ENDED = ("succeeded", "failed", "canceled")


@dataclass
class Reader:
    """What one follower saw of one task, over however many connections."""

    task_id: str
    seqs: list[int] = field(default_factory=list)
    live: list[Any] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    connections: int = 0


class Callers:
    """Calls flows, follows tasks, and remembers what was accepted and what was answered otherwise."""

    def __init__(self, url: str) -> None:
        self.url = url
        # A new connection for each request, as from many callers: the Service picks a pod each time.
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self.accepted: dict[str, Any] = {}
        self.answers: Counter[int | str] = Counter()
        self.without_retry_after = 0
        self.readers: list[Reader] = []
        self._following: set[asyncio.Task[None]] = set()

    async def post(self, flow: str, arguments: Any, wait: float | None = None) -> tuple[int, Any]:
        """POST /tools/call; the status and the answer, JSON where it is some."""
        headers = {} if wait is None else {"Prefer": f"wait={wait:g}"}
        timeout = aiohttp.ClientTimeout(total=(wait or 0) + 30)
        body = {"name": flow, "arguments": arguments}
        async with self.session.post(f"{self.url}/tools/call", json=body, headers=headers, timeout=timeout) as response:
            text = await response.text()
            if response.status == 503 and "Retry-After" not in response.headers:
                self.without_retry_after += 1
            with contextlib.suppress(ValueError):
                return response.status, json.loads(text)
            return response.status, text

    async def result(self, flow: str, arguments: Any, wait: float = 60) -> Any:
        """Call and wait for the end; the result."""
        status, task = await self.post(flow, arguments, wait)
        assert status == 200, (status, task)
        assert task["status"] == "succeeded", task
        return task["result"]

    async def submit(self, flow: str, arguments: Any) -> str | None:
        """One call; its id where it was accepted, else a count of what happened."""
        try:
            status, answer = await self.post(flow, arguments)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.answers[type(error).__name__] += 1
            return None
        self.answers[status] += 1
        if status != 200:
            return None
        task_id = str(json.loads(answer["content"][0]["text"])["task_id"])
        self.accepted[task_id] = arguments
        return task_id

    async def task(self, task_id: str) -> Any:
        async with self.session.get(f"{self.url}/tasks/{task_id}", timeout=aiohttp.ClientTimeout(total=20)) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    def follow(self, task_id: str) -> Reader:
        """Read a task's stream to its end in the background, by Last-Event-ID after each cut."""
        reader = Reader(task_id)
        self.readers.append(reader)
        work = asyncio.create_task(self._follow(reader))
        self._following.add(work)
        work.add_done_callback(self._following.discard)
        return reader

    async def _follow(self, reader: Reader) -> None:
        while not reader.ends:
            headers = {"Last-Event-ID": str(reader.seqs[-1])} if reader.seqs else {}
            url, patience = f"{self.url}/stream/{reader.task_id}", aiohttp.ClientTimeout(total=None, sock_read=45)
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self.session.get(url, headers=headers, timeout=patience) as response:
                    if response.status == 200:
                        reader.connections += 1
                        await self._take(reader, response)
                    else:
                        reader.refused.append(response.status)
            if not reader.ends:
                await lasts(0.2)

    async def _take(self, reader: Reader, response: aiohttp.ClientResponse) -> None:
        async for name, seq, data in events(response):
            if name != "update":
                reader.live.append(data)
                continue
            assert seq is not None
            reader.seqs.append(seq)
            if data["status"] in ENDED:
                reader.ends.append(data["status"])

    async def close(self) -> None:
        for work in tuple(self._following):
            work.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self.session.close()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, int | None, Any]]:
    """Server-sent events as (name, id, data) (HTML standard, "Interpreting an event stream")."""
    name, seq, data = "message", None, ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        key, _, value = line.partition(":")
        if not line:
            if data:
                yield name, seq, json.loads(data)
            name, seq, data = "message", None, ""
        elif key == "event":
            name = value.strip()
        elif key == "id":
            seq = int(value)
        elif key == "data":
            data += value.strip()
