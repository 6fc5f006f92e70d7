"""What a Kubernetes Service is to its clients: each new connection goes to the next replica that accepts one."""

import asyncio
from urllib.parse import urlsplit

from typing_extensions import override

from servers.proxy import TcpProxy


class Service(TcpProxy):
    """A proxy before several replicas, which it can also cut off, stall and refuse. `add` and `withdraw` are what the
    controller of endpoints does when a pod becomes ready and when it is told to stop."""

    def __init__(self) -> None:
        super().__init__("", 0)
        self._replicas: list[tuple[str, int]] = []
        self._turn = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def add(self, url: str) -> None:
        """New connections also go to this replica."""
        self._replicas.append(_address(url))

    def withdraw(self, url: str) -> None:
        """No new connection goes to this replica; those that are open stay."""
        self._replicas.remove(_address(url))

    @override
    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next replica. Raises OSError if none accepts one."""
        error: OSError = OSError("no replicas")
        for _ in self._replicas:
            self._turn = (self._turn + 1) % len(self._replicas)
            try:
                return await asyncio.open_connection(*self._replicas[self._turn])
            except OSError as refused:
                error = refused
        raise error


def _address(url: str) -> tuple[str, int]:
    target = urlsplit(url)
    return str(target.hostname), int(target.port or 0)
