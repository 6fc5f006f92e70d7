"""FLY: sends live events to mesh in order and in bundles, without making a handler wait long."""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from asya_actor.mesh.client import MeshClient, MeshRefused, MeshUnavailable
from asya_actor.telemetry.metrics import LIVE_LOST, LIVE_SENT
from asya_crds import jsontext

log = logging.getLogger(__name__)

LONGEST_EVENT = 1024 * 1024
"""Most bytes of a request that mesh accepts (docs/protocols/mesh.md)."""
BUNDLE_BYTES = 256 * 1024
BUNDLE_EVENTS = 500
WAITING_BYTES = 4 * 1024 * 1024
PATIENCE = 1.0
"""Seconds that a handler waits for room before its event is dropped."""
TRIES_FOR = 2.0
"""Seconds for which one bundle is tried before it is dropped: late live events are useless."""
REQUEST_TIMEOUT = 5.0

_WRAPPER = len('{"payload":}')


class LiveLine:
    """The live events of one handler call. With `base` None they are checked and dropped.

    `bundles`: whether this mesh accepts several events in one request, {"payloads": [...]}, as ours does. Others get
    one request for each event.
    """

    def __init__(
        self,
        client: MeshClient,
        base: str | None,
        task_id: str,
        actor: str,
        *,
        bundles: bool,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._client = client
        self._base = base
        self._task_id = task_id
        self._actor = actor
        self._bundles = bundles
        self._loop = loop or asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._ending = False
        self._warned = False

    async def put(self, event: dict[str, Any]) -> None:
        """Queue an event. Raises TypeError or ValueError if it is not JSON or larger than LONGEST_EVENT."""
        data = _encoded(event)
        if self._base is not None:
            if self._full(data):
                await self._wait_for_room()
            self._append(data)
            self._awaken()

    def put_from_thread(self, event: dict[str, Any]) -> None:
        """Like put, from a handler's thread."""
        data = _encoded(event)
        if self._base is None:
            return
        if self._full(data):
            asyncio.run_coroutine_threadsafe(self._wait_for_room(), self._loop).result()
        first = self._append(data)
        if first:
            self._loop.call_soon_threadsafe(self._awaken)

    async def finish(self, within: float = REQUEST_TIMEOUT) -> None:
        """Return when all events were sent or dropped, so that no event follows the report that ends the hop."""
        self._ending = True
        if self._sender is not None:
            self._wake.set()
            _, late = await asyncio.wait([self._sender], timeout=within)
            if late:
                self._lose(len(self._waiting), "the previous request is still running")
        await self.abandon()

    async def abandon(self) -> None:
        """Stop sending."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    def _full(self, data: bytes) -> bool:
        return self._bytes + len(data) > WAITING_BYTES

    async def _wait_for_room(self) -> None:
        self._room.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._room.wait()

    def _append(self, data: bytes) -> bool:
        """Append an event; returns whether it is the first in the queue, so that the sender must be woken."""
        with self._lock:
            if not self._full(data):
                self._waiting.append(data)
                self._bytes += len(data)
                return len(self._waiting) == 1
        self._lose(1, "too many events are waiting")
        return False

    def _awaken(self) -> None:
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name=f"live-{self._task_id}")
        self._wake.set()

    async def _send_all(self) -> None:
        while True:
            bundle = self._take()
            if bundle:
                await self._send(bundle)
                continue
            if self._ending:
                return
            self._wake.clear()
            if not self._waiting:
                await self._wake.wait()

    def _take(self) -> list[bytes]:
        bundle: list[bytes] = []
        size = 0
        most = BUNDLE_EVENTS if self._bundles else 1
        with self._lock:
            while self._waiting and len(bundle) < most and (not bundle or size + len(self._waiting[0]) < BUNDLE_BYTES):
                data = self._waiting.popleft()
                bundle.append(data)
                size += len(data)
            self._bytes -= size
        self._room.set()
        return bundle

    async def _send(self, bundle: list[bytes]) -> None:
        assert self._base is not None
        body = b'{"payload":%b}' % bundle[0] if len(bundle) == 1 else b'{"payloads":[%b]}' % b",".join(bundle)
        give_up, pause = time.monotonic() + TRIES_FOR, 0.05
        while True:
            try:
                await self._client.fly(self._base, self._task_id, body, REQUEST_TIMEOUT)
            except MeshRefused as refusal:
                return self._lose(len(bundle), str(refusal))
            except MeshUnavailable as error:
                if time.monotonic() + pause > give_up:
                    return self._lose(len(bundle), str(error))
                await asyncio.sleep(pause)
                pause *= 2
            else:
                LIVE_SENT.labels(self._actor).inc(len(bundle))
                return None

    def _lose(self, count: int, reason: str) -> None:
        LIVE_LOST.labels(self._actor).inc(count)
        if not self._warned:
            self._warned = True
            log.warning("dropping live events of %s: %s", self._task_id, reason)


class LiveEventsOfCall:
    """The live events of one handler call. Most handlers send none, so the line is made with the first event.

    The parameters are those of LiveLine. It must be made in the event loop.
    """

    def __init__(self, client: MeshClient, base: str | None, task_id: str, actor: str, *, bundles: bool) -> None:
        loop = asyncio.get_running_loop()
        self._make: Callable[[], LiveLine] = lambda: LiveLine(client, base, task_id, actor, bundles=bundles, loop=loop)
        self._line: LiveLine | None = None

    async def put(self, event: dict[str, Any]) -> None:
        """As LiveLine.put."""
        await self._opened().put(event)

    def put_from_thread(self, event: dict[str, Any]) -> None:
        """As LiveLine.put_from_thread."""
        self._opened().put_from_thread(event)

    async def finish(self) -> None:
        """As LiveLine.finish."""
        if self._line is not None:
            await self._line.finish()

    async def abandon(self) -> None:
        """As LiveLine.abandon."""
        if self._line is not None:
            await self._line.abandon()

    def _opened(self) -> LiveLine:
        # A handler sends its events one after the other, so no two threads make a line.
        if self._line is None:
            self._line = self._make()
        return self._line


def _encoded(event: dict[str, Any]) -> bytes:
    data = jsontext.dumps(event).encode()
    if len(data) + _WRAPPER > LONGEST_EVENT:
        raise ValueError(f"FLY: the event has {len(data)} bytes, the limit is {LONGEST_EVENT - _WRAPPER}")
    return data
