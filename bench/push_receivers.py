"""Receivers of push notifications, which cost as little as possible: one thread, one event loop, no library."""

import asyncio
import json
import threading
import time
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self

from typing_extensions import override

ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self, receivers: "Receivers", *, hangs: bool) -> None:
        self._receivers = receivers
        self._hangs = hangs
        self._data = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if self._hangs or not found:
            return
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        if len(rest) >= length:
            self._receivers.note(rest[:length])
            self._data = rest[length:]
            self._transport.write(ANSWER)


class Receivers:
    """`urls` are theirs; the last `hanging` never answer, and get nothing that counts. `delays`: seconds from the time
    in each notification to its arrival; `arrivals`: the Unix times of these."""

    def __init__(self, count: int, hanging: int = 0) -> None:
        self._count, self._hanging = count, hanging
        self.urls: list[str] = []
        self.delays: list[float] = []
        self.arrivals: list[float] = []
        self._first = self._last = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receivers", daemon=True)

    def note(self, body: bytes) -> None:
        """A notification has arrived."""
        now = time.time()
        self._first, self._last = self._first or now, now
        status = json.loads(body)["statusUpdate"]["status"]
        self.arrivals.append(now)
        self.delays.append(now - datetime.fromisoformat(status["timestamp"]).timestamp())

    def delays_after(self, moment: float) -> list[float]:
        """Those of what arrived after this Unix time."""
        return [delay for delay, at in zip(self.delays, self.arrivals, strict=True) if at > moment]

    @property
    def per_second(self) -> float:
        """Notifications from the first to the last one."""
        return (len(self.delays) - 1) / (self._last - self._first)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _listen(self) -> None:
        for number in range(self._count):
            hangs = number >= self._count - self._hanging
            server = await self._loop.create_server(partial(_Connection, self, hangs=hangs), "127.0.0.1", 0)
            self.urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
