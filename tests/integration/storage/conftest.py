"""A running Storage on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from asya_gateway.storage.channels import open_pages
from asya_gateway.storage.tasks import store
from tests.support.storage import Running, make_storage, started_storage


@pytest.fixture
def one_hot_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was planned once is what is executed later."""
    monkeypatch.setattr("asya_gateway.storage.database.HOT_CONNECTIONS", 1)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll looks at so few open destinations at a time that its statements cost what those for one task cost."""
    monkeypatch.setattr(open_pages, "PAGE", 50)


@pytest.fixture
async def running(database_url: str) -> AsyncIterator[Running]:
    async with started_storage(database_url) as made:
        yield made


@pytest.fixture
async def still(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A storage whose loops do not run: every statement is one of the test's."""
    monkeypatch.setattr(store, "FIRST_CHUNK", 0.0)
    made = make_storage(database_url)
    await made.storage.database.open()
    yield made
    await made.storage.database.close()


@pytest.fixture
async def embedded(database_url: str) -> AsyncIterator[Running]:
    """A storage whose queues are in its database."""
    async with started_storage(database_url, namespace="default") as made:
        yield made


@pytest.fixture
async def still_embedded(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The same, whose loops do not run."""
    monkeypatch.setattr(store, "FIRST_CHUNK", 0.0)
    made = make_storage(database_url, namespace="default")
    await made.storage.database.open()
    yield made
    await made.storage.database.close()
