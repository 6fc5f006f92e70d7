"""Probes and metrics, served from the start of the process, also by standbys."""

from aiohttp import web
from prometheus_client import generate_latest

from asya_crds.front_page import front_page
from asya_crds.listening import dual_stack_socket, listening
from asya_operator.domain.health import Health
from asya_operator.metrics import OperatorMetrics

FRONT_PAGE = front_page(
    "This is the operator of asya, which is told what to do by resources of Kubernetes and not over HTTP.",
    "Probes ask /healthz and /readyz; Prometheus reads /metrics.",
    "docs/operations.md",
)


async def serve_probes(health: Health, metrics: OperatorMetrics, bind: str, port: int) -> tuple[web.AppRunner, int]:
    """Listen; returns the runner to close and the port (a free one if `port` is 0). Raises CannotListen."""
    app = web.Application()

    async def ready(_request: web.Request) -> web.Response:
        return _ready(health)

    async def measured(_request: web.Request) -> web.Response:
        return _metrics(health, metrics)

    for path, handler in (("/healthz", _alive), ("/readyz", ready), ("/metrics", measured)):
        app.add_routes([web.get(path, handler), web.get(f"{path}/", handler)])
    app.add_routes([web.get("/", _front_page)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    with listening(("ASYA_OPERATOR_BIND", bind), ("ASYA_OPERATOR_PORT", port)):
        both = dual_stack_socket(bind, port)
        await (web.TCPSite(runner, bind, port) if both is None else web.SockSite(runner, both)).start()
    return runner, int(runner.addresses[0][1])


async def _front_page(_request: web.Request) -> web.Response:
    return web.Response(text=FRONT_PAGE)


async def _alive(_request: web.Request) -> web.Response:
    """The event loop responds. A liveness probe must not check more."""
    return web.Response(text="OK\n")


def _ready(health: Health) -> web.Response:
    reasons = health.reasons()
    if reasons:
        return web.Response(status=503, text="\n".join(reasons) + "\n")
    return web.Response(text="leading\n" if health.leading else "standing by\n")


def _metrics(health: Health, metrics: OperatorMetrics) -> web.Response:
    metrics.leading.set(1 if health.leading else 0)
    metrics.denied.clear()
    for resource in health.denied:
        metrics.denied.labels(resource).set(1)
    return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": "text/plain; version=0.0.4"})
