"""docs/examples/approval: a task that waits for a person, answered from the command line and over REST."""

import json
from typing import Any

import aiohttp
import pytest
from mcp import Client

from tests.support.dev import DevRun, run_asya
from tests.support.streams import events_of

# The first test of the module starts the example.
pytestmark = pytest.mark.timeout(200)

EXAMPLE = "approval"
CALL: dict[str, Any] = {"name": "publish_note", "arguments": {"topic": "the harbour"}}


def asked(example: DevRun) -> str:
    """The id of a task that waits for an answer, as the command line leaves it."""
    done = run_asya("tool", "call", "publish_note", "topic=the harbour", url=example.url)
    assert done.returncode == 4, done.stderr
    assert done.stdout == ""
    assert "Publish this? News about the harbour" in done.stderr
    command = done.stderr.split("asya task answer ")[1]
    assert "approved=<boolean> [comment=<string>]" in command
    return command.split()[0]


def test_the_command_line_ends_with_the_question_and_answers_it(example: DevRun) -> None:
    task_id = asked(example)
    done = run_asya("task", "answer", task_id, "approved=true", "comment=Seen by Ada.", url=example.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "published": True,
        "note": "News about the harbour: there are some. Seen by Ada.",
    }


def test_an_answer_is_typed_and_checked_by_the_questions_schema(example: DevRun) -> None:
    task_id = asked(example)
    wrong_type = run_asya("task", "answer", task_id, "approved=perhaps", url=example.url)
    assert (wrong_type.returncode, wrong_type.stderr) == (2, "error: approved: expected boolean, not 'perhaps'\n")
    incomplete = run_asya("task", "answer", task_id, "comment=hm", url=example.url)
    assert incomplete.returncode == 1
    assert incomplete.stderr.startswith("error: the answer does not match the question's schema: ")
    assert "approved" in incomplete.stderr
    refused = run_asya("task", "answer", task_id, "approved=false", url=example.url)
    assert json.loads(refused.stdout)["published"] is False


def test_a_waiting_task_can_be_canceled_and_then_not_be_answered(example: DevRun) -> None:
    task_id = asked(example)
    assert run_asya("task", "cancel", task_id, url=example.url).returncode == 0
    again = run_asya("task", "cancel", task_id, url=example.url)
    assert again.returncode == 1
    assert "canceled" in again.stderr
    answered = run_asya("task", "answer", task_id, "approved=true", url=example.url)
    assert answered.returncode == 1
    watched = run_asya("task", "watch", task_id, url=example.url)
    assert watched.returncode == 1
    assert "canceled" in watched.stderr


async def test_rest_shows_the_question_and_the_first_answer_wins(http: aiohttp.ClientSession, example: DevRun) -> None:
    task_id = asked(example)
    async with http.get(f"/tasks/{task_id}") as response:
        task = await response.json()
    assert task["status"] == "paused"
    assert task["pause"]["schema"]["required"] == ["approved"]
    answer = {"answer": {"approved": True}}
    async with http.post(f"/tasks/{task_id}/resume", json=answer) as response:
        assert response.status == 200
    async with http.post(f"/tasks/{task_id}/resume", json=answer) as response:
        assert response.status == 409
    async with http.get(f"/stream/{task_id}") as response:
        statuses = [event.data["status"] async for event in events_of(response) if event.name == "update"]
    assert "paused" in statuses
    assert statuses[-1] == "succeeded"
    assert statuses.index("paused") < len(statuses) - 1 - statuses[::-1].index("running")


async def test_an_mcp_client_is_told_that_the_task_waits(example: DevRun) -> None:
    async with Client(f"{example.url}/mcp") as client:
        result = await client.call_tool("publish_note", CALL["arguments"])
    listed = json.loads(run_asya("task", "list", "--status", "paused", "--json", url=example.url).stdout)
    newest = listed["tasks"][0]["id"]
    assert any(newest in getattr(part, "text", "") for part in result.content)
