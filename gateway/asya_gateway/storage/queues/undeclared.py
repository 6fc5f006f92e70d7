"""Tells the tasks whose messages wait in queues of this database that nobody has declared."""

import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from asya_crds import jsontext
from asya_crds.incarnations import resolve
from asya_crds.naming import queue_name
from asya_gateway.domain.log import waits_for_queue
from asya_gateway.storage.database import Database
from asya_gateway.storage.queues.counting import UNDECLARED_AFTER
from asya_gateway.storage.tasks.noting import Notes
from asya_transports.postgres.enqueue import ENQUEUE_TABLE, not_declared

MOST = 500
"""Most messages of a queue that are read in one turn."""
QUEUES = 20
"""Most queues that are read in one turn; the others follow in later ones."""
HEAD = 2048
"""Bytes of a message that are read. The id comes first in envelopes of this project and of existing sidecars."""
_ID = re.compile(r'\s*\{\s*"id"\s*:\s*("(?:[^"\\]|\\.)*")')
_START = (datetime(2000, 1, 1, tzinfo=UTC), 0)

# Messages of a queue without workers stay as they are, so that each is read once, in the order of the index.
_WAITING = f"""
SELECT id, ready_at, substr(body, 1, {HEAD}) AS head FROM {ENQUEUE_TABLE}
WHERE queue = $1 AND (ready_at, id) > ($2, $3) AND ready_at <= now() - {UNDECLARED_AFTER} * interval '1 second'
ORDER BY ready_at, id LIMIT {MOST}
"""


class Undeclared:
    """Remembers up to where it has read each queue. Another process that continues reads from the start, and `note`
    says nothing twice in a row."""

    def __init__(self, database: Database, namespace: str, note: Callable[[Notes], Awaitable[object]]) -> None:
        self._hot = database.hot
        self._namespace = namespace
        self._note = note
        self._places: dict[str, tuple[datetime, int]] = {}

    async def tell(self, actors: Iterable[str]) -> None:
        """Append to the logs of tasks that wait for these actors and were not told yet. Raises Unavailable."""
        missing = set(actors)
        self._places = {actor: place for actor, place in self._places.items() if actor in missing}
        # Those that were never read come first, then those whose last turn is longest ago.
        order = [*sorted(missing - self._places.keys()), *self._places]
        for actor in order[:QUEUES]:
            place = await self._tell_of(actor, self._places.get(actor, _START))
            self._places.pop(actor, None)
            self._places[actor] = place

    async def _tell_of(self, actor: str, place: tuple[datetime, int]) -> tuple[datetime, int]:
        queue = queue_name(self._namespace, actor)
        rows = await self._hot.fetch(_WAITING, queue, *place)
        entry = waits_for_queue(actor, not_declared(queue))
        notes = {task_id: entry for row in rows if (task_id := _task_of(row["head"])) is not None}
        if notes:
            await self._note(notes)
        return (rows[-1]["ready_at"], rows[-1]["id"]) if rows else place


def _task_of(head: bytes) -> str | None:
    """The task of an envelope that begins like this; None if its id does not come first, or is none."""
    found = _ID.match(head.decode("utf-8", "replace"))
    with suppress(jsontext.InvalidJSON):
        name = "" if found is None else jsontext.loads(found[1])
        return resolve(name).task_id if name and name.isprintable() else None
    return None
