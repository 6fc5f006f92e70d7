"""The version before this one, unpacked once, and a world in which both run."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from servers.commits import previous_commit, unpacked
from servers.postgres import PostgresServer
from servers.processes import ServerUnavailable
from servers.rabbitmq import RabbitNode
from tests.faults.conftest import own_postgres, own_rabbit
from tests.rollout.mixed import MixedWorld
from tests.support.missing import missing

__all__ = ["own_postgres", "own_rabbit"]


@pytest.fixture(scope="session")
def previous() -> Path:
    """The tree of the version before."""
    try:
        return unpacked(previous_commit())
    except ServerUnavailable as reason:
        missing(reason)


@pytest.fixture(params=["rabbitmq", "postgres"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, own_postgres: PostgresServer, previous: Path
) -> AsyncIterator[MixedWorld]:
    """Nothing runs yet: the test says which programs are of which version."""
    rabbit: RabbitNode | None = None
    vhost, url = f"rollout-{uuid.uuid4().hex[:8]}", ""
    if request.param == "rabbitmq":
        rabbit = request.getfixturevalue("own_rabbit")
        assert rabbit is not None
        url = rabbit.create_vhost(vhost)
    made = MixedWorld(tmp_path, own_postgres, rabbit, url, previous)
    try:
        yield made
    finally:
        await made.close()
        if rabbit is not None:
            rabbit.delete_vhost(vhost)
        print(made.logs())
