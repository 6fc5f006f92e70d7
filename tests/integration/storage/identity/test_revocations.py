"""Revocations: written in the transaction of what they revoke, known to every pod, and too old when they cannot be."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.revocations import STALE_AFTER
from asya_gateway.storage.identity import revocations as stored
from asya_gateway.storage.identity.revocations import revoke
from servers.proxy import TcpProxy
from tests.support.identity import Pod
from tests.support.storage import Running, make_storage
from tests.support.waiting import until

HOUR = 3600.0


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def revoke_now(session: asyncpg.Connection, *subjects: str, remembered: float = HOUR) -> None:
    async with session.transaction():
        await revoke(session, subjects, remembered)


async def test_each_look_learns_what_was_revoked_since_the_last_one(
    still: Running, session: asyncpg.Connection
) -> None:
    pod = Pod.of(still)
    await revoke_now(session, "grant:1", "client:a")
    await pod.watch.look()
    assert pod.told == ["client:a", "grant:1"]
    await revoke_now(session, "grant:2", "grant:1")
    await pod.watch.look()
    assert pod.told == ["client:a", "grant:1", "grant:2"]
    assert pod.revocations.revoked(["grant:3", "grant:2"])
    assert not pod.revocations.revoked(["grant:3"])
    assert not pod.revocations.revoked([])


async def test_many_revocations_are_read_by_pages(
    still: Running, session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_SINCE", stored._SINCE.replace(f"LIMIT {stored.PAGE}", "LIMIT 2"))
    monkeypatch.setattr(stored, "PAGE", 2)
    await revoke_now(session, "a", "b", "c", "d", "e")
    await revoke_now(session, "f")
    pod = Pod.of(still)
    await pod.watch.look()
    assert pod.told == ["a", "b", "c", "d", "e", "f"]


async def test_a_revocation_that_is_rolled_back_revokes_nothing(still: Running, session: asyncpg.Connection) -> None:
    pod = Pod.of(still)
    transaction = session.transaction()
    await transaction.start()
    await revoke(session, ["grant:1"], HOUR)
    await transaction.rollback()
    await pod.watch.look()
    assert pod.told == []


async def test_a_revocation_that_commits_late_is_not_missed(
    still: Running, session: asyncpg.Connection, database_url: str
) -> None:
    """A reader that asked for rows above the highest version would pass over a transaction that still runs, if another
    one with a higher version had committed before it."""
    other = await asyncpg.connect(database_url)
    pod = Pod.of(still)
    try:
        slow = session.transaction()
        await slow.start()
        await revoke(session, ["grant:slow"], HOUR)
        quick = asyncio.create_task(revoke_now(other, "grant:quick"))
        await pod.watch.look()
        assert not quick.done()
        await slow.commit()
        await quick
        await pod.watch.look()
        assert sorted(pod.told) == ["grant:quick", "grant:slow"]
    finally:
        await other.close()


async def test_a_revocation_is_forgotten_after_its_time(still: Running, session: asyncpg.Connection) -> None:
    pod = Pod.of(still)
    await revoke_now(session, "grant:short", remembered=-1)
    await revoke_now(session, "grant:long")
    await pod.watch.look()
    assert pod.revocations.revoked(["grant:long"])
    assert len(pod.revocations) == 1


async def test_the_longer_of_two_revocations_counts(still: Running, session: asyncpg.Connection) -> None:
    await revoke_now(session, "grant:1")
    await revoke_now(session, "grant:1", remembered=1)
    assert await session.fetchval("SELECT until > now() + interval '1 minute' FROM revocations")


async def test_an_older_state_of_the_database_is_read_anew(still: Running, session: asyncpg.Connection) -> None:
    """After a restore from a backup, versions are lower than what this process has seen."""
    pod = Pod.of(still)
    for number in range(3):
        await revoke_now(session, f"grant:{number}")
    await pod.watch.look()
    await session.execute("DELETE FROM revocations; UPDATE identity_versions SET version = 0")
    await revoke_now(session, "grant:after")
    await pod.watch.look()
    assert pod.revocations.revoked(["grant:after"])
    assert pod.revocations.revoked(["grant:0"])


async def test_knowledge_is_stale_before_the_first_look_and_ten_seconds_after_the_last(still: Running) -> None:
    now = [100.0]
    pod = Pod.of(still, monotonic=lambda: now[0])
    with pytest.raises(Unavailable, match="credentials cannot be checked now"):
        pod.revocations.check_fresh()
    await pod.watch.look()
    now[0] += STALE_AFTER
    pod.revocations.check_fresh()
    now[0] += 0.1
    with pytest.raises(Unavailable):
        pod.revocations.check_fresh()
    await pod.watch.look()
    pod.revocations.check_fresh()


async def test_revocations_reach_every_pod_at_once_and_a_lost_database_makes_them_stale(
    running: Running, session: asyncpg.Connection, database_url: str
) -> None:
    now = [0.0]
    proxy, url = await TcpProxy.before(database_url)
    behind = make_storage(url)
    await behind.storage.start()
    pods = [Pod.of(running, look_every=HOUR), Pod.of(behind, look_every=0.05, monotonic=lambda: now[0])]
    try:
        for pod in pods:
            await pod.watch.start()
            assert await pod.running.storage.bell.attended("asya_identity")
        await revoke_now(session, "grant:1")
        for pod in pods:
            await until(lambda pod=pod: pod.told == ["grant:1"])  # type: ignore[misc]
        assert not pods[1].revocations.uncertain
        proxy.refuse()
        # Nobody is refused for good as soon as that is known, which is before the ten seconds are over.
        await until(lambda: pods[1].revocations.uncertain)
        assert not pods[1].revocations.stale
        now[0] += STALE_AFTER + 1
        assert pods[1].revocations.stale
        assert not pods[0].revocations.stale
        proxy.accept()
        await until(lambda: not pods[1].revocations.uncertain)
    finally:
        for pod in pods:
            await pod.watch.stop()
        await behind.storage.stop()
        await proxy.close()


async def test_one_subscriber_s_fault_hides_nothing_from_the_others(
    still: Running, session: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    pod = Pod.of(still)

    def fail(_subjects: frozenset[str]) -> None:
        raise RuntimeError("a fault")

    heard: list[frozenset[str]] = []
    pod.revocations.on_revoked(fail)
    leave = pod.revocations.on_revoked(heard.append)
    await revoke_now(session, "grant:1")
    await pod.watch.look()
    assert heard == [{"grant:1"}]
    assert "a fault" in caplog.text
    leave()
    leave()
    await revoke_now(session, "grant:2")
    await pod.watch.look()
    assert heard == [{"grant:1"}]


async def test_nothing_is_revoked_by_no_subjects(still: Running, session: asyncpg.Connection) -> None:
    await revoke_now(session)
    assert await session.fetchval("SELECT version FROM identity_versions WHERE kind = 'revocations'") == 0
