"""A closed gateway with keys of the table and of a file, and what its audit says."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from asya_gateway.domain.identity.key_text import NewKey, new_key
from asya_gateway.storage.identity.keys import revoke_keys
from tests.support.gateway import Gateway, forget_the_database, start_gateway
from tests.support.identity import BY, store_key
from tests.support.principals import bearer
from tests.support.waiting import until

COMMON = frozenset({"mcp:read", "mcp:invoke"})
JSON = {"Accept": "application/json"}
STRANGER = new_key()
STATIC = "marked-static-key-Zq81xv"
TOKEN = "markedtokenKw93hs"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def write(path: Path, *keys: NewKey) -> None:
    entries = [{"id": key.id, "name": "filed", "hash": f"sha256:{key.hash.hex()}"} for key in keys]
    path.write_text(json.dumps({"keys": entries}))


@pytest.fixture
def filed(tmp_path: Path) -> NewKey:
    key = new_key()
    write(tmp_path / "keys.yaml", key)
    return key


@pytest.fixture
async def gateway(database_url: str, tmp_path: Path, filed: NewKey) -> AsyncIterator[Gateway]:
    path = str(tmp_path / "keys.yaml")
    async with start_gateway(database_url, api_keys_file=path, config_poll_interval=0.05) as made:
        yield made


async def status(gateway: Gateway, headers: dict[str, str], path: str = "/tasks") -> int:
    return (await gateway.get(path, headers=headers | JSON))[0]


async def opens(gateway: Gateway, key: NewKey) -> None:
    """Wait until the key that was just made is in force."""

    async def opened() -> bool:
        return await status(gateway, bearer(key.text)) == 200

    await until(opened, what="the key that was just made")


async def submitted(gateway: Gateway, key: NewKey, **more: str) -> str:
    body = {"name": "anything", "arguments": {}}
    answered, answer = await gateway.post("/tools/call", body, headers=bearer(key.text) | JSON | more)
    assert answered == 200, answer
    return str(json.loads(answer["content"][0]["text"])["task_id"])


async def audited(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    """What the audit says, without waiting for its next batch."""
    assert gateway.identifying is not None
    await gateway.identifying.audit.write()
    sql = "SELECT principal, via, source, subject, reason, count, detail FROM audit WHERE event = $1 ORDER BY at, id"
    return [dict(row) for row in await gateway.running.storage.database.fetch(sql, event)]


async def test_keys_of_table_and_file_open_every_route_in_either_header(
    gateway: Gateway, database_url: str, filed: NewKey
) -> None:
    key = await store_key(database_url, scopes=COMMON)
    await opens(gateway, key)
    for token in (key.text, filed.text):
        assert await status(gateway, bearer(token)) == 200
        assert await status(gateway, {"X-API-Key": token}) == 200
    assert await status(gateway, {}) == 401
    assert await status(gateway, bearer(new_key().text)) == 401
    assert await status(gateway, bearer(filed.text[:-1])) == 401


async def test_a_revoked_key_and_one_that_the_file_lost_open_nothing(
    gateway: Gateway, database_url: str, filed: NewKey, tmp_path: Path
) -> None:
    key = await store_key(database_url, scopes=COMMON)

    async def answers(token: str, expected: int) -> None:
        async def answered() -> bool:
            return await status(gateway, bearer(token)) == expected

        await until(answered)

    await answers(key.text, 200)
    connection = await asyncpg.connect(database_url)
    try:
        await revoke_keys(connection, "ci", BY)
    finally:
        await connection.close()
    await answers(key.text, 401)
    await answers(filed.text, 200)
    (tmp_path / "keys.yaml").write_text("keys: [")
    other = new_key()
    write(tmp_path / "keys.yaml", other)
    await answers(other.text, 200)
    assert await status(gateway, bearer(filed.text)) == 401


async def test_a_key_is_in_force_and_then_revoked_on_every_replica(gateway: Gateway, database_url: str) -> None:
    async with start_gateway(database_url, auth="required") as other:
        key = await store_key(database_url, scopes=COMMON)
        for each in (gateway, other):
            await opens(each, key)
        connection = await asyncpg.connect(database_url)
        try:
            await revoke_keys(connection, key.id, BY)
        finally:
            await connection.close()
        for each in (gateway, other):

            async def refuses(each: Gateway = each) -> bool:
                return await status(each, bearer(key.text)) == 401

            await until(refuses)


@pytest.mark.parametrize("text", [None, "", "keys: [", "keys: []"], ids=["missing", "empty", "broken", "none"])
async def test_a_gateway_whose_file_gives_no_key_is_closed(database_url: str, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "none.yaml"
    if text is not None:
        path.write_text(text)
    async with start_gateway(database_url, api_keys_file=str(path), config_poll_interval=60) as gateway:
        assert await status(gateway, {}) == 401
        assert await status(gateway, bearer(new_key().text)) == 401


async def test_a_stream_ends_when_its_key_is_revoked(gateway: Gateway, database_url: str) -> None:
    key = await store_key(database_url, scopes=COMMON)
    await opens(gateway, key)
    task_id = await submitted(gateway, key)
    async with gateway.stream(f"/stream/{task_id}", **bearer(key.text)) as reader:
        assert await reader.next() is not None
        connection = await asyncpg.connect(database_url)
        try:
            await revoke_keys(connection, key.id, BY)
        finally:
            await connection.close()
        assert await reader.all() == []
        assert reader.comments[-1] == "the credential was revoked"


async def test_a_key_that_was_good_a_moment_ago_is_not_while_revocations_may_be_missed(
    gateway: Gateway, database_url: str, filed: NewKey
) -> None:
    key = await store_key(database_url, scopes=COMMON)
    await opens(gateway, key)
    forget_the_database(gateway)
    for token in (key.text, new_key().text):
        async with gateway.session.get(f"{gateway.url}/tasks", headers=bearer(token)) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert await status(gateway, bearer(filed.text)) == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}, {"X-API-Key": "nonsense"}],
    ids=["nothing", "another scheme", "no token", "nonsense"],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/tasks"), ("POST", "/mcp")])
async def test_while_the_database_is_away_nobody_gets_401(
    gateway: Gateway, headers: dict[str, str], method: str, path: str
) -> None:
    """A client that gets 401 begins to log in, which cannot succeed either."""
    url = gateway.url + path
    async with gateway.session.request(method, url, headers=headers) as response:
        assert response.status == 401
    forget_the_database(gateway)
    async with gateway.session.request(method, url, headers=headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert "WWW-Authenticate" not in response.headers


async def test_tasks_of_a_name_belong_to_all_its_keys_and_to_nobody_else(
    gateway: Gateway, database_url: str, filed: NewKey
) -> None:
    key = await store_key(database_url, "filed", scopes=COMMON)
    other = await store_key(database_url, "other", scopes=COMMON)
    task_id = await submitted(gateway, filed)
    await opens(gateway, other)
    assert await status(gateway, bearer(key.text), f"/tasks/{task_id}") == 200
    assert await status(gateway, bearer(other.text), f"/tasks/{task_id}") == 404


@pytest.mark.parametrize("more", [{}, {"Idempotency-Key": '"once"'}], ids=["plain", "under a key"])
async def test_a_task_says_how_and_from_where_it_was_called(
    gateway: Gateway, filed: NewKey, more: dict[str, str]
) -> None:
    task_id = await submitted(gateway, filed, **more)
    sql = "SELECT owner, via, source FROM tasks WHERE id = $1"
    row = await gateway.running.storage.database.fetchrow(sql, task_id)
    assert row is not None
    assert tuple(row) == ("key:filed", "key", "127.0.0.1")


async def test_the_use_of_a_key_is_audited_once_a_minute_and_refusals_are_counted(
    gateway: Gateway, filed: NewKey
) -> None:
    for _ in range(3):
        assert await status(gateway, bearer(filed.text)) == 200
        assert await status(gateway, bearer(new_key().text)) == 401
    admitted = await audited(gateway, "admitted")
    refused = await audited(gateway, "refused")
    assert [(row["principal"], row["via"], row["source"]) for row in admitted] == [("key:filed", "key", "127.0.0.1")]
    assert {(row["source"], row["reason"]) for row in refused} == {("127.0.0.1", "the key is not valid")}


@pytest.mark.parametrize("path", ["/tools/call", "/mcp"])
async def test_a_refusal_for_lack_of_scopes_is_audited_with_them(
    gateway: Gateway, database_url: str, path: str
) -> None:
    key = await store_key(database_url, "reader", scopes=frozenset({"mcp:read"}))
    await opens(gateway, key)
    body: dict[str, Any] = {"name": "anything", "arguments": {}}
    if path == "/mcp":
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": body}
    accept = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    assert (await gateway.post(path, body, headers=bearer(key.text) | accept))[0] == 403
    reasons = {row["reason"] for row in await audited(gateway, "refused")}
    assert reasons - {"the key is not valid"} == {"insufficient_scope: mcp:invoke"}


async def test_cancels_and_answers_are_audited_with_who_did_them(gateway: Gateway, filed: NewKey) -> None:
    canceled, answered = [await submitted(gateway, filed) for _ in range(2)]
    question = {"status": "paused", "prev": [], "curr": "first", "next": [], "pause_metadata": {"prompt": "?"}}
    assert (await gateway.post(f"/mesh/{answered}/progress", question))[0] == 200
    answer: dict[str, Any] = {"answer": {}}
    for path, body in ((f"/tasks/{canceled}/cancel", {}), (f"/tasks/{answered}/resume", answer)):
        for expected in (200, 409):
            assert (await gateway.post(path, body, headers=bearer(filed.text)))[0] == expected
    by = {"principal": "key:filed", "via": "key", "source": "127.0.0.1", "reason": None, "count": 1, "detail": None}
    assert await audited(gateway, "task_answered") == [{**by, "subject": answered}]
    assert await audited(gateway, "task_canceled") == [{**by, "subject": canceled}]


async def test_an_open_gateway_audits_cancels_too(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        task_id = await gateway.submit()
        assert (await gateway.post(f"/tasks/{task_id}/cancel", {}))[0] == 200
        [row] = await audited(gateway, "task_canceled")
        assert (row["principal"], row["via"], row["subject"]) == ("", "open", task_id)
        assert await audited(gateway, "admitted") == []
