"""What settings say of tasks is so in the gateway as its own composition assembles it."""

from pathlib import Path
from typing import Any

import pytest

from asya_crds import jsontext
from tests.support.actors import Mesh, start_mesh
from tests.support.waiting import until

FLOWS = """
flows:
- {name: ask, entrypoint: first, mcp: {}}
- {name: brief, entrypoint: first, maxPause: 1h, timeout: 45s, mcp: {}}
"""
PAUSE = {
    "prev": ["first"],
    "curr": "x-pause",
    "next": [],
    "status": "paused",
    "pause_metadata": {"prompt": "Go on?", "fields": [{"name": "ok", "type": "boolean"}]},
}
DAY = 86_400.0
TIMES = """
SELECT extract(epoch FROM p.expires_at - p.created_at)::float8 AS pause, extract(epoch FROM t.remaining)::float8 AS left
FROM task_pauses p JOIN tasks t ON t.id = p.task_id WHERE t.id = $1
"""


@pytest.fixture
def flows(tmp_path: Path) -> str:
    (tmp_path / "flows.yaml").write_text(FLOWS)
    return str(tmp_path / "flows.yaml")


async def serves(mesh: Mesh) -> bool:
    async with mesh.session.get(f"{mesh.url}/flows") as response:
        return len((await response.json())["flows"]) == 2


async def post(mesh: Mesh, path: str, body: Any) -> tuple[int, Any]:
    async with mesh.session.post(mesh.url + path, json=body) as response:
        return response.status, await response.json()


async def call(mesh: Mesh, flow: str) -> str:
    status, answer = await post(mesh, "/tools/call", {"name": flow})
    assert status == 200, answer
    return str(jsontext.loads(answer["content"][0]["text"])["task_id"])


@pytest.mark.parametrize(
    ("settings", "pause", "timeout"), [({}, 30 * DAY, DAY), ({"max_pause": 7_200, "default_timeout": 600}, 7_200, 600)]
)
async def test_a_question_waits_for_30_days_or_as_the_setting_or_its_flow_says(
    database_url: str, flows: str, settings: dict[str, Any], pause: float, timeout: float
) -> None:
    async with start_mesh(database_url, config_path=flows, **settings) as mesh:
        await until(lambda: serves(mesh), what="the flows")
        for flow, longest, given in (("ask", pause, timeout), ("brief", 3_600, 45)):
            task_id = await call(mesh, flow)
            assert (await post(mesh, f"/mesh/{task_id}/progress", PAUSE))[0] == 200
            found = await mesh.gateway.database.fetchrow(TIMES, task_id)
            assert found is not None
            assert found["pause"] == pytest.approx(longest, abs=0.001)
            assert given - 30 < found["left"] <= given


@pytest.mark.parametrize(
    ("setting", "refused", "admitted"),
    [
        ("max_open_tasks_per_owner", "ask brief", ""),
        ("max_open_tasks_per_flow", "ask", "brief"),
        ("rate_per_flow", "ask", "brief"),
    ],
)
async def test_caps_and_rates_are_off_unless_they_are_set(
    database_url: str, flows: str, setting: str, refused: str, admitted: str
) -> None:
    async with start_mesh(database_url, config_path=flows) as mesh:
        await until(lambda: serves(mesh), what="the flows")
        for _ in range(3):
            await call(mesh, "ask")
        await mesh.gateway.database.execute("UPDATE tasks SET finished_at = now(), status = 'succeeded'")
    capped: dict[str, Any] = {setting: 1}
    async with start_mesh(database_url, config_path=flows, **capped) as mesh:
        await until(lambda: serves(mesh), what="the flows")
        await call(mesh, "ask")
        for flow in refused.split():
            status, answer = await post(mesh, "/tools/call", {"name": flow})
            assert (status, answer["error"]["code"][:8]) == (429, "too_many")
        for flow in admitted.split():
            await call(mesh, flow)
