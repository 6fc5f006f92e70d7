"""Each example runs through the real `asya dev`, once for all tests of its module."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.support.dev import EXAMPLES, DevRun, dev_run


@pytest.fixture(scope="module")
def example(request: pytest.FixtureRequest) -> Iterator[DevRun]:
    """The example that the module names in EXAMPLE."""
    with dev_run(EXAMPLES / request.module.EXAMPLE) as run:
        yield run


@pytest.fixture
async def http(example: DevRun) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the example's gateway."""
    async with aiohttp.ClientSession(example.url, timeout=aiohttp.ClientTimeout(60)) as session:
        yield session
