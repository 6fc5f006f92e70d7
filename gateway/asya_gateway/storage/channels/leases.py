"""What lags behind the logs of its tasks, leased to the process that delivers it."""

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count
from typing import Any

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.destinations import DeliveryCapacity, DeliveryProgress, Lagging, LogPage
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.keys import SUBJECT_PREFIX
from asya_gateway.storage.channels import open_pages
from asya_gateway.storage.channels.announcing import DestinationAnnouncements
from asya_gateway.storage.channels.destinations import COLUMNS, destination_of
from asya_gateway.storage.channels.lag import LagMeter
from asya_gateway.storage.channels.open_pages import open_page
from asya_gateway.storage.coalescer import Coalescer, Limits
from asya_gateway.storage.database import UNHURRIED, Database
from asya_gateway.storage.retrying import within
from asya_gateway.storage.tasks.growing import grown

LEASE = 60.0
"""Seconds of a lease. An entry is delivered in at most two requests of ten seconds each, after a wait of at most five
for its turn, and each entry renews it: what delivers keeps its lease also when it waits for the database meanwhile."""
PAGE_BYTES = 8 * 1024 * 1024
"""Most bytes of the entries that one round reads."""

_FREE = "(d.leased_by IS NULL OR d.lease_until < clock_timestamp())"
_DUE = f"NOT d.done AND d.disabled_reason IS NULL AND d.not_before <= clock_timestamp() AND {_FREE}"
_LOOKED = (
    "task_id, channel, name, host, owner, delivered_seq, not_before, done, disabled_reason, leased_by, lease_until"
)

# First what lags, and its place among those of the same host and owner; then the rows are locked, and judged again,
# because another process may have leased them meanwhile.
_LEASE = f"""
WITH looked AS MATERIALIZED ({{looked}}), lagging AS MATERIALIZED (
    SELECT d.task_id, d.channel, d.name, d.host, d.owner, d.not_before,
           row_number() OVER (PARTITION BY d.host ORDER BY d.not_before, d.task_id, d.name) AS of_host,
           row_number() OVER (PARTITION BY d.owner ORDER BY d.not_before, d.task_id, d.name) AS of_owner
    FROM looked d JOIN tasks t ON t.id = d.task_id
    WHERE {_DUE} AND t.last_seq > d.delivered_seq AND d.channel = ANY ($8)
      AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::integer[]) AS b(host, room)
                      WHERE b.host = d.host AND b.room <= 0)
      AND NOT EXISTS (SELECT FROM unnest($4::text[], $5::integer[]) AS b(owner, room)
                      WHERE b.owner = d.owner AND b.room <= 0)
), chosen AS MATERIALIZED (
    SELECT l.task_id, l.channel, l.name FROM lagging l
    LEFT JOIN unnest($2::text[], $3::integer[]) AS h(host, room) ON h.host = l.host
    LEFT JOIN unnest($4::text[], $5::integer[]) AS o(owner, room) ON o.owner = l.owner
    WHERE l.of_host <= coalesce(h.room, $9) AND l.of_owner <= coalesce(o.room, $10)
    ORDER BY l.not_before LIMIT $6
), locked AS MATERIALIZED (
    SELECT d.task_id, d.channel, d.name FROM chosen c CROSS JOIN LATERAL (
        SELECT * FROM destinations o
        WHERE o.task_id = c.task_id AND o.channel = c.channel AND o.name = c.name OFFSET 0 FOR UPDATE SKIP LOCKED
    ) d WHERE {_DUE}
), leased AS (
    UPDATE destinations d SET leased_by = $7, lease_until = clock_timestamp() + {LEASE} * interval '1 second'
    FROM locked l WHERE d.task_id = l.task_id AND d.channel = l.channel AND d.name = l.name
    RETURNING {UNHURRIED}, {COLUMNS}, d.delivered_seq, d.status, d.attempts,
        coalesce(extract(epoch FROM clock_timestamp() - d.failing_since), 0)::float8 AS failing
)
"""
# Rows of known tasks are found by their key before it is asked whether they are open (MATERIALIZED, and OFFSET 0
# above). A planner that expects few open ones would otherwise read all of those for one.
_LEASE_THESE = (
    _LEASE.format(looked=f"SELECT {_LOOKED} FROM destinations WHERE task_id = ANY ($1)") + "SELECT * FROM leased"
)
_LEASE_ANY = f"""
{_LEASE.format(looked=open_page(_LOOKED, after="$1", size="$11", more="not_before <= now()"))}
SELECT l.*, p.looked, p.last
FROM (SELECT count(*) AS looked, max(not_before) AS last FROM looked) p LEFT JOIN leased l ON true
"""

