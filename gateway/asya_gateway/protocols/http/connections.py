"""The connections of the server, for which aiohttp has no other place than these subclasses."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from typing_extensions import override

from asya_gateway.protocols.http.exact_routes import exactly_routed
from asya_gateway.protocols.http.malformed import told_of


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
        return super().handle_error(request, status, exc, None if message is None else told_of(exc))

    @override
    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading and parsing if that was paused. aiohttp asks for it whenever a part of a body was read, and
        would call its parser without any data each time."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)


class Connections(web.Server):
    """Makes such connections."""

    @override
    def __call__(self) -> RequestHandler:
        return HttpConnection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Serves an application that has one middleware over such connections."""

    __slots__ = ()

    @override
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        (door,) = self.app.middlewares
        # Whatever the server was made with stays.
        made.__class__ = Connections
        # Every request of such a server is one that the application has made.
        made.request_handler = exactly_routed(self.app, door, made.request_handler)  # type: ignore[assignment]
        return made
