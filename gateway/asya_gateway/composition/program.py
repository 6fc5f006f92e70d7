"""Assembles the gateway from its settings and runs it until it is stopped."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import replace

from aiohttp import web

from asya_crds.offloading import Offload
from asya_gateway.composition.agent_cards import agent_cards, signing
from asya_gateway.composition.examining import Digesting, Examining, Filling
from asya_gateway.composition.identifying import Identifying
from asya_gateway.composition.limiting import Limiting
from asya_gateway.composition.memory import memory_of
from asya_gateway.composition.observing import Observing
from asya_gateway.composition.pushing import Pushing, pushes
from asya_gateway.composition.web import Routes, build_app, serve, stop_on_signals
from asya_gateway.delivery.dispatcher import Dispatcher
from asya_gateway.domain.backlog import Backlog, Bounds
from asya_gateway.domain.calls import TaskRules
from asya_gateway.domain.flows import FlowRegistry
from asya_gateway.domain.reports import FinalReport
from asya_gateway.domain.tasks import Tasks
from asya_gateway.identity.seal_ring import SealRing
from asya_gateway.protocols.a2a.card_cache import CARDS
from asya_gateway.protocols.a2a.request import CONVERSATION_LISTS, CONVERSATIONS
from asya_gateway.protocols.http import flows_health
from asya_gateway.protocols.http.bad_credentials import BadCredentials
from asya_gateway.protocols.http.keys import FLOWS_REPORT, HELD, REGISTRY, SEALING, STREAMS
from asya_gateway.protocols.mesh import registry_routes
from asya_gateway.registry.registrar import Registrar
from asya_gateway.registry.watch import RegistryWatch
from asya_gateway.settings import Mode, Settings
from asya_gateway.storage.a2a.conversations import PostgresConversations
from asya_gateway.storage.a2a.lists import PostgresConversationLists
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.seal_keys import PostgresSealKeys
from asya_gateway.storage.queues.backlog import PostgresBacklog
from asya_gateway.storage.queues.counting import OutboxCounting, QueueCounting
from asya_gateway.storage.queues.outbox import PostgresOutbox
from asya_gateway.storage.queues.undeclared import Undeclared
from asya_gateway.storage.registry.store import PostgresRegistry
from asya_gateway.storage.store import Keeping, Storage
from asya_gateway.storage.tasks.creating import OUTBOX_LEASE, Enqueue, into_outbox, into_queue
from asya_gateway.storage.tasks.noting import Notes
from asya_gateway.storage.tasks.pausing import PauseLimits
from asya_schemas.compiling import compile_schema
from asya_transports.description import TransportSettings, largest_call
from asya_transports.known import describe
from asya_transports.opening import open_transport
from asya_transports.postgres.notifier import Notifier


class Gateway:
    """The parts of one process, created from settings and connected.

    Raises TracingUnavailable if traces are enabled and OpenTelemetry's SDK is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.observing = Observing(settings)
        self._memory = memory_of(settings)
        self.budget = self._memory.budget
        self.database = Database(
            settings.database_url,
            min_size=settings.db_min_conns,
            max_size=settings.db_max_conns,
            statement_timeout=settings.db_statement_timeout,
            pooled=settings.database_pooling == "transaction",
            direct_url=settings.database_direct_url,
        )
        self._queues = settings.queues
        self.offload = Offload()
        self.dispatcher = self._dispatcher()
        self.limiting = Limiting(settings, self.database, counted=self._memory.counted)
        self.flows = FlowRegistry()
        self.storage = self._storage()
        self.backlog = Backlog()
        self.measuring = self._measuring()
        self.identifying = Identifying(settings, self.storage, cache=self._memory.cache, counted=self._memory.counted)
        self.tasks = self._tasks()
        registry = PostgresRegistry(self.database, self.storage.bell, self.offload)
        self.registrar = Registrar(registry, self.offload, self.identifying.audit)
        self.watch = self._watch(registry)
        self.cards = agent_cards(self.flows, settings)
        self.sealing = SealRing(settings.seal_keys, PostgresSealKeys(self.database), self.storage.clock)
        self.pushing = self._pushing() if pushes(settings) else None
        self.observing.watch(
            self.storage, self.flows, self.dispatcher, self.budget, self.identifying.audit, self.backlog
        )
        if self.pushing is not None:
            self.observing.watch_deliveries(self.pushing.host)

    def _storage(self) -> Storage:
        settings = self.settings
        return Storage(
            self.database,
            self._enqueue(),
            limits=_limits(settings),
            keeping=_keeping(settings),
            ended=self.observing.metrics.ended,
            longest_statement=settings.db_statement_timeout,
            claim_lease=settings.claim_lease,
            budget=self.budget,
            namespace=settings.namespace,
            pauses=self._pause_limits,
            cache=self._memory.cache,
        )

    def _tasks(self) -> Tasks:
        return Tasks(
            self.storage.tasks,
            self.storage.feed,
            self.storage.fly,
            replace(
                _rules(self.settings, self._queues),
                flow_rate=self.limiting.flows,
                backlog=self.backlog,
            ),
            compile_schema,
            self.observing.metrics,
            examine=Examining(self.offload),
            fill=Filling(self.offload),
            digest=Digesting(self.offload),
            clock=self.storage.clock,
            audit=self.identifying.audit,
            check_flow=self.flows.check,
            resources=self.storage.resources,
        )

    def _measuring(self) -> PostgresBacklog:
        """Only processes that accept calls measure, so that one value of the bounds is in force."""
        settings, database = self.settings, self.database
        bounds = Bounds(settings.outbox_rows, settings.outbox_rows_per_actor)
        in_database = self.dispatcher is None
        counting = QueueCounting(database, settings.namespace) if in_database else OutboxCounting(database)
        return PostgresBacklog(
            database,
            self.storage.bell,
            self.backlog,
            counting,
            None if settings.gateway_mode is Mode.MESH else bounds,
            name=settings.pod_name,
            tell=Undeclared(database, settings.namespace, self._note).tell if in_database else None,
        )

    def _pushing(self) -> Pushing:
        return Pushing(
            self.settings,
            self.storage,
            self.tasks,
            self.identifying,
            self.sealing,
            budget=self.budget,
            cache=self._memory.cache,
            observer=self.observing.metrics,
        )

    def _watch(self, registry: PostgresRegistry) -> RegistryWatch:
        settings = self.settings
        return RegistryWatch(
            registry,
            self.flows,
            self.offload,
            pod=settings.pod_name,
            mode=settings.gateway_mode,
            is_open=not self.identifying.closed,
            config_path="" if settings.gateway_mode is Mode.MESH else settings.config_path,
            poll_interval=settings.config_poll_interval,
            backlog=self.backlog,
        )

    def _pause_limits(self) -> PauseLimits:
        flows = self.flows.table.flows.values()
        own = {each.flow.name: each.flow.max_pause for each in flows if each.flow.max_pause is not None}
        return PauseLimits(self.settings.max_pause, own, known=self.watch.caught_up)

    def _dispatcher(self) -> Dispatcher | None:
        """None if the queue row is written in the task's own transaction."""
        if describe(self.settings.transport).in_database:
            return None
        transport = open_transport(self._queues, self.settings.namespace)
        spans = self.observing.metrics.spans
        outbox = PostgresOutbox(self.database, self._note)
        return Dispatcher(
            outbox,
            transport,
            self._finish,
            lease=OUTBOX_LEASE,
            spans=spans,
            budget=self.budget,
            offload=self.offload,
        )

    async def _finish(self, report: FinalReport) -> None:
        await self.storage.tasks.finish(report)

    async def _note(self, notes: Notes) -> None:
        await self.storage.tasks.note(notes)

    def _enqueue(self) -> Enqueue:
        if self.dispatcher is not None:
            return into_outbox(self.dispatcher.hand_over)
        notifier = Notifier(self.database.hot.connection, self.settings.namespace)
        return into_queue(self.settings.namespace, notifier.ring)

    def web(self, more: Iterable[Routes] = ()) -> web.Application:
        """The web application of this process's mode."""
        routes = (*self._registry_routes(), *self.identifying.routes(), *more)
        app = build_app(
            self.settings,
            self.tasks,
            self.flows,
            routes,
            self.observing.metrics,
            self.offload,
            self.budget,
            self.identifying.admission(),
            self.limiting.limiter(),
            self.storage.sessions.parts,
            BadCredentials(most_bytes=self._memory.counted),
        )
        app[REGISTRY], app[FLOWS_REPORT] = self.registrar, self.watch.report
        app[SEALING] = self.sealing
        app[CARDS] = self.cards
        app[CONVERSATIONS] = PostgresConversations(self.database.hot)
        app[CONVERSATION_LISTS] = PostgresConversationLists(self.database)
        if self.pushing is not None:
            self.pushing.install(app)
        self.observing.streams = lambda: len(app[STREAMS])
        self.observing.held = lambda: len(app[HELD])
        self.identifying.on_revoked(app[HELD].revoke)
        self.identifying.on_revoked(self.storage.sessions.revoke)
        return app

    def _registry_routes(self) -> list[Routes]:
        pushed = [] if self.settings.gateway_mode is Mode.API else [registry_routes.register]
        return [flows_health.register, *pushed]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Runs everything except the web application, from connecting to closing."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.observing.running())
            stack.push_async_callback(self.storage.stop)
            await self.storage.start()
            await stack.enter_async_context(self.identifying.running())
            await stack.enter_async_context(self.limiting.running())
            stack.push_async_callback(self.measuring.stop)
            await self.measuring.start()
            stack.push_async_callback(self.watch.stop)
            await self.watch.start()
            self.identifying.tell(self.flows.table)
            await stack.enter_async_context(signing(self.cards, self.settings))
            if self.dispatcher is not None:
                stack.push_async_callback(self.dispatcher.stop)
                await self.dispatcher.start()
            if self.pushing is not None:
                await stack.enter_async_context(self.pushing.running())
            yield


