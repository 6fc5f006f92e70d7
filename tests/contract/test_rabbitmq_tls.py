"""The transport over amqps, as its URL says it, with certificates of an authority of the test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from asya_transports.port import Queue, TransportUnavailable
from asya_transports.rabbitmq.settings import RabbitSettings
from asya_transports.rabbitmq.transport import RabbitTransport
from servers.certificates import Authority, Identity
from servers.rabbitmq import RabbitNode
from tests.contract.transport_harness import message, publish, take_one

pytestmark = pytest.mark.timeout(120)


class Broker:
    """A node that is reached by TLS, and by clients with a certificate alone."""

    def __init__(self, node: RabbitNode, authority: Authority, client: Identity, stranger: Authority) -> None:
        self.node = node
        self.stranger = stranger
        self._shown = {"certfile": client.certificate, "keyfile": client.key}
        self._trusted = {"cafile": authority.file}

    def url(self, **changes: object) -> str:
        """An URL with everything that is needed, or with what the test wants instead; None leaves out."""
        parameters = {**self._trusted, **self._shown, **changes}
        query = urlencode({name: value for name, value in parameters.items() if value is not None})
        return f"amqps://guest:guest@127.0.0.1:{self.node.tls_port}/tls?{query}"


@pytest.fixture(scope="module")
def broker(
    rabbitmq_node: RabbitNode, rabbitmq_authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    stranger = Authority(tmp_path_factory.mktemp("strange"), "stranger")
    rabbitmq_node.create_vhost("tls")
    yield Broker(rabbitmq_node, rabbitmq_authority, rabbitmq_authority.issue("client"), stranger)
    rabbitmq_node.delete_vhost("tls")


@pytest.fixture
async def opened() -> AsyncIterator[list[RabbitTransport]]:
    """What the test opens is closed with it."""
    transports: list[RabbitTransport] = []
    yield transports
    for transport in transports:
        await transport.close()


def open_at(url: str, opened: list[RabbitTransport]) -> RabbitTransport:
    transport = RabbitTransport(RabbitSettings(url), "ns")
    opened.append(transport)
    return transport


async def test_messages_travel_over_tls(broker: Broker, opened: list[RabbitTransport]) -> None:
    transport = open_at(broker.url(), opened)
    await transport.declare(Queue("worker"))
    await publish(transport, "secret")
    assert await take_one(transport) == ("secret", 1)
    assert await transport.depth("worker") == 0


async def test_a_broker_that_is_not_verified_is_talked_to_where_the_url_says_so(
    broker: Broker, opened: list[RabbitTransport]
) -> None:
    transport = open_at(broker.url(cafile=None, no_verify_ssl=1), opened)
    await transport.declare(Queue("trusting"))
    await publish(transport, "x", actor="trusting")
    assert await take_one(transport, "trusting") == ("x", 1)


async def test_a_broker_of_another_authority_is_refused_with_the_reason(
    broker: Broker, opened: list[RabbitTransport]
) -> None:
    for url in (broker.url(cafile=broker.stranger.file), broker.url(cafile=None)):
        await refused(open_at(url, opened), "certificate verify failed")


async def test_a_broker_under_another_name_is_refused_with_the_reason(
    broker: Broker, opened: list[RabbitTransport]
) -> None:
    await refused(open_at(broker.url().replace("127.0.0.1", "localhost"), opened), "localhost")


async def test_a_client_without_its_certificate_is_refused_by_the_broker(
    broker: Broker, opened: list[RabbitTransport]
) -> None:
    await refused(open_at(broker.url(certfile=None, keyfile=None), opened), "RabbitMQ is not available")


async def test_a_certificate_that_cannot_be_read_is_named(
    broker: Broker, opened: list[RabbitTransport], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    for parameter, path in (("cafile", tmp_path / "missing.pem"), ("cafile", empty), ("certfile", empty)):
        await refused(open_at(broker.url(**{parameter: path}), opened), f"{parameter}={path}")


async def refused(transport: RabbitTransport, reason: str) -> None:
    """Both of the transport's connections say why there is none."""
    [answer] = await transport.publish([message("x")])
    assert isinstance(answer, TransportUnavailable)
    assert reason in str(answer)
    with pytest.raises(TransportUnavailable) as raised:
        await transport.declare(Queue("worker"))
    assert reason in str(raised.value)
