"""A breakable network between an operator and its API server, for tests that are not asynchronous."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from servers.proxy import TcpProxy


class Network:
    """A TcpProxy on a loop in a thread of its own."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxy = TcpProxy("127.0.0.1", port)
        self._wait(self._proxy.start())
        self.port = self._proxy.port

    def stall(self) -> None:
        """Connections stay and carry nothing: requests hang."""
        self._do(self._proxy.stall)

    def flow(self) -> None:
        self._do(self._proxy.flow)

    def cut(self) -> None:
        """Every connection breaks; new ones are taken."""
        self._do(self._proxy.cut)

    def refuse(self) -> None:
        """Every connection breaks, new ones too."""
        self._do(self._proxy.refuse)

    def accept(self) -> None:
        self._do(self._proxy.accept)

    def close(self) -> None:
        self._wait(self._proxy.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, action: Callable[[], None]) -> None:
        async def run() -> None:
            action()

        self._wait(run())

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
