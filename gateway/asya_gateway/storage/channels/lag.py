"""How many destinations lag, and how old the oldest entry is that one of them lacks."""

from asya_gateway.storage.channels import open_pages
from asya_gateway.storage.database import Database

_LAG = f"""
WITH looked AS MATERIALIZED ({open_pages.open_page("task_id, delivered_seq, not_before", after="$1", size="$2")})
SELECT p.looked, p.last, l.number, l.oldest, extract(epoch FROM clock_timestamp())::float8 AS now
FROM (SELECT count(*) AS looked, max(not_before) AS last FROM looked) p CROSS JOIN (
    SELECT count(*) AS number,
           extract(epoch FROM min(coalesce(u.at, t.finished_at, t.updated_at)))::float8 AS oldest
    FROM looked d JOIN tasks t ON t.id = d.task_id
    LEFT JOIN task_updates u ON u.task_id = d.task_id AND u.seq = d.delivered_seq + 1
    WHERE t.last_seq > d.delivered_seq
) l
"""


class LagMeter:
    """Measures a few pages at each turn. While it is on its way through many, the number is that of the last time that
    it came through."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place: object = None
        self._number, self._oldest = 0, float("inf")
        self._whole: tuple[int, float] | None = None

    async def measure(self) -> tuple[int, float]:
        """The number, and the age of the oldest entry in seconds. Raises Unavailable."""
        now = 0.0
        for _ in range(open_pages.PAGES):
            row = await self._database.fetchrow(_LAG, self._place, open_pages.PAGE)
            assert row is not None, "an aggregate has a row"
            now, self._place = row["now"], row["last"]
            self._number += row["number"]
            self._oldest = min(self._oldest, row["oldest"] or self._oldest)
            if row["looked"] < open_pages.PAGE:
                self._whole = self._number, self._oldest
                self._place, self._number, self._oldest = None, 0, float("inf")
                break
        number, oldest = self._whole or (self._number, self._oldest)
        return number, max(0.0, now - oldest) if number else 0.0
