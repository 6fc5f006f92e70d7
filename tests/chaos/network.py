"""What happens to the connections of one kind: to the database, to mesh, to the api, to the queue system."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from servers.proxy import Side, Slowness, TcpProxy
from tests.support.waiting import lasts, until

Fault = Callable[[], Awaitable[None]]
HALF_CLOSED = "connections to {} half-closed"
SLOW = "a slow network to {}"
SHORTEST, LONGEST = 0.05, 0.5
"""Seconds that a slow network takes for each way."""
NARROWEST, WIDEST = 64 * 1024.0, 1024 * 1024.0
"""Bytes that it carries in a second."""
FOUND_WITHIN = 20.0


class Network:
    """The proxies on one way. `name` is what they lead to. `hold` waits for a random time, for so many seconds at
    most."""

    def __init__(
        self,
        name: str,
        proxies: Callable[[], Sequence[TcpProxy]],
        chance: random.Random,
        hold: Callable[[float], Awaitable[None]],
    ) -> None:
        self._name = name
        self._proxies = proxies
        self._random = chance
        self._hold = hold

    def faults(self) -> Mapping[str, Fault]:
        """By what they are called."""
        return {
            f"connections to {self._name} cut": self._cut,
            f"the network to {self._name} stalls": self._stall,
            f"{self._name} out of reach": self._refuse,
            HALF_CLOSED.format(self._name): self._half_close,
            SLOW.format(self._name): self._slow,
        }

    async def _cut(self) -> None:
        for _ in range(self._random.randint(1, 3)):
            for proxy in self._proxies():
                proxy.cut()
            await lasts(0.3)

    async def _stall(self) -> None:
        for proxy in self._proxies():
            proxy.stall()
        await self._hold(6)
        for proxy in self._proxies():
            proxy.flow()

    async def _refuse(self) -> None:
        for proxy in self._proxies():
            proxy.refuse()
        await self._hold(4)
        for proxy in self._proxies():
            proxy.accept()

    async def _half_close(self) -> None:
        """One end of each connection is told that the other has ended; which one, is chance. The other end goes on,
        hears nothing, and is cut off in the end, as by its own system's keepalive."""
        sides = tuple(Side)

        def some() -> bool:
            return sum([proxy.half_close(lambda: self._random.choice(sides)) for proxy in self._proxies()]) > 0

        await until(some, FOUND_WITHIN, f"connections to {self._name}")
        await self._hold(6)
        for proxy in self._proxies():
            proxy.cut_half_closed()

    async def _slow(self) -> None:
        slowness = Slowness(lambda: self._random.uniform(SHORTEST, LONGEST), self._random.uniform(NARROWEST, WIDEST))
        for proxy in self._proxies():
            proxy.slow(slowness)
        await self._hold(8)
        for proxy in self._proxies():
            proxy.flow()
