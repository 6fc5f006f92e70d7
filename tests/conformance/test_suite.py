"""The conformance suite's `authorization` command, which tests an authorization server."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest

from servers.ports import free_port
from tests.conformance import tools
from tests.conformance.deployment import Deployment
from tests.conformance.tools import Node
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(400)

SCENARIOS = {"authorization-server-metadata-endpoint", "authorization-code-grant"}
PROGRAM = "node_modules/@modelcontextprotocol/conformance/dist/index.js"


@pytest.mark.parametrize("resource", ["", "/mcp"], ids=["no resource", "resource"])
async def test_every_check_passes_without_a_warning(
    deployment: Deployment, node: Node, tmp_path: Path, resource: str
) -> None:
    """The client has no secret: the suite never presents one to a server whose metadata lists `none`."""
    port = free_port()
    redirect_uri = f"http://127.0.0.1:{port}/callback"
    made = await deployment.client_made_by_an_operator("Suite", "--redirect-uri", redirect_uri)
    options = ["--url", deployment.url, "--client-id", made["client_id"], "-p", str(port), "-o", str(tmp_path)]
    options += ["--resource", deployment.url + resource] if resource else []
    output = await with_browser(*node.script(PROGRAM), "authorization", *options)
    checks = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.rglob("checks.json")}
    found = {scenario for scenario in SCENARIOS for name in checks if scenario in name}
    assert found == SCENARIOS, output
    bad = [check for each in checks.values() for check in each if check["status"] not in ("SUCCESS", "INFO")]
    assert bad == [], output


async def with_browser(*command: str) -> str:
    """Run the suite, and visit the URL that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    output, visit = "", None
    try:
        async with asyncio.timeout(tools.RUNNING), aiohttp.ClientSession() as session:
            async for line in process.stdout:
                output += line.decode()
                url = re.search(r"http://\S+/oauth/authorize\?\S+", line.decode())
                if url and visit is None:
                    visit = asyncio.create_task(_visited(session, url[0]))
            if visit is not None:
                await visit
            assert await process.wait() == 0, output
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output


async def _visited(session: aiohttp.ClientSession, url: str) -> None:
    """The suite listens for the answer a moment after it printed the URL."""
    async with session.get(url, allow_redirects=False) as answer:
        target = answer.headers["Location"]

    async def arrived() -> bool:
        try:
            async with session.get(target) as answer:
                return bool(await answer.read()) or answer.ok
        except aiohttp.ClientConnectorError:
            return False

    await until(arrived, 60)
