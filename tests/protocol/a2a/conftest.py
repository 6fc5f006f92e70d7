"""Gateways with skills, and the actor behind them."""

from collections.abc import AsyncIterator

import pytest

from tests.support.a2a import SKILLS
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, keepalive_interval=0.2) as made:
        serve_tools(made, SKILLS)
        yield made


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)
