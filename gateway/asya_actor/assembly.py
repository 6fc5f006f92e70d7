"""Builds the consumers: one for each actor, five for the crew, all with one transport and one HTTP session."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from asya_actor.consuming import Consumer
from asya_actor.crew.dead_letters import dead_letter
from asya_actor.crew.hooks import Hooks, ended
from asya_actor.crew.member import Crew, reading
from asya_actor.crew.pause import pause
from asya_actor.crew.resume import resume
from asya_actor.crew.sink import sink
from asya_actor.crew.sump import sump
from asya_actor.envelopes import EnvelopeReader
from asya_actor.handlers.loading import Handler
from asya_actor.handlers.threads import HandlerThreads
from asya_actor.hop import ActorRuntime, Hop
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.urls import GatewayUrls
from asya_actor.publishing import RetryingPublisher
from asya_actor.sending import Onward
from asya_actor.settings import CrewSettings, WorkerSettings
from asya_actor.telemetry.logs import logging_about
from asya_actor.telemetry.tracing import no_span, spans
from asya_crds.envelope import Envelope
from asya_crds.naming import PAUSE, RESUME
from asya_transports.port import Delivery, Transport

DEAD_LETTERS = "dead-letters"
"""The name of the fifth crew member in logs and metrics; its queue is the namespace's dead-letter queue."""


@dataclass
class Assembly:
    """The parts shared by the consumers of one process."""

    transport: Transport
    client: MeshClient = field(default_factory=MeshClient)
    reader: EnvelopeReader = field(default_factory=EnvelopeReader)

    async def close(self) -> None:
        """Close the HTTP session, and end the process that decodes large messages."""
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
            span=spans(name) if settings.otel_enabled else no_span,
        )

        async def work(delivery: Delivery) -> str:
            return await Hop(actor, delivery).run()

        source = self._queue(name, settings.actor_concurrency)
        consumer = Consumer(
            name, source, about(name, work), settings.actor_concurrency, settings.actor_shutdown_timeout
        )
        return consumer, actor

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
            Consumer(name, self._queue(name, count), about(name, reading(work, self.reader)), count, grace)
            for name, work in works
        ]

        async def to_dead_letters(delivery: Delivery) -> str:
            return await dead_letter(crew, delivery, self.reader)

        work = about(DEAD_LETTERS, to_dead_letters)
        return [
            *members,
            Consumer(DEAD_LETTERS, self._dead_letters(count), work, count, grace, gives_back=False),
        ]

    def _onward(self, settings: WorkerSettings | CrewSettings) -> Onward:
        patient = frozenset({settings.actor_sink, settings.actor_sump})
        publisher = RetryingPublisher(self.transport, settings.unroutable_timeout, patient)
        return Onward(self.client, publisher, settings.actor_sink, settings.actor_sump)

    def _queue(self, name: str, prefetch: int) -> Callable[[], AbstractAsyncContextManager[AsyncGenerator[Delivery]]]:
        return lambda: self.transport.receive(name, prefetch=prefetch)

    def _dead_letters(self, prefetch: int) -> Callable[[], AbstractAsyncContextManager[AsyncGenerator[Delivery]]]:
        return lambda: self.transport.receive_dead_letters(prefetch=prefetch)


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


def about(name: str, work: Callable[[Delivery], Awaitable[str]]) -> Callable[[Delivery], Awaitable[str]]:
    """The work with the actor's name in every log line. The code that reads the envelope adds task and trace."""

    async def handle(delivery: Delivery) -> str:
        with logging_about(actor=name):
            return await work(delivery)

    return handle
