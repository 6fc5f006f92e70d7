"""Telemetry of every request: its count, its duration, its span, and the identifiers of its log lines."""

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from asya_gateway.protocols.http.slashes import has_needless_slash, without_last_slash
from asya_gateway.protocols.http.sources import source_of
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.telemetry.context import begin
from asya_gateway.telemetry.observer import Observer

log = logging.getLogger(__name__)

RequestHandler = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

UNMATCHED = "unmatched"
CLIENT_CLOSED = 499
"""The status counted if the caller left before the response, as in nginx."""


def watching(observer: Observer, answer: RequestHandler) -> Middleware:
    """A middleware that answers with `answer` and reports to the observer. A line for each request is logged at debug
    only."""

    @web.middleware
    async def watched(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        headers = trace_headers(request.headers)
        begin(headers.get("traceparent"), source_of(request))
        if has_needless_slash(request):
            handler = await without_last_slash(request, handler)
        route, method = route_of(request), request.method
        status, stream = CLIENT_CLOSED, False
        with observer.spans.request(method, route, headers) as span:
            try:
                response = await answer(request, handler)
                status, stream = response.status, not isinstance(response, web.Response)
                return response
            except web.HTTPException as redirection:
                status = redirection.status
                raise
            finally:
                took = time.perf_counter() - started
                span.answered(status)
                observer.answered(route, method, status, None if stream else took)
                if log.isEnabledFor(logging.DEBUG):
                    log.debug("%s %s %d in %.1f ms", method, request.path, status, took * 1000)

    return watched


def route_of(request: web.Request) -> str:
    """The template of the request's route, which callers cannot invent."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else resource.canonical
