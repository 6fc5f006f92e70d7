"""How the gateway's storage inserts messages into queues within its own transaction, and rings afterwards.

The contract, for any statement on the same database:

    INSERT INTO queue_messages (queue, body) SELECT …

`queue` is `asya_crds.naming.queue_name(namespace, actor)`, `body` the envelope's JSON as UTF-8 (`bytea`). Every other
column has the right default for a new message; `ready_at` may be given to delay the first delivery. Nothing is checked:
a message for an undeclared actor stays, and is delivered once a consumer receives for it. Call `ring` after the commit;
without it the next safety poll finds the message (after a second by default).
"""

import hashlib
from collections.abc import Iterable

from asya_transports.postgres.schema import Connection

ENQUEUE_TABLE = "queue_messages"
ENQUEUE_COLUMNS = ("queue", "body")
"""The columns that the gateway's insert must fill: text and bytea."""

PAYLOAD_BYTES = 7900
"""PostgreSQL refuses a NOTIFY payload of 8,000 bytes or more."""


def bell_channel(namespace: str) -> str:
    """The LISTEN channel of a namespace: `asya_queues_{namespace}`, hashed if it is too long for an identifier."""
    channel = f"asya_queues_{namespace}"
    if len(channel.encode()) < 64:
        return channel
    return "asya_queues_" + hashlib.sha256(namespace.encode()).hexdigest()[:40]


def not_declared(queue: str) -> str:
    """Why a message cannot be delivered, if nobody has declared its queue."""
    return f"queue {queue} is not declared"


def payloads(actors: Iterable[str]) -> list[str]:
    """The actors' names joined by commas, each payload short enough for one NOTIFY."""
    texts: list[str] = []
    for actor in sorted(set(actors)):
        if texts and len(texts[-1].encode()) + len(actor.encode()) < PAYLOAD_BYTES:
            texts[-1] += "," + actor
        else:
            texts.append(actor)
    return texts


async def ring(connection: Connection, namespace: str, actors: Iterable[str]) -> None:
    """Wake the receivers for these actors. Call it outside the transaction that wrote the messages, because a NOTIFY
    inside it makes all commits of the database wait for one another. Raises asyncpg's errors, which a caller may
    ignore, because the safety poll finds the messages."""
    texts = payloads(actors)
    if texts:
        await connection.execute(
            "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload", bell_channel(namespace), texts
        )
