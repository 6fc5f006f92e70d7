"""The whole project in a cluster, brought up once as the documentation says, for all end-to-end tests."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.callers import Callers
from tests.e2e.cluster import ROOT, Cluster, Door, NoCluster
from tests.e2e.objects import actor, flow, handlers

DEPLOYMENTS = ("asya-gateway-api", "asya-gateway-mesh", "asya-operator", "asya-crew")
ACTORS = ("shout", "mark", "tell")
FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was measured, at the end of the output."""
    for line in config.stash[FIGURES]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def bare_cluster() -> Cluster:
    """A cluster that answers; skipped loudly without one, failed with ASYA_TEST_REQUIRE_ALL=1."""
    try:
        return Cluster()
    except NoCluster as reason:
        if os.environ.get("ASYA_TEST_REQUIRE_ALL") == "1":
            pytest.fail(f"ASYA_TEST_REQUIRE_ALL is set, and {reason}")
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def installed(bare_cluster: Cluster) -> Iterator[Cluster]:
    """`kubectl apply -k manifests/overlays/kind`, everything Ready, and three actors that run."""
    bare_cluster.kubectl("apply", "-k", str(ROOT / "manifests" / "overlays" / "kind"))
    try:
        # What an earlier run left scaled down or up.
        for name in DEPLOYMENTS:
            bare_cluster.kubectl("scale", f"deployment/{name}", "--replicas=2")
        bare_cluster.apply(handlers(), *(actor(name, name) for name in ACTORS))
        asyncio.run(bare_cluster.rolled_out(*DEPLOYMENTS))
        bare_cluster.kubectl(
            "wait", "asyncactor", *ACTORS, "--for=jsonpath={.status.phase}=Ready", "--timeout=180s", timeout=200
        )
        yield bare_cluster
    except BaseException:
        print(bare_cluster.describe())
        raise


@pytest.fixture
def cluster(installed: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with everything in it; a failed test is followed by what the pods said."""
    failed = request.session.testsfailed
    yield installed
    if request.session.testsfailed > failed:
        print(installed.describe())


@pytest.fixture
def door(cluster: Cluster) -> Iterator[Door]:
    """The api Service."""
    found = Door(cluster)
    yield found
    found.close()


@pytest.fixture
async def callers(door: Door) -> AsyncIterator[Callers]:
    """Callers of the api Service."""
    found = Callers(door.url)
    yield found
    await found.close()


@pytest.fixture
async def work(cluster: Cluster) -> AsyncIterator[str]:
    """A flow over two actors: upper case, then an exclamation mark."""
    cluster.apply(flow("work", "shout", "mark"))
    await cluster.programmed("work")
    yield "work"
    cluster.delete("flow", "work")
