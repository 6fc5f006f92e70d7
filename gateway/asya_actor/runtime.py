"""The parts shared by the hops of one actor."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from asya_actor.envelopes import EnvelopeReader
from asya_actor.handlers.loading import Handler
from asya_actor.handlers.threads import HandlerThreads
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.lives import ReportLines
from asya_actor.mesh.urls import GatewayUrls
from asya_actor.resiliency import RetryRules
from asya_actor.sending import Onward
from asya_crds.envelope import Envelope

Span = Callable[[Envelope], AbstractContextManager[dict[str, str]]]
"""A span around a handler call; yields the headers with which the next hop continues the trace."""


@dataclass(frozen=True, slots=True)
class ActorRuntime:
    """The parts shared by the calls of one actor.

    Times are in seconds: `timeout` of a call; `cancel_timeout` of a plain function whose task has ended meanwhile
    (None: the rest of its timeout).
    """

    name: str
    handler: Handler
    resiliency: RetryRules
    timeout: float
    threads: HandlerThreads
    client: MeshClient
    reader: EnvelopeReader
    urls: GatewayUrls
    onward: Onward
    lines: ReportLines
    queues: str
    """The queues of this actor, as reports name them (JSON text)."""
    span: Span
    cancel_timeout: float | None = None
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a handler continues after its time, so that only the end of the process can stop it."""
