"""Crews that run, and whether they have hooks: what decides whether a success may be written without x-sink."""

from asya_gateway.domain.hop_reports import CrewReport
from asya_gateway.storage.database import Database

HEARD_WITHIN = 15.0
"""Seconds for which a crew counts after it was heard of."""
FORGOTTEN_AFTER = 3600.0
"""Seconds after which a crew that was not heard of again is removed."""

_SAYS = """
WITH old AS (
    DELETE FROM crews WHERE said_at < clock_timestamp() - $4 * interval '1 second' AND name <> $1
)
INSERT INTO crews (name, sink, hooks, said_at) VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET sink = excluded.sink, hooks = excluded.hooks, said_at = excluded.said_at
"""


class Crews:
    """The table of crews. Every method raises Unavailable while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def says(self, report: CrewReport) -> None:
        """Take a crew's announcement; returns after the commit."""
        if report.leaving:
            await self._database.execute("DELETE FROM crews WHERE name = $1", report.name)
        else:
            await self._database.execute(_SAYS, report.name, report.sink, report.hooks, FORGOTTEN_AFTER)
