"""Keys in the table: made and revoked on one session, in force on every pod."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from asya_gateway.composition.keys import Keys
from asya_gateway.domain.identity import keys as domain_keys
from asya_gateway.domain.identity.key_text import new_key
from asya_gateway.domain.identity.keys import KeySource
from asya_gateway.domain.identity.revocations import LOOK_EVERY
from asya_gateway.storage.identity import keys as stored_keys
from asya_gateway.storage.identity import watch as watching
from asya_gateway.storage.identity.keys import (
    PostgresKeys,
    TooManyKeys,
    create_key,
    list_keys,
    revoke_keys,
    scopes_and_roles_of,
)
from tests.support.gateway import make_settings
from tests.support.identity import BY, Pod, record_of, store_key
from tests.support.storage import Running
from tests.support.waiting import until

HOUR = 3600.0
LONGEST_LOOK = 0.5
"""Seconds that are left for reading what has changed."""


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def pod(still: Running) -> Pod:
    """A pod that looks when the test says so."""
    return Pod.of(still)


async def test_a_stored_key_is_found_with_its_scopes_roles_and_expiry(pod: Pod, session: asyncpg.Connection) -> None:
    key = new_key()
    expires = time.time() + HOUR
    given = record_of(key, scopes=frozenset({"mcp:read", "x"}), roles=frozenset({"ops"}), expires_at=expires)
    await create_key(session, given, BY)
    await pod.watch.look()
    found = pod.finds(key)
    assert found is not None
    assert found.expires_at == pytest.approx(expires, abs=1e-3)
    assert (found.name, *found.roles, sorted(found.scopes)) == ("ci", "ops", ["mcp:read", "x"])
    assert pod.ring.find(key.text, KeySource.TABLE, expires + 1) is None


async def test_no_secret_is_stored(session: asyncpg.Connection, database_url: str) -> None:
    key = await store_key(database_url)
    for table in ("api_keys", "audit"):
        text = str(await session.fetchval(f"SELECT json_agg(t)::text FROM {table} t"))
        assert key.id in text
        assert key.text.split("_")[2] not in text


async def test_a_name_has_several_living_keys_and_each_is_revoked_alone_or_all_by_name(
    pod: Pod, session: asyncpg.Connection, database_url: str
) -> None:
    first, second, third = [await store_key(database_url) for _ in range(3)]
    other = await store_key(database_url, "other")
    assert await revoke_keys(session, first.id, BY) == [first.id]
    await pod.watch.look()
    assert (pod.finds(first), pod.finds(second) is not None) == (None, True)
    assert sorted(await revoke_keys(session, "ci", BY)) == sorted([second.id, third.id])
    assert await revoke_keys(session, "ci", BY) == []
    await pod.watch.look()
    assert [pod.finds(each) for each in (first, second, third)] == [None, None, None]
    assert pod.finds(other) is not None
    assert pod.told == sorted([f"key:{second.id}", f"key:{third.id}"])
    assert pod.revocations.revoked([f"key:{second.id}"])
    assert not pod.revocations.revoked([f"key:{other.id}"])


async def test_a_key_that_expired_is_not_loaded(pod: Pod, database_url: str) -> None:
    key = await store_key(database_url, expires_at=time.time() - 1)
    await pod.watch.look()
    assert len(pod.ring) == 0
    assert pod.finds(key) is None


async def test_living_keys_are_listed_and_every_key_on_request(session: asyncpg.Connection, database_url: str) -> None:
    living = await store_key(database_url, "a", scopes=frozenset({"s"}), roles=frozenset({"r"}))
    gone = await store_key(database_url, "b")
    await revoke_keys(session, "b", BY)
    [listed] = await list_keys(session)
    assert (listed.id, listed.name, listed.scopes, listed.roles, listed.living) == (
        living.id,
        "a",
        ("s",),
        ("r",),
        True,
    )
    assert [(each.id, each.living) for each in await list_keys(session, every=True)] == [
        (living.id, True),
        (gone.id, False),
    ]


async def test_the_newest_living_key_of_a_name_says_what_a_rotated_one_may(
    session: asyncpg.Connection, database_url: str
) -> None:
    assert await scopes_and_roles_of(session, "ci") is None
    await store_key(database_url, scopes=frozenset({"old"}))
    await store_key(database_url, scopes=frozenset({"new"}), roles=frozenset({"r"}))
    assert await scopes_and_roles_of(session, "ci") == (["new"], ["r"])


async def test_there_is_a_limit_of_living_keys(
    session: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_keys, "MOST_KEYS", 1)
    await store_key(database_url)
    with pytest.raises(TooManyKeys):
        await create_key(session, record_of(new_key(), "other"), BY)
    assert domain_keys.MOST_KEYS == 10_000
    assert len(await list_keys(session)) == 1


async def test_making_and_revoking_a_key_is_audited_in_the_same_transaction(
    session: asyncpg.Connection, database_url: str
) -> None:
    key = await store_key(database_url, "ci", roles=frozenset({"ops"}))
    await revoke_keys(session, "ci", BY)
    rows = await session.fetch("SELECT event, principal, subject, detail FROM audit ORDER BY id")
    assert [(row["event"], row["principal"], row["subject"]) for row in rows] == [
        ("key_created", BY, f"key:{key.id}"),
        ("key_revoked", BY, f"key:{key.id}"),
    ]
    assert rows[0]["detail"] == '{"owner":"key:ci","scopes":["mcp:read"],"roles":["ops"]}'


async def test_many_keys_are_read_by_pages(pod: Pod, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_keys, "PAGE", 2)
    monkeypatch.setattr(stored_keys, "MOST_KEYS", 5)
    keys = [await store_key(database_url) for _ in range(5)]
    await pod.watch.look()
    assert all(pod.finds(key) for key in keys)
    assert len(pod.ring) == 5


async def test_uses_of_a_key_are_recorded_at_most_once_a_minute(
    pod: Pod, session: asyncpg.Connection, database_url: str
) -> None:
    key = await store_key(database_url)
    store = PostgresKeys(pod.running.storage.database)

    async def last() -> datetime | None:
        return (await list_keys(session))[0].last_used_at

    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert await last() is None
    pod.watch.used(key.id, noon.timestamp())
    pod.watch.used("unknownunkno", noon.timestamp())
    await pod.watch.record_uses()
    assert await last() == noon
    await store.used({key.id: noon.timestamp() + 59})
    assert await last() == noon
    await store.used({key.id: noon.timestamp() + 61})
    assert await last() == noon.replace(minute=1, second=1)
    await store.used({key.id: noon.timestamp()})
    assert await last() == noon.replace(minute=1, second=1)


async def test_uses_that_cannot_be_recorded_are_kept(still: Running, database_url: str) -> None:
    key = await store_key(database_url)
    pod = Pod.of(still)
    pod.watch.used(key.id, 1.0)
    await still.storage.database.close()
    await pod.watch.stop()
    await still.storage.database.open()
    await pod.watch.record_uses()
    assert await still.storage.database.fetchval("SELECT last_used_at FROM api_keys") is not None


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM api_keys", "UPDATE api_keys SET revoked_at = now()", "UPDATE api_keys SET hash = sha256('')"],
)
async def test_a_key_that_was_changed_by_hand_is_noticed_within_a_minute(
    still: Running, session: asyncpg.Connection, database_url: str, change: str
) -> None:
    now = [0.0]
    pod = Pod.of(still, monotonic=lambda: now[0])
    key = await store_key(database_url)
    for _ in range(2):
        await pod.watch.look()
    await session.execute(change)
    now[0] += watching.COMPARE_EVERY - 1
    await pod.watch.look()
    assert pod.finds(key) is not None
    now[0] += 1
    await pod.watch.look()
    assert pod.finds(key) is None
    assert pod.told == [f"key:{key.id}"]


async def test_keys_made_and_revoked_anywhere_are_in_force_on_a_running_pod_at_once(
    running: Running, session: asyncpg.Connection, database_url: str
) -> None:
    """Its polls are hours apart: the bell alone tells it."""
    pod = Pod.of(running, look_every=HOUR)
    await pod.watch.start()
    try:
        assert await running.storage.bell.attended("asya_identity")
        key = await store_key(database_url)
        await until(lambda: pod.finds(key), what="the new key")
        await revoke_keys(session, key.id, BY)
        await until(lambda: pod.finds(key) is None, what="the end of the key")
        assert pod.told == [f"key:{key.id}"]
    finally:
        await pod.watch.stop()


async def test_a_pod_whose_bell_is_deaf_polls(
    running: Running, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "CHANNEL", "another_channel")
    pod = Pod.of(running, look_every=0.01)
    await pod.watch.start()
    try:
        key = await store_key(database_url)
        await until(lambda: pod.finds(key), what="the new key")
    finally:
        await pod.watch.stop()


async def test_every_pod_looks_within_two_seconds_of_a_change_though_no_bell_tells_it(
    running: Running, session: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interval is the one with which gateways are assembled; a test of its length would prove less and take
    longer."""
    waits = set[float | None]()

    def soon(delay: float | None) -> asyncio.Timeout:
        waits.add(delay)
        return asyncio.timeout(0.01)

    monkeypatch.setattr(watching, "CHANNEL", "another_channel")
    monkeypatch.setattr(watching, "timeout", soon)
    pods = [Keys(make_settings(auth="required"), running.storage) for _ in range(2)]
    async with pods[0].running(), pods[1].running():
        key = await store_key(database_url)
        await until(lambda: all(pod.ring.lives(key.id) for pod in pods), what="the new key")
        await revoke_keys(session, key.id, BY)
        ended = f"key:{key.id}"
        await until(lambda: all(pod.revocations.revoked([ended]) for pod in pods), what="the end of the key")
    assert waits == {LOOK_EVERY}
    assert LOOK_EVERY + LONGEST_LOOK <= 2.0


async def test_keys_that_are_made_at_the_same_time_are_all_found(pod: Pod, database_url: str) -> None:
    keys = await asyncio.gather(*(store_key(database_url, f"n{number}") for number in range(5)))
    await pod.watch.look()
    assert all(pod.finds(key) for key in keys)