# What a crash of the server takes back is delivered again, so that no commit waits for the disk.
# In the order of keys, as every writer of several rows locks them.
_SETTLE = f"""
WITH said AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::float8[],
                         $8::text[], $9::boolean[], $10::boolean[], $11::text[])
        AS s(task_id, channel, name, seq, status, attempts, wait, reason, done, release, lease)
), held AS MATERIALIZED (
    SELECT d.task_id, d.channel, d.name FROM destinations d
    JOIN said s ON s.task_id = d.task_id AND s.channel = d.channel AND s.name = d.name AND s.lease = d.leased_by
    WHERE d.task_id = ANY ($1)
    ORDER BY d.task_id, d.channel, d.name FOR UPDATE OF d
)
UPDATE destinations d SET
    delivered_seq = s.seq, status = s.status, attempts = s.attempts, disabled_reason = s.reason, done = s.done,
    not_before = CASE WHEN s.wait > 0 THEN clock_timestamp() + s.wait * interval '1 second' ELSE d.not_before END,
    failing_since = CASE WHEN s.attempts > 0 THEN coalesce(d.failing_since, clock_timestamp()) END,
    leased_by = CASE WHEN NOT s.release THEN d.leased_by END,
    lease_until = CASE WHEN NOT s.release THEN clock_timestamp() + {LEASE} * interval '1 second' END
FROM held h JOIN said s ON s.task_id = h.task_id AND s.channel = h.channel AND s.name = h.name
WHERE d.task_id = h.task_id AND d.channel = h.channel AND d.name = h.name
RETURNING {UNHURRIED}, d.task_id, d.channel, d.name
"""
_GIVE_BACK = """
WITH held AS MATERIALIZED (
    SELECT d.task_id, d.channel, d.name FROM destinations d
    JOIN unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS l(task_id, channel, name, lease)
        ON l.task_id = d.task_id AND l.channel = d.channel AND l.name = d.name AND l.lease = d.leased_by
    ORDER BY d.task_id, d.channel, d.name FOR UPDATE OF d
)
UPDATE destinations d SET leased_by = NULL, lease_until = NULL
FROM held h WHERE d.task_id = h.task_id AND d.channel = h.channel AND d.name = h.name
"""
_OPEN = f"SELECT task_id FROM destinations WHERE {open_pages.OPEN} AND channel = ANY ($1) LIMIT $2"


# A key that was removed from its table says nothing: it may be one of a file.
_REVOKED = """
SELECT EXISTS (SELECT FROM api_keys WHERE id = ANY ($2) AND least(revoked_at, expires_at) <= clock_timestamp())
    OR EXISTS (SELECT FROM revocations WHERE subject = ANY ($1))
"""


