"""Work that looks through whole tables, which one process does for all of them in each period."""

from asya_gateway.storage.database import Database

SHARE = 0.9
"""Part of its period that a turn lasts, so that the same process gets the next one if there is no other."""

# A row of `retention` for each kind of turn; its time is the end of the turn. Pods of the version before take no turns,
# and work beside.
_TAKE = """
INSERT INTO retention (kind, finished_at) VALUES ($1, clock_timestamp() + $2 * interval '1 second')
ON CONFLICT (kind) DO UPDATE SET finished_at = excluded.finished_at WHERE retention.finished_at <= clock_timestamp()
RETURNING true
"""


class Turns:
    """The cost of such work would else be multiplied by the number of pods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def taken(self, kind: str, every: float) -> bool:
        """Whether it is this process's turn, of which there is one in `every` seconds. A turn of a process that ends
        meanwhile is not made up for. Raises Unavailable."""
        return bool(await self._database.fetchval(_TAKE, f"turn: {kind}", every * SHARE))
