"""Builds the consumers: one for each actor, five for the crew, all with one transport and one HTTP session."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from asya_actor.consuming import Consumer, Source, Work
from asya_actor.crew.announcing import Announcement
from asya_actor.crew.dead_letters import dead_letter
from asya_actor.crew.hooks import Hooks, ended
from asya_actor.crew.member import Crew, reading
from asya_actor.crew.pause import pause
from asya_actor.crew.resume import resume
from asya_actor.crew.sink import sink
from asya_actor.crew.sump import sump
from asya_actor.envelopes import EnvelopeReader
from asya_actor.handlers.loading import Handler, is_async
from asya_actor.handlers.threads import HandlerThreads
from asya_actor.hop import Hop
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.lives import ReportLines, queues_text
from asya_actor.mesh.urls import GatewayUrls
from asya_actor.publishing import RetryingPublisher
from asya_actor.runtime import ActorRuntime
from asya_actor.sending import Onward
from asya_actor.settings import CrewSettings, WorkerSettings
from asya_actor.slots import Slot
from asya_actor.telemetry.logs import log_about
from asya_actor.telemetry.tracing import no_span, spans
from asya_crds.envelope import Envelope
from asya_crds.naming import PAUSE, RESUME
from asya_transports.port import Delivery, Prefetch, Transport

log = logging.getLogger(__name__)

ASYNC_CONCURRENCY = 64
"""Messages that an async handler processes at a time by default."""
DEAD_LETTERS = "dead-letters"
"""The name of the fifth crew member in logs and metrics; its queue is the namespace's dead-letter queue."""


@dataclass
class Assembly:
    """The parts shared by the consumers of one process."""

    transport: Transport
    place: str = ""
    """Where the transport keeps its queues (TransportSettings.place)."""
    client: MeshClient = field(default_factory=MeshClient)
    reader: EnvelopeReader = field(default_factory=EnvelopeReader)
    lines: ReportLines = field(init=False)

    def __post_init__(self) -> None:
        self.lines = ReportLines(self.client)

    async def close(self) -> None:
        """Stop requests under way, close the HTTP session, and end the process that decodes large messages."""
        await self.lines.close()
        await self.client.close()
        await self.reader.close()

    def actor(self, settings: WorkerSettings, handler: Handler) -> tuple[Consumer, ActorRuntime]:
        """The consumer of one actor, which calls this handler."""
        name = settings.actor_name
        actor = ActorRuntime(
            name=name,
            handler=handler,
            resiliency=settings.resiliency,
            timeout=settings.resiliency_actor_timeout,
            cancel_timeout=settings.actor_cancel_timeout,
            threads=HandlerThreads(name),
            client=self.client,
            reader=self.reader,
            urls=GatewayUrls(settings.gateway_url, settings.gateway_url_allowed),
            onward=self._onward(settings),
            lines=self.lines,
            queues=queues_text(
                transport=self.transport.name,
                namespace=settings.namespace,
                place=self.place,
                sink=settings.actor_sink,
                sump=settings.actor_sump,
                unroutable_seconds=settings.unroutable_timeout,
            ),
            span=spans(name) if settings.otel_enabled else no_span,
        )

        async def work(delivery: Delivery, slot: Slot) -> str:
            return await Hop(actor, delivery, slot).run()

        source, count = self._queue(name), concurrency_of(settings, handler)
        return Consumer(name, source, about(name, work), count, settings.actor_shutdown_timeout), actor

    def crew(self, settings: CrewSettings) -> list[Consumer]:
        """The consumers of the crew's four queues and of the dead letters."""
        crew = Crew(
            self.client, GatewayUrls(settings.gateway_url, settings.gateway_url_allowed), self._onward(settings)
        )
        # Do not wait for a hook whose queue is missing or full, because the end of other tasks would wait too.
        publisher = RetryingPublisher(self.transport, 0.0, frozenset(), hurried=True)
        hooks = Hooks(tuple(settings.sink_hooks), publisher, children=settings.sink_fanout_hooks)
        count, grace = settings.crew_concurrency, settings.actor_shutdown_timeout
        works = _works(crew, hooks, settings)
        members = [
            Consumer(name, self._queue(name), about(name, reading(work, self.reader)), count, grace)
            for name, work in works
        ]

        async def to_dead_letters(delivery: Delivery, _slot: Slot) -> str:
            return await dead_letter(crew, delivery, self.reader)

        work = about(DEAD_LETTERS, to_dead_letters)
        return [
            *members,
            Consumer(DEAD_LETTERS, self._dead_letters, work, count, grace, gives_back=False),
        ]

    def announcement(self, settings: CrewSettings) -> Announcement | None:
        """What tells the configured gateway of this crew; None without one."""
        if not settings.gateway_url:
            return None
        return Announcement(
            self.client, settings.gateway_url, sink=settings.actor_sink, hooks=bool(settings.sink_hooks)
        )

    def _onward(self, settings: WorkerSettings | CrewSettings) -> Onward:
        patient = frozenset({settings.actor_sink, settings.actor_sump})
        publisher = RetryingPublisher(self.transport, settings.unroutable_timeout, patient)
        return Onward(self.client, publisher, settings.actor_sink, settings.actor_sump)

    def _queue(self, name: str) -> Source:
        return lambda prefetch: self.transport.receive(name, prefetch=prefetch)

    def _dead_letters(self, prefetch: Prefetch) -> AbstractAsyncContextManager[AsyncGenerator[Delivery]]:
        return self.transport.receive_dead_letters(prefetch=prefetch)


def _works(
    crew: Crew, hooks: Hooks, settings: CrewSettings
) -> Sequence[tuple[str, Callable[[Envelope], Awaitable[str]]]]:
    """Each member of the crew: the name of its queue, and what it does with an envelope."""

    async def to_sink(envelope: Envelope) -> str:
        return await ended(hooks, envelope, lambda: sink(crew, envelope))

    async def to_sump(envelope: Envelope) -> str:
        return await ended(hooks, envelope, lambda: sump(crew, envelope))

    async def to_pause(envelope: Envelope) -> str:
        return await pause(crew, envelope, settings.pause_metadata)

    async def to_resume(envelope: Envelope) -> str:
        return await resume(crew, envelope, deep=settings.resume_merge_mode == "deep")

    return ((settings.actor_sink, to_sink), (settings.actor_sump, to_sump), (PAUSE, to_pause), (RESUME, to_resume))


def concurrency_of(settings: WorkerSettings, handler: Handler) -> int:
    """How many messages of an actor are processed at a time. An async handler is interrupted by others while it waits,
    which an actor of an earlier version was not; the log says so."""
    if settings.actor_concurrency is not None:
        return settings.actor_concurrency
    if not is_async(handler):
        return 1
    log.info(
        "%s runs up to %d messages at a time; ASYA_ACTOR_CONCURRENCY=1 is the earlier default",
        settings.actor_name,
        ASYNC_CONCURRENCY,
    )
    return ASYNC_CONCURRENCY


def about(name: str, work: Work) -> Work:
    """The work with the actor's name in every log line. The code that reads the envelope adds task and trace."""

    where = {"actor": name}

    async def handle(delivery: Delivery, slot: Slot) -> str:
        log_about(where)  # each message has a task of its own
        return await work(delivery, slot)

    return handle
