"""Deadlines are the database's, whatever the pod's own clock says."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from asya_crds import jsontext
from servers.gateway_process import GatewayProcess
from servers.processes import ServerUnavailable
from tests.support.missing import missing
from tests.support.waiting import until

FAKETIME = Path(f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1")
FLOWS = "flows:\n- name: short\n  entrypoint: first\n  timeout: 60\n  mcp: {}\n"
PAUSE = {
    "prev": ["first", "x-pause"],
    "curr": "x-resume",
    "next": [],
    "status": "completed",
    "pause_metadata": {"prompt": "?", "fields": []},
}


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("skew", ["-90s", "+90s"])
async def test_a_pod_whose_clock_is_wrong_gives_a_task_its_whole_time(
    database_url: str, tmp_path: Path, skew: str
) -> None:
    if not FAKETIME.exists():
        missing(ServerUnavailable(f"{FAKETIME} is missing (Debian: faketime)"))
    flows = tmp_path / "flows.yaml"
    flows.write_text(FLOWS)
    wrong = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": skew}
    pod = GatewayProcess("testing", database_url, tmp_path / "log", ASYA_CONFIG_PATH=str(flows), **wrong)
    database = await asyncpg.connect(database_url)
    try:
        await until(pod.ready, 40, "the gateway")
        await until(lambda: pod.serves("short"), 20, "the flow")
        await _check(pod, database)
    finally:
        await database.close()
        pod.stop()


async def _check(pod: GatewayProcess, database: asyncpg.Connection) -> None:
    began = await database.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    task_id = jsontext.loads(pod.call("short")[1]["content"][0]["text"])["task_id"]

    async def left() -> Any:
        return await database.fetchrow(
            "SELECT extract(epoch FROM deadline_at)::float8 AS deadline,"
            " extract(epoch FROM created_at)::float8 AS created, finished_at FROM tasks WHERE id = $1",
            task_id,
        )

    row = await left()
    assert began + 59 < row["deadline"] < began + 70
    assert began - 1 < row["created"] < began + 10
    body = await database.fetchval("SELECT convert_from(body, 'UTF8') FROM queue_messages ORDER BY id DESC LIMIT 1")
    envelope = jsontext.loads(body)
    assert abs(seconds(envelope["status"]["deadline_at"]) - row["deadline"]) < 5
    # The sweeper of this pod has had a turn and left the task alone.
    await until(lambda: pod.request("GET", f"/mesh/{task_id}/active")[0] == 200)
    claim = {"hop": "0", "attempt": 1, "claimant": "me"}
    report = {"prev": [], "curr": "first", "next": [], "status": "received", "claim": claim}
    status, answer = pod.request("POST", f"/mesh/{task_id}/progress", report)
    assert (status, answer["action"]) == (200, "go")
    assert 40 < answer["remaining_seconds"] <= 60
    # A pause stops the clock, and an answer lets it go on from there.
    assert pod.request("POST", f"/mesh/{task_id}/progress", PAUSE)[0] == 200
    assert pod.request("POST", f"/tasks/{task_id}/resume", {"answer": {}})[0] == 200
    now = await database.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    row = await left()
    assert now + 30 < row["deadline"] < now + 60.5
    assert row["finished_at"] is None
    body = await database.fetchval("SELECT convert_from(body, 'UTF8') FROM queue_messages ORDER BY id DESC LIMIT 1")
    assert abs(seconds(jsontext.loads(body)["status"]["deadline_at"]) - row["deadline"]) < 5
