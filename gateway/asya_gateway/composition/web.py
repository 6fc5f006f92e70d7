"""Builds the web application from every protocol's routes, and serves it."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from asya_crds.listening import dual_stack_socket, listening
from asya_crds.offloading import Offload
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.catalog import Catalog
from asya_gateway.domain.flow_offers import FlowSource
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.sealing import NoSealing
from asya_gateway.domain.sessions.ports import SessionParts
from asya_gateway.domain.task_offers import TaskSource
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.a2a import routes as a2a
from asya_gateway.protocols.http import front_page, health, malformed, openapi
from asya_gateway.protocols.http.admission import Admission
from asya_gateway.protocols.http.background import BACKGROUND, Background, run_background
from asya_gateway.protocols.http.bad_credentials import BadCredentials
from asya_gateway.protocols.http.callers import REVOKED
from asya_gateway.protocols.http.connections import Runner
from asya_gateway.protocols.http.edge import edge
from asya_gateway.protocols.http.guard import Guard
from asya_gateway.protocols.http.held_requests import HeldRequests
from asya_gateway.protocols.http.keys import (
    ADMISSION,
    BUDGET,
    CATALOG,
    FLOWS,
    HELD,
    LIMITER,
    OFFLOAD,
    READINESS,
    SEALING,
    SETTINGS,
    SLOW_REPORTS,
    STREAMS,
    TASKS,
)
from asya_gateway.protocols.http.limiter import Limiter
from asya_gateway.protocols.http.policies import POLICIES, Policies, undeclared
from asya_gateway.protocols.http.readiness import Readiness
from asya_gateway.protocols.http.sources import PROXIES, Proxies
from asya_gateway.protocols.http.sse import Streams
from asya_gateway.protocols.mcp import routes as mcp
from asya_gateway.protocols.mcp.sessions.identification import SESSIONS
from asya_gateway.protocols.mesh import routes as mesh
from asya_gateway.protocols.mesh.openapi import PATHS as MESH_PATHS
from asya_gateway.protocols.rest import routes as rest
from asya_gateway.protocols.rest.openapi import PATHS as REST_PATHS
from asya_gateway.settings import Mode, Settings
from asya_gateway.telemetry.observer import SILENT, Observer

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 75.0
"""Idle connections are closed after this time. It is longer than the usual minute of load balancers, so that they close
first and no request is sent on a connection that is just being closed."""
BACKLOG = 1024
MAX_HEADER_BYTES = 16 * 1024

Routes = Callable[[web.Application], None]
"""A function that adds routes, and the keys they need, to the application."""


def build_app(
    settings: Settings,
    tasks: Tasks,
    flows: FlowRegistry,
    more: Iterable[Routes] = (),
    observer: Observer = SILENT,
    offload: Offload | None = None,
    budget: Budget | None = None,
    admission: Admission | None = None,
    limiter: Limiter | None = None,
    sessions: SessionParts | None = None,
    delays: BadCredentials | None = None,
) -> web.Application:
    """The web application of this process's mode. `more` adds routes before the ones listed here.

    Its `app[READINESS].started` must be set before anything but /health is answered.
    """
    readiness, guard, budget = Readiness(), Guard(settings), budget or Budget.unbounded()
    admission, policies, limiter = admission or Admission(), Policies(), limiter or Limiter()
    app = web.Application(
        middlewares=[edge(guard, readiness, budget, admission, policies, limiter, observer, delays)],
        client_max_size=settings.max_call_bytes,
    )
    app[SETTINGS], app[TASKS], app[FLOWS], app[READINESS] = settings, tasks, flows, readiness
    app[CATALOG] = Catalog([FlowSource(flows), TaskSource()])
    app[BUDGET] = budget
    app[HELD] = HeldRequests(settings.max_streams, budget, per_caller=settings.max_streams_per_principal)
    app[POLICIES], app[ADMISSION], app[LIMITER] = policies, admission, limiter
    app[REVOKED] = admission.revoked
    app[PROXIES] = Proxies(settings.trusted_proxies)
    app[SLOW_REPORTS] = []
    if sessions is not None:
        app[SESSIONS] = sessions
    app[STREAMS] = Streams(write_timeout=settings.stream_write_timeout, clock=tasks.clock)
    app[OFFLOAD], app[BACKGROUND] = offload or Offload(), Background()
    app[SEALING] = NoSealing()
    app.cleanup_ctx.extend((run_background, _watch_streams, _end_offload))
    app.on_shutdown.append(_drain_streams)

    async def allow_pages(request: web.Request, response: web.StreamResponse) -> None:
        if "Origin" in request.headers:
            response.headers.update(guard.cors(request))

    app.on_response_prepare.append(allow_pages)
    for register in (front_page.register, health.register, *more, *_routes_of(settings.gateway_mode)):
        register(app)
    openapi.register(app, _described(settings.gateway_mode))
    _check_policies(app)
    return app


def _check_policies(app: web.Application) -> None:
    """Refuse to start with a route of which nothing says who may use it."""
    missing = undeclared(app)
    if missing:
        raise RuntimeError(f"routes without a policy: {', '.join(missing)}")


def _routes_of(mode: Mode) -> list[Routes]:
    match mode:
        case Mode.API:
            return [rest.register, mcp.register, a2a.register]
        case Mode.MESH:
            return [mesh.register]
        case Mode.TESTING:
            return [rest.register, mcp.register, a2a.register, mesh.register]


def _described(mode: Mode) -> openapi.Paths:
    match mode:
        case Mode.API:
            return REST_PATHS
        case Mode.MESH:
            return MESH_PATHS
        case Mode.TESTING:
            return openapi.merged(REST_PATHS, MESH_PATHS)


async def _watch_streams(app: web.Application) -> AsyncGenerator[None]:
    async with app[STREAMS]:
        yield


async def _end_offload(app: web.Application) -> AsyncGenerator[None]:
    yield
    await app[OFFLOAD].close()


async def _drain_streams(app: web.Application) -> None:
    app[STREAMS].drain()


async def serve(
    app: web.Application,
    parts: AbstractAsyncContextManager[object],
    stop: asyncio.Event,
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Listen, connect `parts` (the database, the queues), serve until `stop`, and drain.

    The port is open before `parts` are connected, so that /health answers from the start. `on_listening` is called with
    the port. Draining: /health/ready answers 503, requests are accepted for drain_delay more, then the port closes,
    streams end with a comment so that their readers connect elsewhere, and requests in flight have drain_timeout to
    finish. `parts` are closed last. Raises CannotListen.
    """
    settings, readiness = app[SETTINGS], app[READINESS]
    runner = _runner(app, settings.drain_timeout)
    logging.getLogger("aiohttp.server").addFilter(malformed.quiet)
    await runner.setup()
    try:
        await _listen(runner, settings.gateway_host, settings.gateway_port)
        port: int = runner.addresses[0][1]
        log.info("listening on %s:%s, mode %s", settings.gateway_host, port, settings.gateway_mode)
        if on_listening is not None:
            on_listening(port)
        async with parts:
            readiness.started = True
            try:
                await stop.wait()
                readiness.draining = True
                await asyncio.sleep(settings.drain_delay)
            finally:
                readiness.closing = True
                await runner.cleanup()
    finally:
        await runner.cleanup()


def _runner(app: web.Application, drain_timeout: float) -> web.AppRunner:
    return Runner(
        app,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        # aiohttp waits this long for the handler, and the same time again before it cancels it.
        shutdown_timeout=drain_timeout / 2,
    )


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    with listening(("ASYA_GATEWAY_HOST", host), ("ASYA_GATEWAY_PORT", port)):
        both = dual_stack_socket(host, port, BACKLOG)
        if both is not None:
            await web.SockSite(runner, both, backlog=BACKLOG).start()
        else:
            await web.TCPSite(runner, host, port, backlog=BACKLOG).start()


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def first(received: signal.Signals) -> None:
        log.info("%s: draining", received.name)
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, first, each)
    return stop
