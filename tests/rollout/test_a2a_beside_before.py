"""Clients of A2A while the reports of their tasks reach mesh pods of both versions. The one before has no A2A."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from servers.postgres import PostgresServer
from tests.rollout.mixed import FLOWS, MixedWorld

pytestmark = pytest.mark.timeout(600)

COMPLETED = "TASK_STATE_COMPLETED"


class AgentWorld(MixedWorld):
    """Whose flows are skills. The queues are in the database."""

    flows = FLOWS.replace("mcp: {}", "mcp: {}, a2a: {}")

    async def rpc(self, method: str, params: Any) -> Any:
        """The result of a request to the new pod."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        url = f"{self.processes['api'].url}/a2a/"
        async with self.session.post(url, json=body, headers={"A2A-Version": "1.0"}) as response:
            answer = await response.json()
        assert "result" in answer, answer
        return answer["result"]


@pytest.fixture
async def agents(tmp_path: Path, own_postgres: PostgresServer, previous: Path) -> AsyncIterator[AgentWorld]:
    made = AgentWorld(tmp_path, own_postgres, None, "", previous)
    made.migrate_by_previous()
    made.of_previous.add("api2")
    try:
        await made.up_behind_one_address()
        yield made
    finally:
        await made.close()
        print(made.logs())


def message(part: dict[str, Any], skill: str = "", **more: Any) -> dict[str, Any]:
    said = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": [part], **more}
    return {"message": said, **({"metadata": {"skill": skill}} if skill else {})}


async def test_tasks_end_are_listed_and_are_answered_whichever_pod_hears_of_them(agents: AgentWorld) -> None:
    made = []
    for number in range(8):
        task = (await agents.rpc("SendMessage", message({"data": {"n": f"a-{number}"}}, "work")))["task"]
        assert (task["status"]["state"], task["artifacts"][0]["parts"][0]["data"]["done"]) == (COMPLETED, True)
        made.append(task["id"])
    asked = (await agents.rpc("SendMessage", message({"data": {"n": "a-ask"}}, "ask")))["task"]
    for number in (1, 2):
        assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        answer = message({"data": {f"answer{number}": number}}, taskId=asked["id"])
        asked = (await agents.rpc("SendMessage", answer))["task"]
    assert asked["status"]["state"] == COMPLETED
    page = await agents.rpc("ListTasks", {"pageSize": 100})
    listed = {task["id"]: task["status"] for task in page["tasks"]}
    assert page["totalSize"] == len(listed)
    assert listed.keys() >= {*made, asked["id"]}
    times = [status["timestamp"] for status in listed.values()]
    assert times == sorted(times, reverse=True)
    # Both kinds of mesh pod took reports, and a pod of the version before shows the same tasks.
    assert agents.balancer is not None
    async with agents.session.get(f"{agents.processes['api2'].url}/tasks/{asked['id']}") as response:
        assert (await response.json())["status"] == "succeeded"
