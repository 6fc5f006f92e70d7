"""`python -m tests.protocol.mcp.fixture` serves until it is stopped; with several replicas, one after the other."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest

from servers.ports import free_port
from tests.faults.world import ROOT
from tests.support.mcp import BOTH, message

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("replicas", [1, 2])
async def test_the_fixture_serves_each_message_at_the_next_replica_until_it_is_stopped(
    http: aiohttp.ClientSession, replicas: int
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.protocol.mcp.fixture", "--port", str(port)]
    if replicas > 1:
        command += ["--replicas", str(replicas)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            assert await process.stdout.readline() == f"serving at http://127.0.0.1:{port}/mcp\n".encode()
        # Each replica knows itself by its name, and refuses that of another one.
        asked = [await ping(http, port, "replica-0") for _ in range(2 * replicas)]
        assert sorted(asked) == [200] * 2 + [421] * (2 * replicas - 2)
        assert asked == asked[:replicas] * 2
        assert "result" in await call(http, port)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(90):
            logs = await process.stdout.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"== replica-0.log" in logs
    with pytest.raises(aiohttp.ClientConnectorError):
        await ping(http, port, "127.0.0.1")


async def ping(http: aiohttp.ClientSession, port: int, host: str) -> int:
    url, headers = f"http://127.0.0.1:{port}/mcp", {"Accept": BOTH, "Host": host}
    async with http.post(url, json=message("ping"), headers=headers) as response:
        return response.status


async def call(http: aiohttp.ClientSession, port: int) -> str:
    """What a flow of the fixture answers."""
    body, headers = message("tools/call", {"name": "test_simple_text", "arguments": {}}), {"Accept": "application/json"}
    async with http.post(f"http://127.0.0.1:{port}/mcp", json=body, headers=headers) as response:
        return await response.text()
