"""Requests that are not HTTP: what their senders are told, and what is logged. aiohttp's own words quote the malformed
line, which may be a header with a credential."""

import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

log = logging.getLogger(__name__)

MALFORMED = "expected a well-formed request of HTTP/1.1"
TOLD: dict[type[Exception], str] = {
    LineTooLong: "the request's target or a header is too long",
    ContentEncodingError: "Content-Encoding: expected gzip or deflate, or none",
}
"""What is said of some kinds of requests; all others are MALFORMED."""


class HttpConnection(RequestHandler):
    """A connection whose malformed requests are answered without quoting them."""

    __slots__ = ()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if message is not None:
            message = next((told for kind, told in TOLD.items() if isinstance(exc, kind)), MALFORMED)
        return super().handle_error(request, status, exc, message)


class Connections(web.Server):
    """Makes such connections."""

    @override
    def __call__(self) -> RequestHandler:
        return HttpConnection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Serves an application over such connections."""

    __slots__ = ()

    @override
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        # aiohttp has no other place for one's own class of connections. Whatever the server was made with stays.
        made.__class__ = Connections
        return made


def quiet(record: logging.LogRecord) -> bool:
    """A filter that keeps aiohttp from logging a traceback for every malformed request. Its sender got 400."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        # Its text quotes the line as well.
        log.debug("malformed request: %s", type(record.exc_info[1]).__name__)
        return False
    return True