class PostgresDeliveries:
    """Implements the domain's DeliveryQueue. `per_host` and `per_owner` are what each may get at once."""

    def __init__(
        self,
        database: Database,
        announcing: DestinationAnnouncements,
        *,
        channels: Sequence[str],
        per_host: int,
        per_owner: int,
        limits: Limits,
        longest: float,
        budget: Budget | None = None,
    ) -> None:
        self._database = database
        self._hot = database.hot
        self._announcing = announcing
        self._channels = list(channels)
        self._per_host, self._per_owner = per_host, per_owner
        self._longest = longest
        self._process, self._lease_numbers = uuid.uuid4().hex, count(1)
        self._place: object = None
        """The time behind which the next poll goes on; None at the beginning."""
        self._lag = LagMeter(database)
        self._settles = Coalescer[DeliveryProgress, bool](
            "deliveries", self._flush, key=lambda each: each.key, size=lambda _: 128, limits=limits, budget=budget
        )

    async def start(self, look: Callable[[Iterable[str] | None], None]) -> None:
        """Begin to listen. While the database is away, polls find what lags."""
        self._announcing.listen(look)
        try:
            rows = await self._database.fetch(_OPEN, self._channels, self._announcing.most_known)
            # A session plans these once, which takes longer than delivering does.
            await self.lease((), DeliveryCapacity(), 1)
            await self.pages(())
        except Unavailable:
            return
        self._announcing.known([row["task_id"] for row in rows])

    async def lease(self, task_ids: Iterable[str] | None, busy: DeliveryCapacity, most: int) -> Sequence[Lagging]:
        # Each call's lease is of its own, so that what an earlier one still delivers, as to a URL that was replaced,
        # records nothing in this one.
        lease = f"{self._process}.{next(self._lease_numbers)}"
        if task_ids is None:
            return await self._poll(busy, most, lease)
        rows = await self._hot.fetch(_LEASE_THESE, sorted(set(task_ids)), *self._terms(busy, most, lease))
        return self._leased(rows, lease)

    async def _poll(self, busy: DeliveryCapacity, most: int, lease: str) -> Sequence[Lagging]:
        """Looks at some pages of all that is open; the next poll goes on behind them. What hosts and owners may not get
        now is found the next time round."""
        found: list[Lagging] = []
        for _ in range(open_pages.PAGES):
            terms = self._terms(busy, most - len(found), lease)
            try:
                rows = await self._database.fetch(_LEASE_ANY, self._place, *terms, open_pages.PAGE)
            except Unavailable:
                if not found:
                    raise
                break
            leased = self._leased([row for row in rows if row["task_id"] is not None], lease)
            found += leased
            if len(found) >= most:
                # What is left of this page is looked at again.
                break
            busy = busy.after((each.destination for each in leased), self._per_host, self._per_owner)
            self._place = rows[0]["last"] if rows[0]["looked"] >= open_pages.PAGE else None
            if self._place is None:
                break
        return found

    def _terms(self, busy: DeliveryCapacity, most: int, lease: str) -> tuple[Any, ...]:
        return (
            list(busy.hosts),
            list(busy.hosts.values()),
            list(busy.owners),
            list(busy.owners.values()),
            most,
            lease,
            self._channels,
            self._per_host,
            self._per_owner,
        )

    def _leased(self, rows: Sequence[Any], lease: str) -> list[Lagging]:
        self._announcing.known([row["task_id"] for row in rows])
        return [_lagging(row, lease) for row in rows]

    async def settle(self, settled: DeliveryProgress) -> bool:
        return await self._settles.submit(settled)

    async def pages(self, cursors: Sequence[tuple[str, int]]) -> Sequence[LogPage]:
        pages = await grown(self._hot, cursors, PAGE_BYTES)
        return [
            LogPage([update for update, _ in page.updates], sum(size for _, size in page.updates), page.more)
            for page in pages
        ]

    async def stop(self, held: Iterable[Lagging]) -> None:
        await self._settles.close()
        await self.give_back(held)

    async def give_back(self, held: Iterable[Lagging]) -> None:
        rows = [(*each.key, each.lease) for each in held]
        if rows:
            await self._hot.execute(_GIVE_BACK, *map(list, zip(*rows, strict=True)))

    async def revoked(self, subjects: Collection[str]) -> bool:
        keys = [each.removeprefix(SUBJECT_PREFIX) for each in subjects if each.startswith(SUBJECT_PREFIX)]
        return bool(await self._database.fetchval(_REVOKED, list(subjects), keys))

    async def lag(self) -> tuple[int, float]:
        return await self._lag.measure()

    async def _flush(self, settled: Sequence[DeliveryProgress]) -> Sequence[bool]:
        rows = await within(self._longest, self._hot.fetch(_SETTLE, *_columns(settled)), write=True)
        held = {(row["task_id"], row["channel"], row["name"]) for row in rows}
        return [each.key in held for each in settled]


def _columns(settled: Sequence[DeliveryProgress]) -> list[list[Any]]:
    return [
        *(list(part) for part in zip(*(each.key for each in settled), strict=True)),
        [each.delivered_seq for each in settled],
        [each.status for each in settled],
        [each.attempts for each in settled],
        [each.wait for each in settled],
        [each.disabled_reason for each in settled],
        [each.done for each in settled],
        [each.release for each in settled],
        [each.lease for each in settled],
    ]


def _lagging(row: Any, lease: str) -> Lagging:
    return Lagging(destination_of(row), lease, row["delivered_seq"], row["status"], row["attempts"], row["failing"])