async def run(
    settings: Settings, *, stop: asyncio.Event | None = None, listening: Callable[[int], None] | None = None
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`. `listening` is called with the port once it is open.

    The caller configures logging (observing.start_logs). Raises TracingUnavailable if traces are enabled and
    OpenTelemetry's SDK is not installed.
    """
    gateway = Gateway(settings)
    await serve(gateway.web(), gateway.running(), stop or stop_on_signals(), listening)


def _rules(settings: Settings, queues: TransportSettings) -> TaskRules:
    return TaskRules(
        mesh_url=settings.mesh_url or f"http://127.0.0.1:{settings.gateway_port}",
        default_timeout=settings.default_timeout,
        max_envelope=largest_call(queues.max_message_bytes),
        bytes_of=describe(queues.name).bytes_of,
        transport=queues.name,
        caller_claims=frozenset(settings.caller_claims),
        owner_cap=settings.max_open_tasks_per_owner or None,
        flow_cap=settings.max_open_tasks_per_flow or None,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        batch_rows=settings.batch_rows,
        batch_bytes=settings.batch_bytes,
        waiting_rows=settings.waiting_rows,
        waiting_bytes=settings.waiting_bytes,
    )


def _keeping(settings: Settings) -> Keeping:
    return Keeping(
        tasks=settings.retention_tasks,
        updates=settings.retention_updates,
        child_grace=settings.child_grace,
        audit=settings.retention_audit,
    )
