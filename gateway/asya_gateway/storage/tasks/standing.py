"""What the database knows of one hop: its claim, or else what a sidecar without claims has reported of it."""

from asya_crds.status import HopState, Standing
from asya_gateway.domain.hop_reports import HopAsked, HopStanding
from asya_gateway.storage.database import Database
from asya_gateway.storage.tasks.guards import ENDED

_BEGUN = f"('{HopState.RECEIVED.value}', '{HopState.PROCESSING.value}')"

# Only dead letters ask, so the log may be read to its end where there is no claim. A report of a hop that has completed
# has the next actor as its current one, so it says nothing of that one. One without a route may be of any hop.
_STANDING = f"""
SELECT t.status {ENDED} AS ended, h.state, h.attempt, coalesce(h.lease_until > clock_timestamp(), false) AS held,
       h.state IS NULL AND EXISTS (
           SELECT 1 FROM task_updates u
           WHERE u.task_id = t.id AND u.kind = 'progress' AND u.detail ->> 'task_state' IS NOT NULL AND (
               u.detail ->> 'curr' IS NULL
               OR (u.detail ->> 'curr' = $4 AND json_array_length(u.detail -> 'prev') = $3::integer
                   AND u.detail ->> 'task_state' IN {_BEGUN})
               OR (json_array_length(u.detail -> 'prev') > $3::integer AND u.detail -> 'prev' ->> $3::integer = $4)
           )
       ) AS reported
FROM tasks t LEFT JOIN task_hops h ON h.task_id = t.id AND h.hop = $2
WHERE t.id = $1
"""


class Standings:
    """Reads what is known of hops."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, asked: HopAsked) -> HopStanding | None:
        """None for an unknown task."""
        row = await self._database.fetchrow(_STANDING, asked.task_id, asked.hop, asked.place, asked.actor)
        if row is None:
            return None
        if row["state"] is None:
            return HopStanding(not row["ended"], Standing.REPORTED if row["reported"] else None)
        return HopStanding(not row["ended"], Standing.read(row["state"]), row["attempt"], row["held"])
