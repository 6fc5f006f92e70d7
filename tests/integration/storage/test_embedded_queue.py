"""The postgres transport's row is written in the task's own transaction: accepted means enqueued, once."""

import asyncpg
import pytest

from servers.proxy import TcpProxy
from tests.support.storage import Running, make_storage, new_task


async def queued(running: Running) -> list[tuple[str, bytes]]:
    rows = await running.storage.database.fetch("SELECT queue, body FROM queue_messages ORDER BY queue")
    return [(row["queue"], bytes(row["body"])) for row in rows]


async def test_an_accepted_task_has_its_message_and_no_outbox_row(embedded: Running) -> None:
    await embedded.create()
    assert await queued(embedded) == [("asya-default-first", b'{"id":"x"}')]
    assert await embedded.storage.database.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_task_whose_message_cannot_be_written_is_not_accepted(embedded: Running, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE queue_messages ADD CONSTRAINT never CHECK (false)")
    await connection.close()
    with pytest.raises(asyncpg.CheckViolationError):
        await embedded.create()
    database = embedded.storage.database
    for table in ("tasks", "task_bodies", "task_updates", "queue_messages"):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_a_task_whose_answer_was_lost_has_one_message(embedded: Running, database_url: str) -> None:
    proxy, url = await TcpProxy.before(database_url)
    behind = make_storage(url, namespace="default")
    await behind.storage.start()
    try:
        new = new_task()
        proxy.lose_answer_to(new.id.encode())
        await behind.tasks.create(new)
        assert proxy.lost == 1
        assert len(await queued(embedded)) == 1
    finally:
        await behind.storage.stop()
        await proxy.close()
