"""How the service is reached: no stand-in asks for credentials."""

import threading
from typing import Any

import google.auth
import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from google.pubsub_v1 import types
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from asya_transports.port import TransportUnavailable
from asya_transports.pubsub.connection import SERVICE, Connection
from asya_transports.pubsub.settings import PubSubSettings


async def test_the_service_is_reached_with_the_default_credentials_that_are_found_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found_in: list[threading.Thread] = []
    used: list[tuple[str, object]] = []
    credentials = AnonymousCredentials()
    create = SubscriberGrpcAsyncIOTransport.create_channel

    def default(**_: object) -> tuple[object, str]:
        found_in.append(threading.current_thread())
        return credentials, "another-project"

    def create_channel(host: str, **options: Any) -> Any:
        used.append((host, options["credentials"]))
        return create(host, **options)

    monkeypatch.setattr(google.auth, "default", default)
    monkeypatch.setattr(SubscriberGrpcAsyncIOTransport, "create_channel", create_channel)
    connection = Connection(PubSubSettings("project"))
    clients = await connection.clients()
    assert isinstance(clients.subscriber, SubscriberAsyncClient)
    assert found_in
    assert found_in[0] is not threading.main_thread()
    assert used == [(SERVICE, credentials)]
    assert await connection.clients() is clients
    await connection.close()


async def test_without_credentials_the_service_is_unavailable_and_they_are_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def default(**_: object) -> tuple[object, str]:
        asked.append(None)
        raise DefaultCredentialsError("Your default credentials were not found.")

    monkeypatch.setattr(google.auth, "default", default)
    connection = Connection(PubSubSettings("project"))
    for _ in range(2):
        with pytest.raises(TransportUnavailable, match="no credentials for Pub/Sub: Your default credentials"):
            await connection.clients()
    assert len(asked) == 2


async def test_a_call_on_a_closed_channel_is_unavailable() -> None:
    connection = Connection(PubSubSettings("project", "127.0.0.1:1"))
    clients = await connection.clients()
    await clients.channel.close()
    request = types.DeleteTopicRequest(topic="projects/project/topics/asya-n-worker")
    with pytest.raises(TransportUnavailable, match="closed"):
        await connection.call(lambda clients: clients.publisher.delete_topic, request)
    await connection.close()


async def test_an_emulator_is_reached_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def default(**_: object) -> tuple[object, str]:
        raise AssertionError("nobody asks for credentials")

    monkeypatch.setattr(google.auth, "default", default)
    connection = Connection(PubSubSettings("project", "127.0.0.1:1"))
    await connection.clients()
    await connection.close()
