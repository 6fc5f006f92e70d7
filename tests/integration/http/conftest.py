"""The whole gateway in testing mode on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from servers.databases import Databases
from tests.support.gateway import Gateway, start_gateway


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, keepalive_interval=0.2) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(databases: Databases, template_database: str) -> AsyncIterator[Gateway]:
    """One gateway for the tests of a module that store nothing, or look at nothing that another one stored. They run in
    the module's event loop and say so."""
    with databases.one(template_database) as url:
        async with start_gateway(url, keepalive_interval=0.2) as made:
            yield made
