"""Successful responses with JSON text."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11
from typing_extensions import override

from asya_gateway.domain.task import JsonText

NO_STORE = {"Cache-Control": "no-store"}
"""A task changes at any moment and belongs to one caller, so no cache may store it."""
JSON_HEADERS = {"Content-Type": "application/json", **NO_STORE}
AT_ONCE = 64 * 1024
"""Most bytes of a body that are written without waiting for the connection."""
KEPT = 4096
"""Bytes of a body that may stay with its connection: aiohttp refers to the last response until the next request."""


def json_response(text: JsonText, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response whose body is already JSON text (jsontext.dumps ensures that UTF-8 can encode it)."""
    if status == 200 and not headers:
        return PlainJson(text.encode())
    return web.Response(status=status, body=text.encode(), headers={**JSON_HEADERS, **(headers or {})})


def fixed_json(text: JsonText, headers: Mapping[str, str]) -> web.Response:
    """A 200 with JSON text and headers that have few forms, and none that a client makes."""
    return PlainJson(text.encode(), headers)


class _Plain(web.Response):
    """A 200 with few headers, written in one piece if the request needs nothing special.

    For each response, aiohttp builds, completes and encodes a table of headers, which is a tenth of the cost of an
    accepted call. This head is the same for all responses within a second, except for the length. Other cases
    (HTTP/1.0, HEAD, a page of another origin, a connection that ends or is too slow, headers that were added) are left
    to aiohttp.
    """

    fixed: tuple[tuple[str, str], ...]
    """Names and values of its headers."""
    _written_by: asyncio.Transport | None = None

    def __init__(self, body: bytes = b"", more: Mapping[str, str] | None = None) -> None:
        """`more` are headers of which there are few forms, and none that a client makes."""
        super().__init__(body=body)
        if more:
            self.fixed = tuple({**dict(self.fixed), **more}.items())

    @property
    @override
    def keep_alive(self) -> bool | None:
        return True if self._written_by is not None else super().keep_alive

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self._written_by is not None:
            # The edge has sent it; aiohttp asks once more of every response.
            return None
        transport, body = request.transport, self.body
        if transport is None or not isinstance(body, bytes) or not self._is_plain(request, transport, len(body)):
            for name, value in self.fixed:
                self.headers.setdefault(name, value)
            return await super().prepare(request)
        self._written_by = transport
        transport.write(b"%b%d\r\n\r\n%b" % (_head(int(time.time()), self.fixed), len(body), body))  # noqa: TID251 # the header Date
        if len(body) > KEPT:
            self.body = None
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        if self._written_by is None:
            await super().write_eof(data)

    def _is_plain(self, request: web.BaseRequest, transport: asyncio.Transport, size: int) -> bool:
        return (
            size <= AT_ONCE
            and not self.headers
            and self.keep_alive is None
            and request.keep_alive
            and request.version == HttpVersion11
            and request.method != "HEAD"
            and "Origin" not in request.headers
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )


class PlainJson(_Plain):
    """A plain 200 with JSON text."""

    fixed = tuple(JSON_HEADERS.items())


class PlainEmpty(_Plain):
    """A plain 200 without a body."""

    fixed = ()


@lru_cache(maxsize=64)
def _head(second: int, fixed: tuple[tuple[str, str], ...]) -> bytes:
    """Status line and headers (RFC 9112, section 2.1) up to the length."""
    headers = {**dict(fixed), "Date": formatdate(second, usegmt=True), "Server": SERVER_SOFTWARE}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: ".encode()
