"""The parameter of the contract suite: each queue system."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.brokers import BROKERS, Broker
from tests.contract.transport_harness import Harness


@pytest.fixture(params=BROKERS, ids=lambda kind: kind.name)
def broker(request: pytest.FixtureRequest) -> Broker:
    """One queue system after the other."""
    kind: type[Broker] = request.param
    return kind(request)


@pytest.fixture
async def harness(broker: Broker) -> AsyncIterator[Harness]:
    """Transports of a namespace of this test's own."""
    harness = Harness(broker.settings())
    yield harness
    await harness.close()


@pytest.fixture
def looking_often(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers check their queues more often than usual."""
    broker.look_often(monkeypatch)
