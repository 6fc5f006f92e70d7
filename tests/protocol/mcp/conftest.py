"""Gateways with tools, and the actor behind them."""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from servers.databases import execute, with_database
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
async def standing(postgres_url: str, template_database: str) -> AsyncIterator[Gateway]:
    """One gateway for a module whose tests store nothing: starting one for each of a hundred refusals costs a
    minute and proves no more. Such a module runs in one event loop and says so."""
    name = f"asya_test_{uuid.uuid4().hex[:12]}"
    execute(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template_database}"')
    async with start_mcp(with_database(postgres_url, name), keepalive_interval=0.2) as made:
        yield made
    execute(postgres_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def idle(standing: Gateway) -> Gateway:
    """The standing gateway, with its own tools again."""
    serve_tools(standing, TOOLS)
    return standing
