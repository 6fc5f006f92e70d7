"""Deadlines, and the ends of credentials, are the database's, whatever the pod's own clock says."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from asya_crds import jsontext
from servers.clocks import wrong_by
from servers.gateway_process import GatewayProcess
from servers.processes import ServerUnavailable
from tests.support.gateway import Reader
from tests.support.identity import store_key
from tests.support.issuers import AUDIENCE, URL, document, key_for, token
from tests.support.missing import missing
from tests.support.oauth import ISSUER, SECRET
from tests.support.oauth_server import OAuthCaller
from tests.support.waiting import until
from tests.support.web import http, web

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


@contextlib.asynccontextmanager
async def skewed(database_url: str, folder: Path, skew: str, **settings: str) -> AsyncGenerator[GatewayProcess]:
    """A pod whose clock is wrong by so much."""
    try:
        wrong = wrong_by(skew)
    except ServerUnavailable as reason:
        missing(reason)
    flows = folder / "flows.yaml"
    flows.write_text(FLOWS)
    pod = GatewayProcess("testing", database_url, folder / "log", ASYA_CONFIG_PATH=str(flows), **wrong, **settings)
    try:
        await until(pod.ready, 40, "the gateway")
        yield pod
    finally:
        pod.stop()


@pytest.mark.parametrize("skew", ["-90s", "+90s"])
async def test_a_pod_whose_clock_is_wrong_gives_a_task_its_whole_time(
    database_url: str, tmp_path: Path, skew: str
) -> None:
    async with skewed(database_url, tmp_path, skew) as pod:
        await until(lambda: pod.serves("short"), 20, "the flow")
        database = await asyncpg.connect(database_url)
        try:
            await _check(pod, database)
        finally:
            await database.close()


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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("skew", ["-90s", "+90s"])
async def test_a_pod_whose_clock_is_wrong_honours_each_credential_until_it_ends_by_the_databases_time(
    database_url: str, tmp_path: Path, skew: str
) -> None:
    async with (
        web(http(document(key_for("ES256")))) as issuer,
        skewed(
            database_url,
            tmp_path,
            skew,
            ASYA_A2A_JWT_JWKS_URL=f"{issuer.url}/keys",
            ASYA_A2A_JWT_ISSUER=URL,
            ASYA_A2A_JWT_AUDIENCE=AUDIENCE,
            ASYA_MCP_OAUTH_ENABLED="true",
            ASYA_MCP_OAUTH_ISSUER=ISSUER,
            ASYA_MCP_OAUTH_SECRET=SECRET,
            ASYA_MCP_OAUTH_TOKEN_TTL="60",
            ASYA_STREAM_WRITE_TIMEOUT="0.4",
            ASYA_KEEPALIVE_INTERVAL="0.2",
        ) as pod,
        aiohttp.ClientSession() as session,
    ):
        clients = Clients(pod.url, session, database_url)
        oauth = OAuthCaller(pod.url, session)
        for credential in (
            await clients.key(60.0),
            (await oauth.tokens(await oauth.client_id()))["access_token"],
            # With the minute by which an issuer's clock may differ, it ends before a fast pod's own time.
            token("ES256", exp=int(await clients.now()) + 20),
        ):
            assert await clients.outlives_checks(credential)
        assert await clients.ends()


class Clients:
    """Callers of a closed gateway, each with a stream of a task of its own."""

    def __init__(self, url: str, session: aiohttp.ClientSession, database_url: str) -> None:
        self._url, self._session, self._database_url = url, session, database_url

    async def now(self) -> float:
        """The database's time."""
        connection = await asyncpg.connect(self._database_url)
        try:
            return float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
        finally:
            await connection.close()

    async def key(self, seconds: float) -> str:
        """A key that ends so soon, once the pod knows it."""
        until_then = await self.now() + seconds
        scopes = frozenset({"mcp:read", "mcp:invoke"})
        made = (await store_key(self._database_url, scopes=scopes, expires_at=until_then)).text

        async def known() -> bool:
            async with self._session.get(f"{self._url}/tasks", headers=_bearer(made)) as response:
                return response.status == 200 or await self.now() >= until_then

        await until(known, 60, "the key")
        return made

    @contextlib.asynccontextmanager
    async def stream(self, credential: str) -> AsyncGenerator[Reader | None]:
        """The stream of a new task after its first event; None if the credential is refused."""
        call = {"name": "short", "arguments": {}}
        headers = _bearer(credential)
        async with self._session.post(f"{self._url}/tools/call", json=call, headers=headers) as response:
            answer = await response.json()
        if response.status != 200:
            assert response.status == 401, answer
            yield None
            return
        task_id = jsontext.loads(answer["content"][0]["text"])["task_id"]
        async with self._session.get(f"{self._url}/stream/{task_id}", headers=headers) as response:
            reader = Reader(response)
            yield reader if response.status == 200 and await reader.next() is not None else None

    async def outlives_checks(self, credential: str) -> bool:
        """Whether a stream goes on while its credential is checked several times."""
        async with self.stream(credential) as reader:
            return reader is not None and [await reader.comment() for _ in range(8)] == ["keep-alive"] * 8

    async def ends(self) -> bool:
        """Whether a stream ends with its key. On a slow machine a key of a few seconds may end before its stream
        begins."""
        for seconds in (5.0, 15.0, 30.0):
            key = await self.key(seconds)
            async with self.stream(key) as reader:
                if reader is not None:
                    async with asyncio.timeout(seconds + 20):
                        return b": the credential has expired" in await reader.response.content.read()
        return False


def _bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}
