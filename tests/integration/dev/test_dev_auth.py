"""`asya dev --auth` shows on one machine how callers log in (docs/dev.md)."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from asya_cli.client import connect
from asya_cli.dev.access import SECRET_FILE, issuing
from asya_cli.errors import CliError
from asya_cli.login.bearer import LoginBearer
from asya_cli.login.browser import Wishes, log_in
from asya_cli.login.store import LoginFolder
from tests.support.dev import DevRun, dev_run, environment
from tests.support.login_command import Browser

pytestmark = pytest.mark.timeout(200)

FLOWS = """
flows:
  - {name: echo, entrypoint: echo, timeout: 60s, mcp: {inputSchema: {type: object, properties: {text: {type: string}}}}}
  - {name: secret, entrypoint: echo, timeout: 60s, scopes: [secrets], mcp: {inputSchema: {type: object}}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevRun]:
    folder = tmp_path_factory.mktemp("closed")
    (folder / "flows.yaml").write_text(FLOWS)
    (folder / "actors.yaml").write_text("actors:\n  - {name: echo, handler: handlers.echo}\n")
    (folder / "handlers.py").write_text("def echo(payload):\n    return payload\n")
    with dev_run(folder, "--ephemeral", "--auth") as started:
        yield started


async def test_a_caller_logs_in_and_the_run_shows_its_call(run: DevRun, tmp_path: Path) -> None:
    async with connect(run.url) as client:
        with pytest.raises(CliError, match="asks who calls: log in with `asya login`"):
            await client.tools()
    store = LoginFolder(tmp_path / "logins")
    login = await log_in(run.url, store, Wishes(), Browser().show)
    assert login is not None
    async with connect(run.url, LoginBearer(login, store)) as client:
        assert {tool["name"] for tool in await client.tools()} == {"echo", "secret"}
        handle = await client.call("echo", {"text": "hello"})
        statuses = [event.data["status"] async for event in client.follow(handle["task_id"]) if event.name == "update"]
        assert statuses[-1] == "succeeded"
        with pytest.raises(CliError, match="--scope secrets"):
            await client.call("secret", {})
    run.wait_for(f"task {handle['task_id']} echo succeeded")


async def test_the_key_that_it_tells_how_to_make_is_one(run: DevRun) -> None:
    [command] = re.findall(r"a key +export ASYA_TOKEN=\$\((.*)\)$", "\n".join(run.lines), re.M)
    words = command.replace("asya auth", "python -m asya_cli auth") + " --scope mcp:read"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, env=environment(PATH=path), check=True)
    headers = {"Authorization": f"Bearer {done.stdout.strip()}"}
    async with aiohttp.ClientSession() as session, session.get(f"{run.url}/flows", headers=headers) as response:
        assert response.status == 200


async def test_its_mesh_routes_answer_this_machine_only(run: DevRun) -> None:
    """A proxy on this machine makes everybody look local."""
    assert "mesh routes      answer programs of this machine only" in "\n".join(run.lines)
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{run.url}/mesh/none/progress", json={}, headers=forwarded) as response,
    ):
        assert response.status == 403


def test_its_secret_is_kept_for_the_next_run_and_for_nobody_else(tmp_path: Path) -> None:
    first = issuing("http://127.0.0.1:8080", tmp_path)
    assert issuing("http://127.0.0.1:8080", tmp_path) == first
    assert len(first["mcp_oauth_secret"]) >= 32
    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600


def test_a_secret_that_was_emptied_is_made_again(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_text("")
    assert len(issuing("http://127.0.0.1:8080", tmp_path)["mcp_oauth_secret"]) >= 32
