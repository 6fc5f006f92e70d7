"""Marked secrets, put wherever an operator or a caller may put one, are in no log line, table, answer, metric or
trace."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asya_gateway.composition import observing
from asya_gateway.domain.identity.key_text import NewKey, new_key
from asya_gateway.exposition.logs import configure_logs
from asya_gateway.exposition.otel import OpenTelemetrySpans
from asya_gateway.protocols.http import bad_credentials
from servers.ports import free_port
from tests.support.identity import store_key
from tests.support.telemetry import Watched, ready, start_watched
from tests.support.waiting import until

COMMON = frozenset({"mcp:read", "mcp:invoke"})
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
STATIC = "markedstatickeyZq81xv"
OTHER_STATIC = "markedotherkeyRt55wq"
TOKEN = "markedtokenKw93hs"
SIGNING = "markedsigningsecretLm27pd-of-thirty-two-bytes"
REGISTERING = "markedregistrationtokenVb64nc"
MESSAGE = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@dataclass
class Seen:
    """Everything that left the gateway, or stayed in its database."""

    log: io.StringIO
    spans: InMemorySpanExporter
    answers: list[str] = field(default_factory=list)

    async def send(self, watched: Watched, method: str, path: str, body: Any = None, **options: Any) -> None:
        options["json" if isinstance(body, dict) and "data" not in options else "params"] = body
        async with watched.session.request(method, watched.url + path, allow_redirects=False, **options) as response:
            self.answers.append(f"{response.status} {dict(response.headers)} {await response.text()}")

    async def everything(self, database_url: str) -> str:
        connection = await asyncpg.connect(database_url)
        try:
            names = [row["tablename"] for row in await connection.fetch(TABLES)]
            rows = [str(await connection.fetchval(f"SELECT json_agg(t)::text FROM {name} t")) for name in names]
        finally:
            await connection.close()
        spans = [span.to_json() for span in self.spans.get_finished_spans()]
        return "\n".join([*self.answers, *rows, *spans, self.log.getvalue()])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """Logs as the program writes them, at the most talkative level. Bad credentials are answered without delay."""
    monkeypatch.setattr(bad_credentials, "FREE", 10_000)
    spans, log, root = InMemorySpanExporter(), io.StringIO(), logging.getLogger()
    monkeypatch.setattr(observing, "open_tracing", lambda pod: OpenTelemetrySpans(SimpleSpanProcessor(spans), pod))
    handlers, level = list(root.handlers), root.level
    configure_logs("json", "debug", "pod", log)
    yield Seen(log, spans)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def headers_with(token: str) -> list[dict[str, str]]:
    return [
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Basic {token}"},
        {"X-API-Key": token},
        {"Authorization": f"Bearer {token}", "X-API-Key": token},
    ]


async def send_malformed(url: str, token: str) -> list[str]:
    """Headers that are none, which the parser's errors quote; what their sender was told."""
    told = []
    for header in (f"Authorization : Bearer {token}", f"Authorization: Bearer\r\n {token}", f"X-API-Key: {token}\0"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(f"GET /flows HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            told.append((await reader.read()).decode())
        assert " 400 " in told[-1]
        writer.close()
    return told


def mistyped(key: NewKey) -> str:
    return key.text[:-1] + ("0" if key.text[-1] != "0" else "1")


async def test_keys_are_nowhere(database_url: str, tmp_path: Path, seen: Seen) -> None:
    filed, stranger = new_key(), new_key()
    stored = await store_key(database_url, scopes=COMMON)
    path = tmp_path / "keys.yml"
    path.write_text(json.dumps({"keys": [{"id": filed.id, "name": "ci", "hash": f"sha256:{filed.hash.hex()}"}]}))
    settings: dict[str, Any] = {"mcp_api_key": STATIC, "a2a_api_key": OTHER_STATIC, "api_keys_file": str(path)}
    tokens = (stored.text, filed.text, stranger.text, mistyped(stored), STATIC, OTHER_STATIC, TOKEN, f"asya_{TOKEN}")
    async with start_watched(
        database_url, tmp_path, otel_enabled=True, config_poll_interval=0.05, **settings
    ) as watched:
        await ready(watched)
        for token in tokens:
            for headers in headers_with(token):
                await seen.send(watched, "GET", "/flows", headers=headers)
                await seen.send(watched, "POST", "/mcp", MESSAGE, headers=headers)
            await seen.send(watched, "GET", f"/nowhere?access_token={token}")
            seen.answers += await send_malformed(watched.url, token)
            await seen.send(
                watched, "POST", "/mesh/registry/epoch", {"leader": "x"}, headers={"Cookie": f"key={token}"}
            )
        path.write_text(f"keys:\n- {{id: {stranger.text}, name: {stranger.text}, hash: {stranger.text}}}\n")
        await until(lambda: "line 2: keys.0" in seen.log.getvalue(), what="the log line about the file")
        seen.answers.append(await watched.text())
        await watched.program.identifying.audit.write()
    everything = await seen.everything(database_url)
    marked = {each.text.split("_")[2][:40] for each in (stored, filed, stranger)} | {STATIC, OTHER_STATIC, TOKEN}
    assert "malformed request" in everything
    assert all(each in everything for each in ("key:ci", "key:mcp", "asya_audit_lost_total", "GET /flows"))
    assert [mark for mark in marked if mark in everything] == []


async def test_secrets_of_the_authorization_server_are_nowhere(database_url: str, tmp_path: Path, seen: Seen) -> None:
    port = free_port()
    settings: dict[str, Any] = {
        "gateway_port": port,
        "mcp_oauth_enabled": True,
        "mcp_oauth_issuer": f"http://127.0.0.1:{port}",
        "mcp_oauth_secret": SIGNING,
        "mcp_oauth_registration_token": REGISTERING,
    }
    fields = ("code", "code_verifier", "refresh_token", "client_secret", "token", "password", "assertion")
    async with start_watched(database_url, tmp_path, otel_enabled=True, **settings) as watched:
        await ready(watched)
        for token in (REGISTERING, TOKEN):
            for headers in headers_with(token):
                await seen.send(watched, "POST", "/oauth/register", {"redirect_uris": []}, headers=headers)
        for grant in ("authorization_code", "refresh_token", "client_credentials"):
            form = {name: f"{TOKEN}{name}" for name in fields} | {"grant_type": grant, "client_id": "unknown"}
            for path in ("/oauth/token", "/oauth/revoke"):
                await seen.send(watched, "POST", path, data=form)
                await seen.send(
                    watched, "POST", f"{path}?client_secret={TOKEN}", data=form, headers=headers_with(TOKEN)[1]
                )
        await seen.send(watched, "GET", f"/oauth/authorize?client_id=x&state={TOKEN}&code_challenge={TOKEN}")
        seen.answers.append(await watched.text())
        await watched.program.identifying.audit.write()
        reasons = {row["reason"] for row in await watched.program.database.fetch("SELECT reason FROM audit")}
    everything = await seen.everything(database_url)
    assert "/oauth/token" in everything
    assert {f"authorization server: {code}" for code in ("invalid_client", "invalid_token")} <= reasons
    assert [mark for mark in (TOKEN, SIGNING, REGISTERING) if mark in everything] == []
