"""The whole mesh on a database of the test's own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support import handlers
from tests.support.actors import Mesh, start_mesh


@pytest.fixture(autouse=True)
def _fresh_handlers() -> Iterator[None]:
    handlers.reset()
    yield
    handlers.GATE.set()


@pytest.fixture
async def mesh(database_url: str) -> AsyncIterator[Mesh]:
    async with start_mesh(database_url) as made:
        yield made
