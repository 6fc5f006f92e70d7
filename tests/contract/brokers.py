"""The queue systems of the contract suite: their servers, and how a test makes them notice something sooner."""

import asyncio
import os
from abc import ABC, abstractmethod
from typing import ClassVar

import pytest
from typing_extensions import override

from asya_transports.description import TransportSettings
from asya_transports.postgres import receiver as postgres_receiver
from asya_transports.postgres.settings import PostgresSettings
from asya_transports.pubsub import delays as pubsub_delays
from asya_transports.pubsub import receiver as pubsub_receiver
from asya_transports.pubsub.leases import Lease
from asya_transports.pubsub.settings import PubSubSettings
from asya_transports.pubsub.transport import PubSubTransport
from asya_transports.rabbitmq import delays as rabbitmq_delays
from asya_transports.rabbitmq import receiver as rabbitmq_receiver
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.sqs import leases as sqs_leases
from asya_transports.sqs import outgoing as sqs_outgoing
from asya_transports.sqs import receiver as sqs_receiver
from asya_transports.sqs.settings import LARGEST_MESSAGE, SqsSettings
from servers.postgres import PostgresServer
from servers.pubsub import PROJECT, PubSubServer
from servers.rabbitmq import RabbitNode
from servers.sqs import SqsServer

LEASE = 1.5
"""Seconds of the visibility timeout in tests; transports whose broker sees a dead consumer itself have none."""


class Broker(ABC):
    """One queue system of the suite, with a server that runs already."""

    name: ClassVar[str]
    """Its name as a parameter of the suite."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    @abstractmethod
    def settings(self) -> TransportSettings:
        """The settings of a transport with the suite's short leases."""

    @abstractmethod
    def restart(self) -> None:
        """Stop the server, and start it with what it has stored."""

    @abstractmethod
    def look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let consumers check several times a second that their queues exist."""

    def delay_at_most(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the queue system delay no longer than this; for those that declare a longest delay."""
        raise NotImplementedError

    def forget_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let no transport know by its own clock that a lease has expired; for those that have such a clock."""
        raise NotImplementedError

    def as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Undo what the suite adds to the queue system; for those that declare that they do not tell everything."""
        raise NotImplementedError

    def _own(self, variable: str, fixture: str) -> object:
        """The server of this fixture, unless the variable names one that is not ours to restart."""
        if os.environ.get(variable):
            pytest.skip(f"{variable} names a server that is not ours to restart")
        return self._request.getfixturevalue(fixture)


class Postgres(Broker):
    name = "postgres"

    @override
    def settings(self) -> TransportSettings:
        url = self._request.getfixturevalue("database_url")
        return PostgresSettings(url, visibility_timeout=LEASE, poll_interval=0.5)

    @override
    def restart(self) -> None:
        server = self._own("ASYA_TEST_POSTGRES_URL", "postgres_server")
        assert isinstance(server, PostgresServer)
        server.restart()

    @override
    def look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres_receiver, "DECLARE_EVERY", 0.2)


class Rabbit(Broker):
    name = "rabbitmq"

    @override
    def settings(self) -> TransportSettings:
        return RabbitSettings(self._request.getfixturevalue("rabbitmq_vhost_url"))

    @override
    def restart(self) -> None:
        """The virtual host, too, is there after it."""
        node = self._own("ASYA_TEST_RABBITMQ_URL", "rabbitmq_node")
        assert isinstance(node, RabbitNode)
        node.restart()

    @override
    def look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rabbitmq_receiver, "QUEUE_PAUSE", 0.2)

    @override
    def delay_at_most(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        rungs = tuple(rung for rung in rabbitmq_delays.RUNGS if rung <= seconds * 1000)
        monkeypatch.setattr(rabbitmq_delays, "RUNGS", rungs)


class PubSub(Broker):
    """Google's own fake (servers/pubsub.py)."""

    name = "pubsub"

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._server: PubSubServer = request.getfixturevalue("pubsub_server")
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        # Pub/Sub does not tell (test_limits.py), its stand-in does.
        server, self._own_depth = self._server, PubSubTransport.depth

        async def depth(transport: PubSubTransport, actor: str) -> int:
            return await asyncio.to_thread(server.waiting, transport.names.queue(actor))

        monkeypatch.setattr(PubSubTransport, "depth", depth)

    @override
    def settings(self) -> TransportSettings:
        return PubSubSettings(PROJECT, self._server.endpoint, lease=2.0)

    @override
    def restart(self) -> None:
        self._server.restart()

    @override
    def look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pubsub_receiver, "QUEUE_PAUSE", 0.2)

    @override
    def delay_at_most(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pubsub_delays, "LONGEST_DELAY", seconds)

    @override
    def forget_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Lease, "expired", False)

    @override
    def as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PubSubTransport, "depth", self._own_depth)


class Moto(Broker):
    name = "sqs"
    server = "moto_server"
    message_bytes = LARGEST_MESSAGE

    @override
    def settings(self) -> TransportSettings:
        self._request.getfixturevalue("sqs_credentials")
        server: SqsServer = self._request.getfixturevalue(self.server)
        return SqsSettings(endpoint=server.url, visibility_timeout=2, wait_time=1, message_bytes=self.message_bytes)

    @override
    def restart(self) -> None:
        """SQS never loses its queues. The stand-ins do, so they get them back, empty."""
        server = self._request.getfixturevalue(self.server)
        assert isinstance(server, SqsServer)
        queues = server.queues()
        server.restart()
        server.create(queues)

    @override
    def look_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqs_receiver, "QUEUE_PAUSE", 0.2)

    @override
    def delay_at_most(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqs_outgoing, "LONGEST_DELAY", int(seconds))

    @override
    def forget_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqs_leases.Lease, "expired", lambda lease: lease.lost)


class ElasticMq(Moto):
    name = "sqs-elasticmq"
    server = "elasticmq_server"
    message_bytes = 256 * 1024


STAND_INS: tuple[type[Broker], ...] = (ElasticMq,) if os.environ.get("ASYA_TEST_ALL_STAND_INS") == "1" else ()
"""More than one for a transport; `.ci/run` takes all of them."""
BROKERS: tuple[type[Broker], ...] = (Postgres, Rabbit, PubSub, Moto, *STAND_INS)
