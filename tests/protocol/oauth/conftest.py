"""The authorization server's routes, served on a port."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from servers.databases import Databases
from tests.support.oauth_server import OAuthServer, serve_oauth


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[OAuthServer]:
    async with serve_oauth(database_url) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(databases: Databases, template_database: str) -> AsyncIterator[OAuthServer]:
    """One server for a module of refusals. Such a module runs in one event loop and says so."""
    with databases.one(template_database) as url:
        async with serve_oauth(url) as made:
            yield made
