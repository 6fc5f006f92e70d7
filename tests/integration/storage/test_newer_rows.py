"""Rows written by a newer version: no reader fails on an unknown value."""

import asyncio

from tests.support.gateway import start_gateway

NEWER = """
WITH task AS (
    UPDATE tasks SET last_seq = last_seq + 1, status = 'suspended', updated_at = clock_timestamp()
    WHERE id = $1 RETURNING id, last_seq
)
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT id, last_seq, 'artifact', 'suspended', 7, '{"message":"a file","artifact":{"name":"x"}}', clock_timestamp()
FROM task
"""
ENDED = """
WITH task AS (
    UPDATE tasks SET last_seq = last_seq + 1, status = 'expired', finished_at = clock_timestamp(), ended_as = 'expired'
    WHERE id = $1 RETURNING id, last_seq
), failure AS (
    INSERT INTO task_bodies (task_id, kind, body)
    SELECT id, 'error', '{"code":"quota","message":"m","class":"quota"}' FROM task
)
INSERT INTO task_updates (task_id, seq, kind, status, progress, detail, at)
SELECT id, last_seq, 'final', 'expired', 7,
       '{"message":"over","error":{"code":"quota","message":"m","class":"quota"}}', clock_timestamp()
FROM task
"""


async def test_a_row_of_another_version_stops_neither_its_own_reader_nor_others(database_url: str) -> None:
    async with start_gateway(database_url) as gateway:
        database = gateway.running.storage.database
        newer, other = await gateway.submit(), await gateway.submit()
        async with gateway.stream(f"/mesh/{newer}/stream") as one, gateway.stream(f"/mesh/{other}/stream") as two:
            await one.next()
            await two.next()
            await database.execute(NEWER, newer)
            event = await one.next()
            assert event is not None
            assert (event.data["status"], event.data["artifact"]) == ("suspended", {"name": "x"})
            await gateway.finish(other, {"x": 1})
            async with asyncio.timeout(10):
                assert [each.data["status"] for each in await two.all()] == ["succeeded"]
            status, task = await gateway.get(f"/tasks/{newer}")
            assert (status, task["status"]) == (200, "suspended")
            status, listed = await gateway.get("/tasks")
            assert status == 200
            assert {each["status"] for each in listed["tasks"]} == {"suspended", "succeeded"}
            await database.execute(ENDED, newer)
            async with asyncio.timeout(10):
                (end,) = await one.all()
            assert (end.data["status"], end.data["error"]["class"]) == ("expired", "quota")
            status, task = await gateway.get(f"/tasks/{newer}")
            assert (status, task["status"], task["error"]["class"]) == (200, "expired", "quota")
