"""The process's telemetry: which metric is read from which part, and the polling of the database for the rest."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from importlib.metadata import version

from asya_gateway.channels.host import DeliveryHost
from asya_gateway.delivery.dispatcher import Dispatcher
from asya_gateway.domain.backlog import Backlog
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.exposition.logs import configure_logs
from asya_gateway.exposition.metrics import Metrics
from asya_gateway.exposition.otel import open_tracing
from asya_gateway.exposition.readings import Reading, Readings, Value
from asya_gateway.exposition.server import metrics_server
from asya_gateway.identity.auditing import AuditTrail
from asya_gateway.settings import Settings
from asya_gateway.storage.health import Vitals, VitalsReader
from asya_gateway.storage.log.bell_lag import BellLag
from asya_gateway.storage.store import Storage
from asya_gateway.telemetry.spans import Spans
from asya_transports.known import describe
from asya_transports.port import TransportError

log = logging.getLogger(__name__)

POLL_EVERY = 5.0
"""Seconds between two polls of the database, the bell and the event loop."""
LOOP_EVERY = 0.5
"""Seconds between two measurements of how late the event loop wakes."""


def start_logs(settings: Settings) -> None:
    """Configure logging from the settings."""
    configure_logs(settings.log_format, settings.log_level, settings.pod_name)


class Observing:
    """The telemetry of one process. `metrics` is the observer that is passed to the parts.

    Raises TracingUnavailable if traces are enabled and OpenTelemetry's SDK is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        spans = open_tracing(settings.pod_name) if settings.otel_enabled else Spans()
        self.metrics = Metrics(spans)
        self.port: int | None = None
        self.streams: Callable[[], int] = lambda: 0
        """The number of open event streams. The web application's builder sets this and the next one."""
        self.held: Callable[[], int] = lambda: 0
        """The number of requests held open."""
        self._settings = settings
        self.poll_every = POLL_EVERY
        self._vitals: Vitals | None = None
        self._loop_lag = 0.0
        self._dispatcher: Dispatcher | None = None
        self._transport_up: float | None = None

    def watch(
        self,
        storage: Storage,
        flows: FlowRegistry,
        dispatcher: Dispatcher | None,
        budget: Budget,
        audit: AuditTrail,
        backlog: Backlog,
    ) -> None:
        """Read these parts at every scrape from now on. Call it once, before `running`."""
        self._reader = VitalsReader(storage.database, None if dispatcher is not None else self._settings.namespace)
        self._bell_lag = BellLag(storage.bell)
        readings = [
            *self._of_process(),
            *_of_storage(storage),
            *_of_flows(flows),
            *self._of_database(),
            *_of_budget(budget),
            *_of_audit(audit),
            *_of_backlog(backlog),
        ]
        readings.append(Reading("asya_streams_open", "Open event streams.", lambda: self.streams()))
        readings.append(Reading("asya_requests_held", "Requests that wait for a task.", lambda: self.held()))
        readings.append(Reading("asya_bell_lag_seconds", "Time from a ring to hearing it.", self._lag))
        if dispatcher is not None:
            self._dispatcher = dispatcher
            readings += _of_dispatcher(dispatcher)
            up = Reading("asya_transport_up", "1 where the queue system can be reached.", lambda: self._transport_up)
            readings.append(up)
        self.metrics.registry.register(Readings(readings))

    def watch_deliveries(self, host: DeliveryHost) -> None:
        """Read this host, too."""
        self.metrics.serves(host.channels)
        self.metrics.registry.register(Readings(_of_deliveries(host)))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve /metrics and poll. It does not need the database. Raises CannotListen."""
        settings = self._settings
        async with metrics_server(self.metrics.registry, settings.gateway_host, settings.metrics_port) as self.port:
            tasks = [
                asyncio.create_task(self._poll_for_ever(), name="metrics poll"),
                asyncio.create_task(self._ring_for_ever(), name="metrics bell lag"),
                asyncio.create_task(self._watch_loop(), name="metrics loop lag"),
                asyncio.create_task(self._check_for_ever(), name="metrics transport"),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.to_thread(self.metrics.spans.close)

    async def _poll_for_ever(self) -> None:
        while True:
            try:
                self._vitals = await self._reader.read()
            except Unavailable:
                self._vitals = None
            except Exception:
                log.exception("the database's metrics cannot be read")
                self._vitals = None
            await asyncio.sleep(self.poll_every)

    async def _ring_for_ever(self) -> None:
        while True:
            await self._bell_lag.measure()
            await asyncio.sleep(self.poll_every)

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOP_EVERY
            await asyncio.sleep(LOOP_EVERY)
            self._loop_lag = max(0.0, loop.time() - due)

    async def _check_for_ever(self) -> None:
        while (dispatcher := self._dispatcher) is not None:
            try:
                await dispatcher.check()
                self._transport_up = 1.0
            except TransportError:
                self._transport_up = 0.0
            except Exception:
                log.exception("the queue system cannot be reached")
                self._transport_up = 0.0
            await asyncio.sleep(self.poll_every)

    def _lag(self) -> float | None:
        return self._bell_lag.seconds

    def _of_process(self) -> list[Reading]:
        settings = self._settings
        about = {"version": version("asya"), "mode": settings.gateway_mode.value, "transport": settings.transport}
        self.metrics.info(about)
        return [Reading("asya_loop_lag_seconds", "How late the event loop woke last.", lambda: self._loop_lag)]

    def _of_database(self) -> list[Reading]:
        def vital(read: Callable[[Vitals], Value]) -> Callable[[], Value]:
            return lambda: None if self._vitals is None else read(self._vitals)

        found = [
            Reading("asya_database_up", "1 where the last poll was answered.", lambda: float(self._vitals is not None)),
            Reading("asya_outbox_rows", "Envelopes that are not confirmed.", vital(lambda v: v.outbox_rows)),
            Reading("asya_outbox_oldest_seconds", "Age of the oldest of them.", vital(lambda v: v.outbox_age)),
            Reading("asya_notification_queue_ratio", "Used share of the queue.", vital(lambda v: v.notifications)),
            Reading("asya_snapshot_oldest_seconds", "Age of the oldest snapshot.", vital(lambda v: v.snapshot_age)),
            Reading(
                "asya_snapshot_oldest_transactions",
                "Transactions since the oldest snapshot.",
                vital(lambda v: v.snapshot_transactions),
            ),
        ]
        if describe(self._settings.transport).in_database:
            found.append(
                Reading("asya_queue_messages", "Messages in a queue.", vital(lambda v: v.queues), label="actor")
            )
        return found


def _of_storage(storage: Storage) -> list[Reading]:
    waiting = storage.tasks.batches.waiting
    bell, feed, fly, pool = storage.bell, storage.feed, storage.fly, storage.database.usage
    return [
        Reading("asya_writes_waiting", "Writes that wait for a batch.", waiting, label="kind"),
        Reading("asya_followers", "Readers that follow a task or wait for its end.", lambda: feed.followers),
        Reading("asya_fly_sent", "Live events sent.", lambda: fly.sent, "counter"),
        Reading("asya_fly_dropped", "Live events dropped.", lambda: feed.fly_dropped, "counter"),
        Reading("asya_bell_connected", "1 while listening.", lambda: float(bell.connected)),
        Reading("asya_bell_connects", "Number of connects of the listener.", lambda: bell.connects, "counter"),
        Reading("asya_database_pool_size", "Open connections.", lambda: pool().size),
        Reading("asya_database_pool_idle", "Idle connections.", lambda: pool().idle),
        Reading("asya_database_pool_max", "Connections that may be open.", lambda: pool().largest),
        Reading("asya_database_pool_waiting", "Waiters for a connection.", lambda: pool().waiting),
    ]


def _of_budget(budget: Budget) -> list[Reading]:
    return [
        Reading("asya_memory_budget_bytes", "Limit of the bytes of all bodies.", lambda: budget.total),
        Reading("asya_memory_held_bytes", "Bytes of all bodies now.", budget.held, label="share"),
        Reading("asya_memory_waiting", "Waiters for bytes.", budget.waiting, label="share"),
        Reading(
            "asya_memory_refused",
            "Requests rejected because the budget was used up.",
            lambda: budget.refused,
            "counter",
        ),
    ]


def _of_audit(audit: AuditTrail) -> list[Reading]:
    return [
        Reading("asya_audit_waiting", "Records that wait to be stored.", lambda: audit.waiting),
        Reading("asya_audit_lost", "Records that were logged but not stored.", lambda: audit.lost, "counter"),
    ]


def _of_backlog(backlog: Backlog) -> list[Reading]:
    def unroutable() -> dict[str, float]:
        return {actor: missing.messages for actor, missing in backlog.figures.unroutable.items()}

    def full() -> dict[str, float]:
        return dict.fromkeys(backlog.figures.full, 1.0)

    return [
        Reading("asya_outbox_unroutable", "Messages whose queue is missing.", unroutable, label="actor"),
        Reading("asya_outbox_full", "1 for an actor for which too many messages wait.", full, label="actor"),
        Reading("asya_calls_refused", "Calls refused: too many wait.", lambda: backlog.refused, "counter"),
    ]


def _of_flows(flows: FlowRegistry) -> list[Reading]:
    return [
        Reading("asya_registry_generation", "Generation served.", lambda: flows.table.generation),
        Reading("asya_registry_flows", "Flows served.", lambda: len(flows.table.flows)),
        Reading("asya_registry_problems", "Flows not served.", lambda: len(flows.table.problems)),
    ]


def _of_deliveries(host: DeliveryHost) -> list[Reading]:
    return [
        Reading("asya_deliveries_leased", "Destinations that this process delivers to now.", lambda: host.leased),
        Reading("asya_deliveries_lagging", "Destinations that lack entries of a log.", lambda: host.lagging),
        Reading("asya_deliveries_oldest_seconds", "Age of the oldest such entry.", lambda: host.oldest),
    ]


def _of_dispatcher(dispatcher: Dispatcher) -> list[Reading]:
    return [
        Reading("asya_dispatcher_published", "Envelopes confirmed.", lambda: dispatcher.published, "counter"),
        Reading("asya_dispatcher_refused", "Envelopes refused.", lambda: dispatcher.refused, "counter"),
        Reading("asya_dispatcher_waiting", "Envelopes in memory.", lambda: dispatcher.waiting),
    ]
