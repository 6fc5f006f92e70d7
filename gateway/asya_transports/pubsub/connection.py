"""The gRPC channel to Pub/Sub, opened at its first use, and the generated clients on it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import google.auth
import grpc
import grpc.aio
from google.auth.credentials import Credentials
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient, SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport, SubscriberGrpcTransport

from asya_transports.port import TransportUnavailable
from asya_transports.pubsub.errors import service_errors
from asya_transports.pubsub.settings import PubSubSettings

SERVICE = "pubsub.googleapis.com:443"
SCOPES = ("https://www.googleapis.com/auth/pubsub",)
CALL_WITHIN = 5.0
"""Seconds of one call, unless it says otherwise."""
CREDENTIALS_WITHIN = 10.0
"""Seconds for finding the credentials, which may ask the metadata server."""

OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", -1),  # the service has limits of its own
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2_000),  # also the time that one attempt to connect has
    ("grpc.max_reconnect_backoff_ms", 5_000),
]

Result = TypeVar("Result")


class GeneratedClients:
    """The generated clients of one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
        self.subscriber = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))


class Connection:
    """Belongs to the event loop of its first use. The channel reconnects by itself; a call fails while it cannot."""

    def __init__(self, settings: PubSubSettings) -> None:
        self._settings = settings
        self._clients: GeneratedClients | None = None
        self._credentials: Credentials | None = None
        self._opening = asyncio.Lock()

    async def clients(self) -> GeneratedClients:
        """The clients. Raises TransportUnavailable if there are no credentials."""
        if self._clients is None:
            async with self._opening:
                if self._clients is None:
                    self._clients = GeneratedClients(await self._channel())
        return self._clients

    async def call(
        self,
        method: Callable[[GeneratedClients], Callable[..., Awaitable[Result]]],
        request: object,
        within: float = CALL_WITHIN,
    ) -> Result:
        """The answer to one call, which is not repeated. Raises TransportUnavailable and its kinds (errors.py)."""
        clients = await self.clients()
        with service_errors():
            return await method(clients)(request=request, retry=None, timeout=within)

    def blocking_subscriber(self) -> SubscriberClient:
        """A client for another thread, on a channel of its own. Only after `clients`."""
        if self._settings.endpoint:
            channel = grpc.insecure_channel(self._settings.endpoint, options=OPTIONS)
        else:
            channel = SubscriberGrpcTransport.create_channel(SERVICE, credentials=self._credentials, options=OPTIONS)
        return SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))

    async def close(self) -> None:
        """Disconnect."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.channel.close()

    async def _channel(self) -> grpc.aio.Channel:
        if self._settings.endpoint:
            return grpc.aio.insecure_channel(self._settings.endpoint, options=OPTIONS)
        # In a thread: it reads files and asks the metadata server.
        finding = asyncio.to_thread(google.auth.default, scopes=SCOPES)
        try:
            async with asyncio.timeout(CREDENTIALS_WITHIN):
                with service_errors():
                    self._credentials, _ = await finding
        except TimeoutError:
            raise TransportUnavailable(f"no credentials for Pub/Sub within {CREDENTIALS_WITHIN:g} s") from None
        return SubscriberGrpcAsyncIOTransport.create_channel(SERVICE, credentials=self._credentials, options=OPTIONS)
