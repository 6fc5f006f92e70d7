"""The end of a hop with a large envelope takes its time; hops that begin beside it do not wait for it."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from asya_actor.mesh.batching import Line, ReportLine
from asya_actor.mesh.client import MeshClient
from asya_actor.mesh.lives import queues_text
from asya_crds import jsontext
from asya_crds.envelope import Envelope, Route
from asya_transports.postgres import statements
from tests.support.actors import OFFER, Mesh, declare, start_mesh
from tests.support.waiting import until

QUEUES = queues_text(
    transport="postgres", namespace="default", place="", sink="x-sink", sump="x-sump", unroutable_seconds=30
)


def report(kind: str, task_id: str, **more: Any) -> str:
    claim = {"hop": "0", "attempt": 1, "claimant": f"worker-of-{task_id}"}
    found = {"kind": kind, "id": task_id, "prev": [], "curr": "unserved", "next": [], "claim": claim, **more}
    return jsontext.dumps(found)


HELD_BACK = """
CREATE FUNCTION held_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '0', true);
    PERFORM pg_advisory_xact_lock(1);
    RETURN NEW;
END $$;
CREATE TRIGGER held_back BEFORE INSERT ON queue_messages FOR EACH ROW WHEN (octet_length(NEW.body) > 1000000)
EXECUTE FUNCTION held_back()
"""
"""The statement with a large message takes as long as the test holds the lock."""
HELD = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()
"""


WORKERS = 3
"""More than mesh writes large ends at a time."""


async def large_end(mesh: Mesh, line: ReportLine, size: int) -> str:
    """The report of a hop that has begun, with an envelope of so many bytes."""
    task_id = await mesh.submit(["unserved"], {})
    lease = timedelta(seconds=120)
    message = await mesh.gateway.database.fetchrow(
        statements.TAKE, "asya-default-unserved", 1, lease, 5, "asya-default-dlq", "unserved", True
    )
    assert message is not None
    assert (await line.submit(report("begin", task_id)))["action"] == "go"
    head, payload = Envelope(task_id, Route(("unserved",), "echo", ()), "x" * size).to_texts()
    send = {"to": "echo", "id": task_id, "head": head, "payload": payload}
    return report("end", task_id, sends=[send], ack={"message": message["id"], "receipt": str(message["receipt"])})


@pytest.mark.parametrize(("connections", "at_once"), [(10, 2), (4, 1)])
async def test_no_beginning_waits_for_a_large_end_beside_it(database_url: str, connections: int, at_once: int) -> None:
    """Large ends and beginnings share a line, as in one worker. However long the ends take in the database, the
    beginnings that were reported in their moment are answered, and those after them. Half of the connections are for
    both, and one of them is left by ends."""
    async with start_mesh(database_url, db_max_conns=connections, db_statement_timeout=120) as mesh:
        await beginnings_beside_large_ends(mesh, database_url, at_once)


async def beginnings_beside_large_ends(mesh: Mesh, database_url: str, at_once: int) -> None:
    await declare(mesh, "unserved", "echo")
    client = MeshClient(offers={mesh.url: OFFER})
    lines = [ReportLine(client, Line(mesh.url, QUEUES)) for _ in range(WORKERS)]
    holder = await asyncpg.connect(database_url)
    try:
        ends = [await large_end(mesh, line, size * 1024 * 1024) for line, size in zip(lines, (10, 2, 2), strict=True)]
        others = [await mesh.submit(["echo"], {}) for _ in range(5 * WORKERS)]
        await holder.execute(HELD_BACK)
        await holder.execute("SELECT pg_advisory_lock(1)")
        beside, ending = [], []
        for line, end in zip(lines, ends, strict=True):
            beside.append(asyncio.create_task(line.submit(report("begin", others.pop()))))
            ending.append(asyncio.create_task(line.submit(end, rows=2)))
            beside.append(asyncio.create_task(line.submit(report("begin", others.pop()))))
        async with asyncio.timeout(30):
            assert [(await each)["action"] for each in beside] == ["go"] * 2 * WORKERS

        async def held() -> bool:
            return bool(await holder.fetchval(HELD) == at_once)

        await until(held, 30, "as many ends in the database as it writes at a time")
        for number, other in enumerate(others):
            async with asyncio.timeout(30):
                assert (await lines[number % WORKERS].submit(report("begin", other)))["action"] == "go"
        assert not any(each.done() for each in ending)
        await holder.execute("SELECT pg_advisory_unlock(1)")
        assert [(await each)["outcome"] for each in ending] == ["ended"] * WORKERS
    finally:
        await holder.close()
        for line in lines:
            await line.close()
        await client.close()
