"""The official clients of A2A live their whole life with the gateway."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.databases import Databases, run_apart
from tests.conformance import tools
from tests.conformance.tools import run
from tests.protocol.mcp.fixture.deployment import Deployment

pytestmark = pytest.mark.timeout(180)

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "protocol" / "a2a" / "fixture"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory, databases: Databases, template_database: str) -> Iterator[str]:
    """Where its card is."""
    with databases.one(template_database) as url:
        made = Deployment(tmp_path_factory.mktemp("agent"), url, fixture=FIXTURE)
        try:
            run_apart(made.start)
            yield made.urls[0]
        finally:
            made.end()
            print(made.logs())


async def test_the_client_of_1_0(agent: str) -> None:
    program = str(HERE / "python" / "a2a_1_client.py")
    seen = (await run(tools.a2a(1), program, json.dumps({"url": agent}))).answer
    assert (seen["completed"], seen["data"]) == ("TASK_STATE_COMPLETED", True)
    assert (seen["failed"], seen["rejected"]) == ("TASK_STATE_FAILED", "TASK_STATE_REJECTED")
    assert seen["parts"] == ["text", "url", "data"]
    assert (seen["events"][0], seen["events"][-2:]) == ("task", ["artifact_update", "status_update"])
    assert seen["text"] == "one two three"
    assert (seen["asked"], seen["greeted"], seen["history"]) == ("TASK_STATE_INPUT_REQUIRED", "Hello, Ann!", 2)
    assert seen["first"] == "task"
    assert {seen["canceled"], seen["last"], seen["got"]} == {"TASK_STATE_CANCELED"}


async def test_the_client_of_0_3(agent: str) -> None:
    program = str(HERE / "python" / "a2a_0_client.py")
    seen = (await run(tools.a2a(0), program, json.dumps({"url": agent}))).answer
    assert seen["skills"] == ["behave"]
    assert (seen["complete"], seen["fail"], seen["reject"]) == ("completed", "failed", "rejected")
    assert seen["parts"] == ["text", "file", "data"]
    assert (seen["streamed"], seen["events"] >= 4) == ("completed", True)
    assert (seen["asked"], seen["greeted"]) == ("input-required", "Hello, Ann!")
    assert {seen["canceled"], seen["got"]} == {"canceled"}
