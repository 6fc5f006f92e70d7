"""Sends what several callers ask for in batches: SQS takes ten entries in one request, and bills requests."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from asya_transports.port import TransportError, TransportUnavailable

LARGEST_BATCH = 10
"""Entries of one request (SQS Developer Guide, "Message quotas")."""
REQUESTS = 8
"""Requests of one kind to one queue at a time. A single entry is not delayed; what comes while all are under way goes
together."""

Entry = TypeVar("Entry")
Answers = list[TransportError | None]
Send = Callable[[str, Sequence[Entry]], Awaitable[Answers]]
"""Sends entries to the queue with this URL. Raises TransportError if none of them was taken."""


class _Waiting(NamedTuple, Generic[Entry]):
    entry: Entry
    size: int
    answer: "asyncio.Future[TransportError | None]"


class RequestBatches(Generic[Entry]):
    """One kind of request, for every queue. `most_bytes`: of all entries of one request."""

    def __init__(self, send: Send[Entry], most_bytes: int) -> None:
        self._send = send
        self._most_bytes = most_bytes
        self._lines: dict[str, _Line[Entry]] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def add(self, url: str, entry: Entry, size: int = 0) -> TransportError | None:
        """The answer to this entry; None if it was taken."""
        return await self.enter(url, entry, size)

    def enter(self, url: str, entry: Entry, size: int = 0) -> "asyncio.Future[TransportError | None]":
        """The same, without a coroutine for each entry of a caller that has many."""
        line = self._lines.setdefault(url, _Line())
        answer: asyncio.Future[TransportError | None] = asyncio.get_running_loop().create_future()
        line.waiting.append(_Waiting(entry, size, answer))
        if not line.called and line.requests < REQUESTS:
            line.called = True
            # Not at once, so that what is added in the same turn of the event loop goes together.
            asyncio.get_running_loop().call_soon(self._begin, url, line)
        return answer

    async def finish(self) -> None:
        """Wait until everything is answered."""
        while self._under_way or any(line.waiting for line in self._lines.values()):
            await asyncio.wait(self._under_way) if self._under_way else await asyncio.sleep(0)

    def _begin(self, url: str, line: "_Line[Entry]") -> None:
        line.called = False
        while line.requests < REQUESTS and (batch := line.next(self._most_bytes)):
            line.requests += 1
            request = asyncio.create_task(self._request(url, line, batch), name="sqs-batch")
            self._under_way.add(request)
            request.add_done_callback(self._under_way.discard)
        if not line.requests and not line.waiting and self._lines.get(url) is line:
            del self._lines[url]

    async def _request(self, url: str, line: "_Line[Entry]", batch: list[_Waiting[Entry]]) -> None:
        try:
            answers = await self._send(url, [each.entry for each in batch])
        except TransportUnavailable as error:
            # Everyone who waits would wait for the same error, one request after the other.
            batch += line.waiting
            line.waiting.clear()
            answers = [error] * len(batch)
        except TransportError as error:
            answers = [error] * len(batch)
        except Exception as error:  # noqa: BLE001 # raised again where each is awaited
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(error)
            return
        finally:
            line.requests -= 1
            self._begin(url, line)
        for each, answer in zip(batch, answers, strict=True):
            if not each.answer.done():  # its caller was cancelled
                each.answer.set_result(answer)


class _Line(Generic[Entry]):
    """What waits for one queue."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting[Entry]] = deque()
        self.requests = 0
        self.called = False

    def next(self, most_bytes: int) -> list[_Waiting[Entry]]:
        """The entries of the next request, without those whose callers were cancelled."""
        batch: list[_Waiting[Entry]] = []
        size = 0
        while self.waiting and len(batch) < LARGEST_BATCH:
            each = self.waiting[0]
            if each.answer.done():
                self.waiting.popleft()
                continue
            if batch and size + each.size > most_bytes:
                break
            batch.append(self.waiting.popleft())
            size += each.size
        return batch
