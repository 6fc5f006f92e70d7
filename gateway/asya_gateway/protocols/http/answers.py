"""Answers that succeed: JSON text as a response."""

import asyncio
import time
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
"""Bytes of a body that may be written without waiting for the connection to take them."""


def json_response(text: JsonText, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response whose body is JSON text already (jsontext.dumps made sure that UTF-8 can carry it)."""
    if status == 200 and headers is None:
        return PlainJson(text.encode())
    return web.Response(status=status, body=text.encode(), headers={**JSON_HEADERS, **(headers or {})})


class PlainJson(web.Response):
    """A 200 with the usual headers, written in one piece where the request asks for nothing special.

    For each response aiohttp puts a table of headers together, completes and encodes it, a tenth of what an
    accepted call costs; this head is the same for all answers of a second but for the length. Whatever differs
    (HTTP/1.0, HEAD, a page of another origin, a connection that ends or does not keep up) goes aiohttp's way.
    """

    _written_by: asyncio.Transport | None = None

    def __init__(self, body: bytes) -> None:
        super().__init__(body=body, headers=JSON_HEADERS)

    @property
    @override
    def keep_alive(self) -> bool | None:
        return True if self._written_by is not None else super().keep_alive

    @override
    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is None or not self._is_plain(request, transport):
            return await super().prepare(request)
        self._written_by = transport
        body = self.body
        assert isinstance(body, bytes)
        transport.write(b"%b%d\r\n\r\n%b" % (_head(int(time.time())), len(body), body))
        return None

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        if self._written_by is None:
            await super().write_eof(data)

    def _is_plain(self, request: web.BaseRequest, transport: asyncio.Transport) -> bool:
        return (
            self.keep_alive is None
            and request.keep_alive
            and request.version == HttpVersion11
            and request.method != "HEAD"
            and "Origin" not in request.headers
            and isinstance(self.body, bytes)
            and 0 < len(self.body) <= AT_ONCE
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )


@lru_cache(maxsize=2)
def _head(second: int) -> bytes:
    """Status line and headers (RFC 9112, section 2.1) up to the length."""
    headers = {**JSON_HEADERS, "Date": formatdate(second, usegmt=True), "Server": SERVER_SOFTWARE}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: ".encode()
