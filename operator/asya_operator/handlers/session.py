"""An HTTP session for kopf that can read objects nested too deeply (domain/nesting.py)."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from typing_extensions import override

from asya_operator.domain.nesting import cut, loads


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose JSON cannot be too deep. Kopf decodes lists with `json`, and watches line by line."""

    @override
    async def start(self, connection: Any) -> "BoundedResponse":
        await super().start(connection)
        self.content = Lines(self.content)  # type: ignore[assignment]  # all that kopf asks of it
        return self

    @override
    async def json(self, **_: Any) -> Any:
        return loads(await self.read())


class Lines:
    """A stream whose chunks are whole lines of JSON, each cut to the depth limit. Everything else is passed to the
    stream."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Lines with their line ends, as they arrive; at the end, the rest of an incomplete line."""
        begun: list[bytes] = []
        async for chunk in self._content.iter_chunked(size):
            *ended, rest = chunk.split(b"\n")
            for line in ended:
                yield cut(b"".join([*begun, line])) + b"\n"
                begun.clear()
            begun.append(rest)
        if any(begun):
            yield b"".join(begun)


def session(*, token: str | None, ssl: Any) -> aiohttp.ClientSession:
    """A session for the running event loop. `ssl` is a context or False."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl)
    return aiohttp.ClientSession(connector=connector, headers=headers, response_class=BoundedResponse)
