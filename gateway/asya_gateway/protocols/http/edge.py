"""The one middleware: who may call at all, and errors turned into answers."""

import asyncio
import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import GatewayError
from asya_gateway.protocols.http.errors import Starting, error_response, plain_error
from asya_gateway.protocols.http.guard import Guard
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.watching import watching
from asya_gateway.telemetry.observer import SILENT, Observer

log = logging.getLogger(__name__)

LINGER_SECONDS = 1.0
LARGE = 64 * 1024
SEND_SECONDS = 30.0
SLOWEST = 64 * 1024
"""Bytes a second below which the reader of a large answer is cut off, beyond SEND_SECONDS."""

HEALTH_PATHS = frozenset({"/health", "/health/ready"})
"""Answered to anybody, at any time: kubelet probes by the pod's address, before the start has finished."""


def edge(guard: Guard, readiness: Readiness, budget: Budget, observer: Observer = SILENT) -> Middleware:
    """One middleware for everything that every request needs, since each of them costs every request."""

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse
        with budget.scope() as lease:
            try:
                if (request.path.rstrip("/") or "/") not in HEALTH_PATHS:
                    guard.check(request)
                    if not readiness.started:
                        raise Starting("the gateway is starting")
                response = await handler(request)
            except Exception as error:  # noqa: BLE001 # whoever asked gets an answer, whatever failed
                response = _told(request, error, guard)
            if "Content-Encoding" in request.headers and not request.content.is_eof():
                await _leave_unread(request, response)
            elif lease.bytes > LARGE and isinstance(response, web.Response):
                await _send(request, response)
        return response

    return watching(observer, answer)


def _told(request: web.Request, error: Exception, guard: Guard) -> web.Response:
    """The answer that says what went wrong. Raises the error itself where nobody is left to tell, or where it is an
    answer of its own."""
    match error:
        case GatewayError():
            return error_response(request, error)
        case web.HTTPMethodNotAllowed():
            return _wrong_method(request, error, guard)
        case web.HTTPException() if error.status >= HTTPStatus.BAD_REQUEST:
            return plain_error(request, error.status)
        case web.HTTPException() | ConnectionError():
            raise error
        case _:
            log.error("%s %s failed", request.method, request.path, exc_info=error)
            return plain_error(request, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _send(request: web.Request, response: web.Response) -> None:
    """Send a large answer here, where its bytes are still counted. A reader that takes next to nothing is cut off."""
    writer = await response.prepare(request)
    await response.write_eof()
    if writer is None:
        return
    size = len(response.body) if isinstance(response.body, bytes) else 0
    try:
        async with asyncio.timeout(SEND_SECONDS + size / SLOWEST):
            await writer.drain()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


async def _leave_unread(request: web.Request, response: web.StreamResponse) -> None:
    """Inflate nothing more of a body that nobody reads: aiohttp would read it to its end before it takes the
    connection's next request, and three megabytes that inflate to three gigabytes held the process for ten
    seconds. The connection ends with the answer instead, and a moment after it: a client that still sends would
    be cut off before it has read why."""
    response.force_close()
    request.protocol.close()
    request.content.feed_eof()
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        # What comes now is dropped as it is.
        request.transport.resume_reading()
        await asyncio.sleep(LINGER_SECONDS)


def _wrong_method(request: web.Request, error: web.HTTPMethodNotAllowed, guard: Guard) -> web.Response:
    allow = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
    if request.method == "OPTIONS":
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": allow, **guard.preflight(request, allow)})
    return plain_error(request, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": allow})
