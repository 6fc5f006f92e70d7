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
async def mesh(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Mesh]:
    """Workers learn from their first hop that mesh takes reports together. With the parameter `single` they never do,
    with `batched` they know it from their start (tests/support/lives.py)."""
    async with start_mesh(database_url, life=getattr(request, "param", "usual")) as made:
        yield made
        if made.life == "batched":
            assert all(client.offers for client in made.clients), "a worker went back to single reports"
