"""A running Storage on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.support.storage import Running, make_storage


@pytest.fixture
async def running(database_url: str) -> AsyncIterator[Running]:
    made = make_storage(database_url)
    await made.storage.start()
    yield made
    await made.storage.stop()
