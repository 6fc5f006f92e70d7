"""The whole gateway in testing mode on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway import Gateway, start_gateway


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with start_gateway(database_url, keepalive_interval=0.2) as made:
        yield made
