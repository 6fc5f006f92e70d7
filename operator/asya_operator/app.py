"""Connects the parts of the operator. One process leads at a time; the others stand by, ready."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import kopf
from typing_extensions import override

from asya_crds.masking import masked
from asya_crds.readable import readable
from asya_operator.cluster.connection import connect
from asya_operator.cluster.election import LOST, Election
from asya_operator.cluster.mesh import RegistryClient
from asya_operator.cluster.objects import KubernetesCluster
from asya_operator.cluster.queues import TransportQueues
from asya_operator.cluster.rest import Rest
from asya_operator.domain.errors import Superseded
from asya_operator.domain.health import Health
from asya_operator.domain.lease import LeaseTimes
from asya_operator.domain.ports import WatchedKind
from asya_operator.domain.resources.common import Surroundings
from asya_operator.handlers.watching import KopfWatches
from asya_operator.metrics import OperatorMetrics
from asya_operator.probes import serve_probes
from asya_operator.reconcilers.actors import Actors
from asya_operator.reconcilers.registry_pusher import PushTiming, RegistryPusher
from asya_operator.reconcilers.sources import Sources
from asya_operator.reconcilers.statuses import StatusWriter
from asya_operator.settings import OperatorSettings
from asya_transports.description import TransportSettings
from asya_transports.driver_logs import quiet_drivers
from asya_transports.known import describe, transport_settings
from asya_transports.opening import open_transport
from asya_transports.port import Transport

log = logging.getLogger(__name__)


class ReadableLines(logging.Formatter):
    """Escapes control characters in names and messages from outside, so that a terminal does not obey them, and hides
    credentials."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """The record with its traceback."""
        return readable(masked(super().format(record)))


def main(settings: OperatorSettings | None = None) -> int:
    """Run until SIGTERM; returns the exit code of the process (3 if the lease was lost). Raises NoCluster,
    TransportSettingsError, CannotListen."""
    settings = settings or OperatorSettings()
    queues_settings(settings)  # a wrong variable must end a standby at start, not when it becomes leader
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(ReadableLines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[output])
    for name in ("kopf.objects", "kopf._core"):
        logging.getLogger(name).setLevel(logging.WARNING)  # these log a line for each event of each object
    quiet_drivers()
    warn_of_scaling(settings)
    return asyncio.run(run(settings))


async def run(settings: OperatorSettings) -> int:
    """Serve probes, win the election, then work. Raises NoCluster."""
    health, metrics = Health(), OperatorMetrics()
    rest = Rest(await connect())
    runner, _ = await serve_probes(health, metrics, settings.operator_bind, settings.operator_port)
    times = LeaseTimes(settings.lease_duration, settings.lease_renew_deadline, settings.lease_retry_period)
    election = Election(rest, settings.namespace, settings.lease_name, settings.pod_name, health, times)
    stop = _stop_signals()
    code = 0
    try:
        if await _ended_first(election.win(), stop.wait()):
            code = await _lead(settings, rest, health, metrics, election, stop)
    finally:
        health.stopping = True
        await election.release()
        await rest.close()
        await runner.cleanup()
    return code


async def _lead(
    settings: OperatorSettings,
    rest: Rest,
    health: Health,
    metrics: OperatorMetrics,
    election: Election,
    stop: asyncio.Event,
) -> int:
    superseded: list[BaseException] = []
    try:
        async with _work(settings, rest, health, metrics, election) as work:
            kept = asyncio.create_task(election.keep())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((work, kept, stopped), return_when=asyncio.FIRST_COMPLETED)
            for task in (kept, stopped):
                task.cancel()
            if work.done():
                work.result()
    except* Superseded as group:
        superseded += group.exceptions
    if superseded:
        log.error("%s", superseded[0])
        return LOST
    if not stop.is_set():
        log.error("the lease is held by another process now")
        return LOST
    return 0


@contextlib.asynccontextmanager
async def _work(
    settings: OperatorSettings, rest: Rest, health: Health, metrics: OperatorMetrics, election: Election
) -> AsyncIterator[asyncio.Task[None]]:
    cluster = KubernetesCluster(rest, settings.namespace, settings.pod_name)
    made = (WatchedKind.DEPLOYMENTS, WatchedKind.SCALED_OBJECTS) if settings.run_actors else ()
    kinds = (WatchedKind.CONFIGMAPS, WatchedKind.FLOWS, WatchedKind.ACTORS, *made)
    sources = Sources(cluster, health, kinds, settings.resync_interval)
    mesh = RegistryClient(settings.mesh_url)
    statuses = StatusWriter(cluster, sources, wrote=metrics.wrote)
    pace = PushTiming(settings.push_quiet, settings.push_longest, heartbeat=settings.push_heartbeat)
    publisher = RegistryPusher(sources, mesh, statuses, metrics, settings.pod_name, lambda: election.leads, pace)
    watch = KopfWatches(settings.namespace, settings.pod_name, lambda: _login(rest), sources.event, kinds)
    _restart_on_new_kinds(watch, sources)
    queues = TransportQueues(_transport(settings), settings.namespace)
    actors = Actors(
        sources,
        cluster,
        queues,
        _surroundings(settings),
        lambda: election.leads,
        delete_queues=settings.delete_queues,
        reconciled=metrics.reconciled,
    )
    loops = {"sources": sources.run, "publisher": publisher.run}
    if settings.run_actors:
        loops["actors"] = actors.run
    watch.start()
    task = asyncio.create_task(_run_together(loops), name="work")
    try:
        yield task
    finally:
        watch.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task
        await mesh.close()
        await queues.close()


def _restart_on_new_kinds(watch: KopfWatches, sources: Sources) -> None:
    """Kopf discovers the kinds once, at its start. A kind that appears or vanishes later needs new watches."""
    missing = set(sources.missing)

    def kinds_changed(kind: WatchedKind, name: str | None) -> None:
        nonlocal missing
        if sources.missing != missing:
            missing = set(sources.missing)
            watch.restart()

    sources.watch(kinds_changed)


async def _run_together(loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, loop in loops.items():
            group.create_task(loop(), name=name)


def queues_settings(settings: OperatorSettings) -> TransportSettings | None:
    """Where to declare queues. None if queues need no declaration and the operator has no access to their database.
    Raises TransportSettingsError."""
    description = describe(settings.transport)
    if not settings.run_actors:
        return None
    description.check_operator(os.environ)
    if description.in_database and not description.names_a_place(os.environ):
        return None
    return transport_settings({**os.environ, "ASYA_TRANSPORT": settings.transport})


def warn_of_scaling(settings: OperatorSettings) -> None:
    """Warn at start about what KEDA will not see."""
    description = describe(settings.transport)
    unseen = description.unseen_by_keda(description.visible(os.environ)) if settings.run_actors else ""
    if unseen:
        log.warning("%s (docs/operations.md)", unseen)


def _transport(settings: OperatorSettings) -> Transport | None:
    found = queues_settings(settings)
    return None if found is None else open_transport(found, settings.namespace)


def _surroundings(settings: OperatorSettings) -> Surroundings:
    return Surroundings(
        namespace=settings.namespace,
        transport=settings.transport,
        mesh_url=settings.worker_mesh_url,
        secret=settings.actor_worker_secret,
        service_account=settings.actor_service_account,
        runtime_configmap=settings.actor_runtime_configmap,
        run_as_user=settings.actor_run_as_user,
        variables=describe(settings.transport).visible(os.environ),
    )


def _login(rest: Rest) -> kopf.ConnectionInfo:
    """Kopf's credentials, from the same source as ours. Kopf asks for them again after each 401."""
    return kopf.ConnectionInfo(
        server=rest.configuration.host or "",
        ca_path=rest.configuration.ssl_ca_cert,
        insecure=not rest.configuration.verify_ssl,
        token=rest.token,
        certificate_path=rest.configuration.cert_file,
        private_key_path=rest.configuration.key_file,
    )


def _stop_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _ended_first(wanted: Coroutine[Any, Any, Any], other: Coroutine[Any, Any, Any]) -> bool:
    """Whether the first of the two ended first; the slower one is cancelled."""
    tasks = [asyncio.create_task(wanted), asyncio.create_task(other)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
    return tasks[0] in done
