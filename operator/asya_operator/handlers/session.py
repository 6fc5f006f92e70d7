"""Kopf's HTTP session, which reads whatever is nested in an object (domain/nesting.py)."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from typing_extensions import override

from asya_operator.domain.nesting import cut, loads


class Response(aiohttp.ClientResponse):
    """An answer whose JSON cannot be too deep: kopf decodes lists by `json`, and watches line by line."""

    @override
    async def start(self, connection: Any) -> "Response":
        await super().start(connection)
        self.content = Lines(self.content)  # type: ignore[assignment]  # all that kopf asks of it
        return self

    @override
    async def json(self, **_: Any) -> Any:
        return loads(await self.read())


class Lines:
    """A stream whose chunks are whole lines of JSON, each of them cut; otherwise the stream itself."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Lines with their ends, as they come; the rest of a line that was broken off last."""
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
    """A session for the loop that runs; `ssl` is a context or False."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl)
    return aiohttp.ClientSession(connector=connector, headers=headers, response_class=Response)
