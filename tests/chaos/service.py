"""What a Kubernetes Service is to its clients: each new connection goes to the next replica that accepts one."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from typing_extensions import override

from servers.proxy import TcpProxy


class Service(TcpProxy):
    """A proxy before several replicas, which it can also cut off, stall and refuse."""

    def __init__(self, urls: Sequence[str]) -> None:
        targets = [urlsplit(url) for url in urls]
        super().__init__(str(targets[0].hostname), int(targets[0].port or 0))
        self._replicas = [(str(target.hostname), int(target.port or 0)) for target in targets]
        self._turn = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

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
