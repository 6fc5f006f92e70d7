"""Gateways with skills, and the actor behind them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from servers.databases import Databases
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(databases: Databases, template_database: str) -> AsyncIterator[Gateway]:
    """One gateway for the tests of a module that store nothing. They run in the module's event loop and say so."""
    with databases.one(template_database) as url:
        async with start_gateway(url) as made:
            serve_tools(made, SKILLS)
            yield made
