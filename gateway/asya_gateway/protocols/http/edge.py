"""The middleware of all routes: access checks, and errors turned into responses."""

import asyncio
import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.bad_credentials import BadCredentials
from asya_gateway.protocols.http.errors import Starting, error_response, plain_error
from asya_gateway.protocols.http.guard import Guard
from asya_gateway.protocols.http.limiter import Limiter
from asya_gateway.protocols.http.policies import Policies
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.watching import watching
from asya_gateway.telemetry.observer import SILENT, Observer

log = logging.getLogger(__name__)

LINGER_SECONDS = 1.0
LARGE = 64 * 1024
SEND_SECONDS = 30.0
SLOWEST = 64 * 1024
"""After SEND_SECONDS, a reader of a large response that takes fewer bytes per second than this is disconnected."""

HEALTH_PATHS = frozenset({"/health", "/health/ready"})
"""Always answered, to every client: kubelet probes with the pod's address, before the start has finished."""


def edge(
    guard: Guard,
    readiness: Readiness,
    budget: Budget,
    admission: Admission,
    policies: Policies,
    limiter: Limiter,
    observer: Observer = SILENT,
    delays: BadCredentials | None = None,
) -> Middleware:
    """A single middleware for everything that all requests need, because each further middleware costs every
    request."""

    slow_down = delays or BadCredentials()

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        response: web.StreamResponse
        with budget.scope() as lease:
            try:
                if not _is_probe(request):
                    guard.check(request)
                    if not readiness.started:
                        raise Starting("the gateway is starting")
                    if not admission.admit_known(request, policies):
                        await admission.admit(request, policies)
                    limiter.at_the_door(request, policies)
                response = await handler(request)
            except Exception as failure:  # noqa: BLE001 # whoever asked gets an answer, whatever failed
                error = admission.not_for_good(failure)
                if isinstance(error, Unauthenticated) and error.presented:
                    await slow_down.delay(request)
                response = _told(request, error, guard, admission, policies)
            if "Content-Encoding" in request.headers and not request.content.is_eof():
                await _leave_unread(request, response)
            elif isinstance(response, web.Response) and (
                lease.bytes > LARGE or (isinstance(body := response.body, bytes) and len(body) > LARGE)
            ):
                await _send(request, response)
        return response

    return watching(observer, answer)


def _is_probe(request: web.Request) -> bool:
    # Reading the path from the target costs more than all else here.
    return request.raw_path.startswith("/health") and request.path.rstrip("/") in HEALTH_PATHS


def _told(
    request: web.Request, error: Exception, guard: Guard, admission: Admission, policies: Policies
) -> web.Response:
    """The error response. Raises the error itself if the client has left, or if the error is a response."""
    match error:
        case GatewayError():
            admission.refused(error)
            policy = policies.get(request.match_info.route)
            refuse = error_response if policy is None or policy.refuse is None else policy.refuse
            return refuse(request, error, admission.headers(request, error))
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
    """Send a large response here, where its bytes are still charged to the budget. A reader that takes almost nothing
    is disconnected."""
    size = len(response.body) if isinstance(response.body, bytes) else 0
    writer = await response.prepare(request)
    await response.write_eof()
    # aiohttp refers to a connection's last response until its next request, however long that takes.
    response.body = None
    if writer is None:
        return
    try:
        async with asyncio.timeout(SEND_SECONDS + size / SLOWEST):
            await writer.drain()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()


async def _leave_unread(request: web.Request, response: web.StreamResponse) -> None:
    """Stop inflating an unread body. aiohttp would read it to its end before it takes the connection's next request,
    and three megabytes that inflate to three gigabytes blocked the process for ten seconds. Instead, the connection is
    closed shortly after the response, so that a client that is still sending can read it."""
    response.force_close()
    request.protocol.close()
    request.content.feed_eof()
    await response.prepare(request)
    await response.write_eof()
    if request.transport is not None:
        # Data that arrives now is dropped without inflating it.
        request.transport.resume_reading()
        await asyncio.sleep(LINGER_SECONDS)


def _wrong_method(request: web.Request, error: web.HTTPMethodNotAllowed, guard: Guard) -> web.Response:
    allow = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
    if request.method == "OPTIONS":
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Allow": allow, **guard.preflight(request, allow)})
    return plain_error(request, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": allow})
