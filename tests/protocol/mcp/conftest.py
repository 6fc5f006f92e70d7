"""Gateways with tools, and the actor behind them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from servers.databases import Databases
from tests.support.gateway import Gateway
from tests.support.mcp import TOOLS, Actor, serve_tools, start_mcp


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_mcp(database_url, keepalive_interval=0.2) as made:
        yield made


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(databases: Databases, template_database: str) -> AsyncIterator[Gateway]:
    """One gateway for a module whose tests store nothing: starting one for each of a hundred refusals costs a
    minute and proves no more. Such a module, or each such test of another one, runs in the module's event loop and says
    so."""
    with databases.one(template_database) as url:
        async with start_mcp(url, keepalive_interval=0.2) as made:
            yield made


@pytest.fixture
def idle(standing: Gateway) -> Gateway:
    """The standing gateway, with its own tools again."""
    serve_tools(standing, TOOLS)
    return standing
