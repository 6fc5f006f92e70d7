"""A gateway with tools, and the actor behind them."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway import Gateway
from tests.support.mcp import Actor, start_mcp


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, keepalive_interval=0.2) as made:
        yield made


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)
