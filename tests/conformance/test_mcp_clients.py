"""Clients of others live their whole life with the gateway, each message of which may reach another replica."""

from collections.abc import Awaitable, Callable

import pytest

from tests.conformance.clients import CLIENTS, Can, Client
from tests.conformance.lives import Life, Lives

pytestmark = pytest.mark.timeout(400)

UNKNOWN = -32602
OF_THE_FLOW = 5
"""Notifications of a call's own steps, at its beginning and its end."""
LATE = {-32001, 408, "REQUEST_TIMEOUT", "TimeoutError"}
"""How the SDKs say that their own timer has ended a call."""


def lists(life: Life) -> None:
    assert {"a_first_tool", "slow", "test_tool_with_progress"} <= set(life.seen["tools"])
    assert life.seen["version"] == life.client.revision


def calls(life: Life) -> None:
    assert life.seen["echoed"] == {"n": 1}


def hears_of_progress(life: Life) -> None:
    progress = life.seen["progress"]
    assert len(progress) >= 3
    assert progress == sorted(set(progress))
    assert life.seen["progressed"] == "Tool with progress"


def stays_with_a_quiet_call(life: Life) -> None:
    """The flow says nothing for twice as long as the client waits; the gateway does, every second. A timer that starts
    with the call ends it all the same, progress or not."""
    quiet = life.seen["quiet"]
    assert quiet["text"] == "Computed a long silence in 12 s"
    assert life.seen.get("hasty", -32001) in LATE
    if Can.PROGRESS not in life.client.can:
        return  # It polls a task.
    progress = quiet["progress"]
    assert len(progress) >= OF_THE_FLOW + 4
    assert progress == sorted(set(progress))
    assert all(value < 100 for value in progress[:-1])
    assert quiet.get("resumptions", 0) == 0


async def cancels(life: Life) -> None:
    assert life.seen.get("canceled", "CancelledError") != "nothing"
    if Can.TASKS in life.client.can:
        assert life.seen["tasks"]["canceled"] == "cancelled"
        assert await life.served.ended_as(f"{life.mark}-task") == "canceled"
    if "canceled" in life.seen:
        assert await life.served.ended_as(life.mark) == "canceled"


def answers_questions(life: Life) -> None:
    seen = life.seen
    elicited = seen.get("elicited", [])
    tasks = "tasks" in seen
    assert len(seen["asked"]) == len(elicited) + tasks
    assert len(elicited) == (2 if Can.PROGRESS in life.client.can else 0)
    assert elicited or tasks
    assert all("my " in said for said in elicited)
    if tasks:
        assert seen["tasks"]["text"] == "Deleted a.txt"
    if "sampled" in seen:
        assert "sampled" in seen["sampled"]


def is_told_of_errors(life: Life) -> None:
    assert life.seen["error"] is True
    assert life.seen["unknown"] == UNKNOWN


async def goes_on_after_its_stream_broke(life: Life) -> None:
    """By itself, or with the call's key, or at the task: nothing is lost, and the flow has run once."""
    cut = life.seen["cut"]
    label = f"{life.mark}-cut"
    assert cut["text"] == f"Computed {label} in 3 s"
    assert [status for _, status in await life.served.tasks(label)] == ["succeeded"]
    by_hand = cut["lost"] == "handed over"
    assert life.front.cuts == (0 if by_hand else 1)
    assert (cut["lost"] is None) == (Can.RESUMES in life.client.can)
    if Can.RESUMES in life.client.can:
        assert life.front.resumptions >= 1


def gets_prompts(life: Life) -> None:
    assert "test_simple_prompt" in life.seen["prompts"]
    assert life.seen["prompt"] == "This is a simple prompt for testing."


def reads_resources(life: Life) -> None:
    assert "test://static-text" in life.seen["resources"]
    assert life.seen["resource"] == "This is the content of the static text resource."
    assert "123" in life.seen["templated"]


def has_tasks(life: Life) -> None:
    assert life.seen["tasks"]["text"] == "Deleted a.txt"


CHECKS: dict[Can, Callable[[Life], Awaitable[None] | None]] = {
    Can.LIST: lists,
    Can.CALL: calls,
    Can.PROGRESS: hears_of_progress,
    Can.QUIET: stays_with_a_quiet_call,
    Can.CANCEL: cancels,
    Can.ELICITATION: answers_questions,
    Can.ERROR: is_told_of_errors,
    Can.RECONNECT: goes_on_after_its_stream_broke,
    Can.PROMPTS: gets_prompts,
    Can.RESOURCES: reads_resources,
    Can.TASKS: has_tasks,
}
EACH = [
    pytest.param(client, can, id=f"{client.name}-{can}") for client in CLIENTS for can in CHECKS if can in client.can
]


@pytest.mark.parametrize(("client", "can"), EACH)
async def test_a_client_can(lives: Lives, client: Client, can: Can) -> None:
    checked = CHECKS[can](lives.of(client))
    if checked is not None:
        await checked
