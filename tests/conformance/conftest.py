"""One deployment for all tests of this folder, because each takes seconds to start."""

import shutil
from collections.abc import Iterator

import pytest

from servers.certificates import Authority
from servers.databases import Databases, run_apart
from servers.processes import ServerUnavailable
from tests.conformance import tools
from tests.conformance.clients import Client
from tests.conformance.deployment import Deployment
from tests.conformance.lives import Lives
from tests.conformance.served import Served
from tests.support.missing import missing


@pytest.fixture(scope="session")
def node() -> tools.Node:
    try:
        return tools.node()
    except ServerUnavailable as reason:
        missing(reason)


@pytest.fixture(scope="session")
def fastmcp() -> str:
    """The interpreter that has it."""
    return tools.fastmcp()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the deployment trusts besides nobody."""
    return Authority(tmp_path_factory.mktemp("deployment"), "authority")


@pytest.fixture(scope="session")
def deployment(authority: Authority, databases: Databases, template_database: str) -> Iterator[Deployment]:
    """Registration is open. Client metadata may be at 127.0.0.1, and the guard stays closed for all other addresses."""
    with databases.one(template_database) as url:
        made = Deployment(authority.file.parent, url, OUTBOUND_ALLOW="127.0.0.1")
        try:
            run_apart(made.start)
            yield made
        finally:
            made.end()
            print(made.logs())


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, databases: Databases, template_database: str) -> Iterator[Served]:
    """The MCP fixture over two replicas."""
    with databases.one(template_database) as url:
        made = Served(tmp_path_factory.mktemp("served"), url)
        try:
            made.start()
            yield made
        finally:
            made.end()
            print(made.deployment.logs())


@pytest.fixture(scope="session")
def lives(request: pytest.FixtureRequest, served: Served, node: tools.Node) -> Iterator[Lives]:
    """Of the clients whose tests were selected, which all begin at once."""
    made = Lives(served, node)
    made.begin(_selected(request))
    yield made
    made.end()


@pytest.fixture(scope="session", autouse=True)
def _early(request: pytest.FixtureRequest) -> None:
    """Clients live beside the other tests, because they wait more than they compute."""
    if _selected(request) and shutil.which("npm"):
        request.getfixturevalue("lives")


def _selected(request: pytest.FixtureRequest) -> list[Client]:
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    return list(dict.fromkeys(call["client"] for call in calls if isinstance(call.get("client"), Client)))
