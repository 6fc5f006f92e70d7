"""A pod that is closed beside one of the version before, which knows no callers, over one migrated schema."""

import asyncio
import json
import subprocess
import sys

import pytest

from tests.rollout.mixed import MixedWorld
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


class Caller:
    """Somebody with a key, or with none, at one of the api pods."""

    def __init__(self, world: MixedWorld, pod: str, key: str = "") -> None:
        self.world, self.url = world, world.processes[pod].url
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.calls = 0

    async def submit(self) -> tuple[int, str]:
        """Call a flow; the status and the task's id."""
        self.calls += 1
        body = {"name": "work", "arguments": {"n": f"{id(self)}-{self.calls}"}}
        async with self.world.session.post(f"{self.url}/tools/call", json=body, headers=self.headers) as response:
            if response.status != 200:
                return response.status, ""
            return 200, str(json.loads((await response.json())["content"][0]["text"])["task_id"])

    async def state(self, task_id: str) -> str:
        """The task's status, or the HTTP status where there is none to be seen."""
        async with self.world.session.get(f"{self.url}/tasks/{task_id}", headers=self.headers) as response:
            return str((await response.json())["status"]) if response.status == 200 else str(response.status)

    async def done(self) -> str:
        """The id of a task that has succeeded."""
        status, task_id = await self.submit()
        assert status == 200

        async def succeeded() -> bool:
            return await self.state(task_id) == "succeeded"

        await until(succeeded, 60, "the task's end")
        return task_id


async def test_tasks_of_both_run_and_only_operators_see_those_of_nobody(world: MixedWorld) -> None:
    world.of_previous.update({"before", "second"})
    world.migrate_by_previous()
    world.migrate()
    world.gateway("mesh", "mesh")
    world.gateway("before", "api")
    world.gateway("api", "api", ASYA_AUTH="required")
    world.worker("first")
    world.worker("second")
    world.crew()
    for name in ("mesh", "before", "api"):
        await world.ready(name)
    ann, operator = await key(world, "ann"), await key(world, "operator", "mcp:read", "task:any:read")
    before, mine, theirs = Caller(world, "before"), Caller(world, "api", ann), Caller(world, "api", operator)
    old = await before.done()
    new = await mine.done()
    assert (await Caller(world, "api").submit())[0] == 401
    assert (await theirs.submit())[0] == 403
    assert await mine.state(old) == "404"
    assert [await theirs.state(task_id) for task_id in (old, new)] == ["succeeded", "succeeded"]
    assert await before.state(new) == "404", "to it, a task with an owner is somebody else's"
    owners = await world.query("SELECT owner, via FROM tasks ORDER BY created_at")
    assert [(row["owner"], row["via"]) for row in owners] == [("", None), ("key:ann", "key")]
    # The pod before is replaced: its tasks are there, and nobody without a key gets in any more.
    world.processes["before"].environment["ASYA_AUTH"] = "required"
    await world.replace("before")
    assert (await before.submit())[0] == 401
    assert await Caller(world, "before", operator).state(old) == "succeeded"


async def key(world: MixedWorld, name: str, *scopes: str) -> str:
    """A new key."""
    chosen = [part for scope in scopes for part in ("--scope", scope)]
    command = [sys.executable, "-m", "asya_cli", "auth", "key", "create", name, *chosen]
    done = await asyncio.to_thread(
        subprocess.run, command, env=world.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
