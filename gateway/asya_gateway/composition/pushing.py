"""Assembles what delivers the changes of tasks: destinations, their channels, and the host that delivers."""

import contextlib
import logging
from collections.abc import AsyncGenerator

from aiohttp import web

from asya_gateway.channels.host import DeliveryHost
from asya_gateway.channels.slots import AT_ONCE, LEASED, LEASED_PER_OWNER
from asya_gateway.composition.identifying import Identifying
from asya_gateway.domain.budget import Budget
from asya_gateway.domain.sealing import Sealing
from asya_gateway.domain.tasks import Tasks
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.outbound.client import OutboundClient
from asya_gateway.outbound.permitting import Allowed
from asya_gateway.outbound.resolving import Resolver
from asya_gateway.protocols.a2a.push.channel import PushChannel
from asya_gateway.protocols.a2a.push.parts import PUSH, PushParts
from asya_gateway.settings import Mode, Settings
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import PostgresDestinations
from asya_gateway.storage.channels.ending import Ending
from asya_gateway.storage.channels.leases import PostgresDeliveries
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.store import Storage
from asya_gateway.telemetry.observer import SILENT, Observer

log = logging.getLogger(__name__)

LOOKUPS, LOOKUPS_PER_OWNER = 64, 8
"""Names that are looked up at the same time, in all and for one owner, since a slow name server must not delay what has
another one, and no owner may have all the threads."""


class Pushing:
    """Push notifications of A2A: what callers register, and its delivery. The client is of its own, so that receivers
    that hang take no connection from anything else. `cache`: bytes of the tasks that are known to have destinations."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        tasks: Tasks,
        identifying: Identifying,
        sealing: Sealing,
        *,
        budget: Budget | None = None,
        cache: int = CACHE_BYTES,
        observer: Observer = SILENT,
        client: OutboundClient | None = None,
    ) -> None:
        self._settings = settings
        self._client = client or _client(settings)
        announcing = DestinationAnnouncements(storage.bell, most_bytes=cache)
        destinations = PostgresDestinations(storage.database, announcing)
        self._ending = Ending(destinations)
        self._parts = PushParts(destinations, self._client, sealing, identifying.audit)
        channel = PushChannel(self._client, sealing, storage.clock)
        budget = budget or Budget.unbounded()
        queue = PostgresDeliveries(
            storage.database,
            announcing,
            channels=[channel.name],
            per_host=AT_ONCE,
            per_owner=LEASED_PER_OWNER,
            limits=Limits(waiting_rows=2 * LEASED),
            longest=settings.db_statement_timeout,
            budget=budget,
        )
        self.host = DeliveryHost(
            queue,
            [channel],
            tasks,
            budget=budget,
            clock=storage.clock,
            revoked=identifying.revoked,
            stale=identifying.stale,
            observer=observer,
        )
        identifying.on_revoked(self._ending.revoke)

    def install(self, app: web.Application) -> None:
        """Let the application's callers register destinations."""
        app[PUSH] = self._parts

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Deliver. Storage and identity run around it."""
        if not self._settings.seal_keys:
            log.warning(
                "ASYA_SEAL_KEYS is not set: credentials and tokens of push notifications are sealed with a key that is "
                "in the same database, which does not protect them in a dump of it"
            )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._client.close)
            stack.push_async_callback(self._ending.stop)
            stack.push_async_callback(self.host.stop)
            await self.host.start()
            yield


def pushes(settings: Settings) -> bool:
    """Whether this process has push notifications."""
    return settings.a2a_push and settings.gateway_mode is not Mode.MESH


def _client(settings: Settings) -> OutboundClient:
    allowed = Allowed.of(settings.outbound_allow)
    resolver = Resolver(LOOKUPS, LOOKUPS_PER_OWNER)
    return OutboundClient(allowed, proxy=settings.outbound_proxy, resolver=resolver, connections=LEASED)
