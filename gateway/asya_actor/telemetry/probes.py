"""/metrics for Prometheus, /health and /health/ready for probes, on a separate port.

They are served from a thread, because nothing else runs in the program's event loop while a handler is loaded.
"""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from asya_actor.telemetry.metrics import REGISTRY
from asya_crds.front_page import front_page
from asya_crds.listening import dual_stack_socket, listening

log = logging.getLogger(__name__)

TURN_WITHIN = 2.0
"""Seconds within which the program's event loop must respond to be alive; probes wait for three."""


@asynccontextmanager
async def probes(
    host: str,
    port: int,
    ready: Callable[[], bool],
    loading: Callable[[], bool] = lambda: False,
    alive: Callable[[], bool] = lambda: True,
    registry: Callable[[], CollectorRegistry] = lambda: REGISTRY,
) -> AsyncIterator[int | None]:
    """Serve while the block runs; yields the port. With port -1 nothing is served. The functions are called from
    another thread. Raises CannotListen."""
    if port < 0:
        yield None
        return
    server = _Server(asyncio.get_running_loop(), ready, loading, alive, registry)
    thread = threading.Thread(target=server.run, args=(host, port), name="probes", daemon=True)
    thread.start()
    try:
        taken = await asyncio.wrap_future(server.port)
        log.info("metrics and probes on port %d", taken)
        yield taken
    finally:
        server.stop()
        await asyncio.to_thread(thread.join, 5)


FRONT_PAGE = front_page(
    "This is a worker of asya, which takes its calls from a queue and none over HTTP.",
    "Probes ask /health and /health/ready; Prometheus reads /metrics.",
    "docs/observability.md",
)


class _Server:
    """Serves the probes in a separate event loop; `loop` is the program's event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ready: Callable[[], bool],
        loading: Callable[[], bool],
        alive: Callable[[], bool],
        registry: Callable[[], CollectorRegistry],
    ) -> None:
        self.port: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._program, self._ready, self._loading = loop, ready, loading
        self._alive, self._registry = alive, registry
        self._own: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def run(self, host: str, port: int) -> None:
        """The thread."""
        try:
            asyncio.run(self._serve(host, port))
        except Exception as error:  # noqa: BLE001 # passed on to the waiting thread
            if not self.port.done():
                self.port.set_exception(error)
            else:
                log.error("probes: %s", error)

    def stop(self) -> None:
        """Make the thread end soon; may be called from another thread."""
        if self._own is not None and self._stopping is not None and not self._own.is_closed():
            self._own.call_soon_threadsafe(self._stopping.set)

    async def _serve(self, host: str, port: int) -> None:
        self._own, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        handlers = {"/metrics": self._metrics, "/health": self._health, "/health/ready": self._health_ready}
        for path, handler in handlers.items():
            app.add_routes([web.get(path, handler), web.get(f"{path}/", handler)])
        app.add_routes([web.get("/", self._front_page)])
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            with listening(("ASYA_METRICS_HOST", host), ("ASYA_METRICS_PORT", port)):
                both = dual_stack_socket(host, port)
                await (web.TCPSite(runner, host, port) if both is None else web.SockSite(runner, both)).start()
            self.port.set_result(runner.addresses[0][1])
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    async def _front_page(self, _request: web.Request) -> web.Response:
        return web.Response(text=FRONT_PAGE)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, request: web.Request) -> web.Response:
        """Alive; with `?probe=startup`, whether everything is loaded."""
        if self._loading():
            starting = request.query.get("probe") == "startup"
            return web.Response(status=503 if starting else 200, text="loading the handler")
        if self._alive() and await self._turns():
            return web.Response(text="OK")
        return web.Response(status=503, text=f"the event loop was blocked for {TURN_WITHIN:g} s")

    async def _turns(self) -> bool:
        turned: concurrent.futures.Future[None] = concurrent.futures.Future()

        def turn() -> None:
            if turned.set_running_or_notify_cancel():
                turned.set_result(None)

        try:
            self._program.call_soon_threadsafe(turn)
            await asyncio.wait_for(asyncio.wrap_future(turned), TURN_WITHIN)
        except (TimeoutError, RuntimeError):
            return False
        return True

    async def _health_ready(self, _request: web.Request) -> web.Response:
        if self._loading():
            return web.Response(status=503, text="loading the handler")
        return web.Response(text="OK") if self._ready() else web.Response(status=503, text="not consuming")
