"""The messages of a conversation. Together they can be as large as several bodies, so that they are sized before they
are read, and no more are read than were asked for in bytes."""

from collections.abc import Sequence

from asya_gateway.domain.answers import RequestKey
from asya_gateway.domain.budget import Budget, Share
from asya_gateway.domain.errors import Conflict, KeyReused
from asya_gateway.domain.task import LARGEST_INLINE, JsonText
from asya_gateway.storage.database import AnyConnection, Database
from asya_gateway.storage.tasks.reading import WEIGHT
from asya_gateway.storage.tasks.rows import inline
from asya_gateway.storage.tasks.written import INTO_MESSAGES, TAKE_REQUEST_KEY

# A statement sees what was committed before it began, so the lock must be held before the numbers are read.
_LOCK = "SELECT true FROM a2a_tasks WHERE task_id = $1 FOR UPDATE"
_ADD = f"""
WITH so_far AS MATERIALIZED (
    SELECT coalesce(max(number), 0) AS number, coalesce(sum(octet_length(message::text)), 0) AS bytes
    FROM a2a_messages WHERE task_id = $1
)
{INTO_MESSAGES}
SELECT $1, number + 1, $2::text::json FROM so_far WHERE number < $3 AND bytes + octet_length($2::text) <= $4
RETURNING number
"""

STORED = "message stored"
"""The action of the keys of messages that are stored, whatever becomes of what they answer."""
_TAKEN = "SELECT digest FROM task_request_keys WHERE task_id = $1 AND action = $2 AND key = $3"
_REMOVE = """
WITH given_back AS (DELETE FROM task_request_keys WHERE task_id = $1 AND action = $3 AND key = $4)
DELETE FROM a2a_messages WHERE task_id = $1 AND number = $2
"""

# The newest one is read however large it is.
_SMALL = f"""
SELECT array_agg(message ORDER BY number) FILTER (WHERE so_far <= {LARGEST_INLINE}) AS messages,
       coalesce(max(so_far), 0) AS bytes, min(number) AS first, max(number) AS last
FROM (
    SELECT number, message, size, sum(size) OVER (ORDER BY number DESC) AS so_far FROM (
        SELECT number, {inline("message")} AS message, octet_length(message::text) AS size
        FROM a2a_messages WHERE task_id = $1 ORDER BY number DESC LIMIT $2
    ) newest
) sized WHERE so_far <= $3 OR so_far = size
"""
_ALL = """
SELECT message::text AS message FROM a2a_messages WHERE task_id = $1 AND number BETWEEN $2 AND $3 ORDER BY number
"""


async def add(
    database: Database, task_id: str, message: JsonText, most: int, most_bytes: int, request: RequestKey | None
) -> int:
    """Append a message, under a key once; returns its number, 0 without a conversation or if it is there already.
    Raises Conflict if there would be more than `most` messages, or more than `most_bytes` of them, and KeyReused."""
    async with database.connection() as connection, connection.transaction():
        if await connection.fetchval(_LOCK, task_id) is None:
            return 0
        if request is not None and not await _first(connection, task_id, request):
            return 0
        number: int | None = await connection.fetchval(_ADD, task_id, message, most, most_bytes)
        if number is None:
            raise Conflict(f"expected at most {most} messages of a task, and {most_bytes} bytes of them")
    return number


async def _first(connection: AnyConnection, task_id: str, request: RequestKey) -> bool:
    """Whether no message was stored under this key. Raises KeyReused."""
    if await connection.fetchval(TAKE_REQUEST_KEY, task_id, STORED, request.key, request.digest):
        return True
    if await connection.fetchval(_TAKEN, task_id, STORED, request.key) != request.digest:
        raise KeyReused
    return False


async def remove(database: Database, task_id: str, number: int, request: RequestKey | None) -> None:
    """Remove a message that was not taken, and its key."""
    await database.execute(_REMOVE, task_id, number, STORED, None if request is None else request.key)


async def newest(database: Database, task_id: str, most: int | None, most_bytes: int) -> Sequence[JsonText]:
    """The newest messages in order, as many as have together at most so many bytes, and at least one. Large ones wait
    for room in the enclosing scope of the budget. Raises NoRoom."""
    row = await database.fetchrow(_SMALL, task_id, most, most_bytes)
    assert row is not None  # an aggregate has one row
    if row["bytes"] <= LARGEST_INLINE:
        return row["messages"] or ()
    await Budget.around().extend(Share.READERS, WEIGHT * row["bytes"])
    return [each["message"] for each in await database.fetch(_ALL, task_id, row["first"], row["last"])]
