"""The registry row and the pods that serve it, in Postgres."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from asya_crds import jsontext
from asya_crds.offloading import Offload, OffloadFailed
from asya_crds.registry_document import ConfigMapPart, RegistryPush, ResourcesPart
from asya_crds.registry_text import Kept, kept_entries
from asya_gateway.domain.errors import Conflict, Unavailable
from asya_gateway.domain.registry import (
    POD_PATIENCE,
    SERVING_MODES,
    FileVerdict,
    OfferResult,
    PodState,
    Pushed,
    RegistryNotification,
    RegistryRow,
    RegistryState,
    judge_file,
    supersede,
)
from asya_gateway.domain.task import JsonText
from asya_gateway.storage.database import Database
from asya_gateway.storage.log.bell import Bell

CHANNEL = "asya_registry"

_AGE = "extract(epoch FROM clock_timestamp() - {})::float8"
_READ = f"""
SELECT generation, epoch, configmap_hash, superseded_hashes, configmap, resources,
       {_AGE.format("operator_seen_at")} AS operator_age, updated_at
FROM registry
"""

_HASHES = f"""
SELECT configmap_hash, superseded_hashes, {_AGE.format("operator_seen_at")} AS operator_age FROM registry
"""

_ANNOUNCE = """
UPDATE registry SET epoch = epoch + 1, leader = $1, operator_seen_at = clock_timestamp() RETURNING epoch
"""

_HEARTBEAT = """
UPDATE registry SET operator_seen_at = clock_timestamp() WHERE epoch = $1 RETURNING generation
"""

_WRITE = """
UPDATE registry
SET generation = generation + 1, configmap_hash = $1, superseded_hashes = $2, configmap = $3, resources = $4,
    configmap_flows = coalesce($5, configmap_flows), resource_flows = coalesce($6, resource_flows),
    updated_at = clock_timestamp()
RETURNING generation
"""

_BEAT = """
INSERT INTO gateway_pods AS pod (name, mode, generation, open, started_at, heartbeat_at)
VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET mode = excluded.mode, generation = excluded.generation, open = excluded.open, heartbeat_at = excluded.heartbeat_at
RETURNING (SELECT generation FROM registry)
"""

_FORGET_FILE = """
UPDATE registry
SET configmap_hash = NULL, superseded_hashes = '{}', configmap = DEFAULT, configmap_flows = DEFAULT,
    operator_seen_at = NULL, generation = generation + 1, updated_at = clock_timestamp()
"""

_FORGET = "DELETE FROM gateway_pods WHERE heartbeat_at < clock_timestamp() - interval '1 hour'"

_STATE = f"""
SELECT generation, epoch, {_AGE.format("operator_seen_at")} AS operator_age,
       configmap_flows + resource_flows AS flows
FROM registry
"""

_PODS = f"""
SELECT name, mode, generation, {_AGE.format("heartbeat_at")} AS heartbeat_age
FROM gateway_pods
WHERE heartbeat_at > clock_timestamp() - make_interval(secs => $1)
ORDER BY name
"""


# A pod of a version that does not say it admits everybody.
_OPEN = """
SELECT name FROM gateway_pods
WHERE heartbeat_at > clock_timestamp() - make_interval(secs => $1) AND mode = ANY ($2) AND coalesce(open, true)
ORDER BY name
"""


async def open_pods(connection: asyncpg.Connection) -> list[str]:
    """The live pods that admit callers without credentials."""
    return [row["name"] for row in await connection.fetch(_OPEN, POD_PATIENCE, list(SERVING_MODES))]


async def forget_file(connection: asyncpg.Connection) -> None:
    """Make the registry forget the flows file of earlier runs. It refuses a text that was replaced before. That is
    right for a lagging mount in a cluster, but wrong for a file that was edited while nothing ran."""
    await connection.execute(_FORGET_FILE)


class PostgresRegistry:
    """RegistryStore on the tables registry and gateway_pods."""

    def __init__(self, database: Database, bell: Bell, offload: Offload) -> None:
        self._database, self._offload = database, offload
        self._bell = bell
        self._listeners: list[Callable[[RegistryNotification], None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        bell.on_connect(lambda: self._tell(tuple(RegistryNotification)))

    async def read(self) -> RegistryRow:
        """The whole row."""
        async with self._database.connection() as connection:
            return await _row(connection, _READ)

    async def announce(self, leader: str) -> int:
        """A new epoch, issued by the database, so that no two leaders have the same one."""
        epoch: int = await self._database.fetchval(_ANNOUNCE, leader)
        return epoch

    async def push(self, push: RegistryPush) -> Pushed:
        """Replace the parts contained in the push. An unchanged push creates no generation."""
        async with self._database.connection() as connection, connection.transaction():
            row = await _row(connection, f"{_READ} FOR UPDATE")
            _check_epoch(push.epoch, row.epoch)
            await connection.execute(_HEARTBEAT, push.epoch)
            pushed = await _replace(connection, row, push.configmap, push.resources, self._offload)
        if pushed.changed:
            self._bell.ring(CHANNEL, [RegistryNotification.CHANGED])
        return pushed

    async def heartbeat(self, epoch: int) -> int:
        """Record the operator's heartbeat."""
        generation = await self._database.fetchval(_HEARTBEAT, epoch)
        if generation is None:
            _check_epoch(epoch, await self._database.fetchval("SELECT epoch FROM registry"))
            raise Conflict("another leader announced itself in the meantime", field="epoch")
        return int(generation)

    async def offer_file(self, part: ConfigMapPart, former: str | None) -> OfferResult:
        """Judge and write under the row's lock, so that the second of two pods with the same text finds it stored.

        Every pod offers every few seconds and most offers are refused, so the lock is taken only if the offer may be
        accepted.
        """
        async with self._database.connection() as connection:
            offer = _judge(part, former, await connection.fetchrow(_HASHES))
            if offer.verdict is not FileVerdict.TAKEN:
                return offer
            async with connection.transaction():
                offer = _judge(part, former, await connection.fetchrow(f"{_HASHES} FOR UPDATE"))
                if offer.verdict is FileVerdict.TAKEN:
                    await _replace(connection, await _row(connection, _READ), part, None, self._offload)
        if offer.verdict is FileVerdict.TAKEN:
            self._bell.ring(CHANNEL, [RegistryNotification.CHANGED])
        return offer

    async def beat(self, pod: str, mode: str, generation: int, *, is_open: bool) -> int:
        """Record the pod's heartbeat and return the generation it should serve, in one statement."""
        current: int = await self._database.fetchval(_BEAT, pod, mode, generation, is_open)
        return current

    async def leave(self, pod: str) -> None:
        """Delete the pod's row, and old rows of killed pods."""
        await self._database.execute("DELETE FROM gateway_pods WHERE name = $1", pod)
        await self._database.execute(_FORGET)
        self._bell.ring(CHANNEL, [RegistryNotification.SERVED])

    async def state(self) -> RegistryState:
        """The generation, the epoch and the live pods."""
        async with self._database.connection() as connection:
            head = await connection.fetchrow(_STATE)
            assert head is not None
            pods = await connection.fetch(_PODS, POD_PATIENCE)
        return RegistryState(
            generation=head["generation"],
            epoch=head["epoch"],
            flows=head["flows"],
            operator_age=head["operator_age"],
            pods=tuple(PodState(**pod) for pod in pods),
        )

    async def ring(self, news: RegistryNotification) -> None:
        """Notify at once, and return after the database has confirmed it."""
        await self._database.execute("SELECT pg_notify($1, $2)", CHANNEL, news.value)

    def listen(self, heard: Callable[[RegistryNotification], None]) -> Callable[[], None]:
        """Subscribe. The process listens to the channel as long as it has subscribers."""
        self._listeners.append(heard)
        if self._unsubscribe is None:
            self._unsubscribe = self._bell.subscribe(CHANNEL, self._heard)

        def leave() -> None:
            self._listeners.remove(heard)
            if not self._listeners and self._unsubscribe is not None:
                self._unsubscribe()
                self._unsubscribe = None

        return leave

    def _heard(self, payload: str) -> None:
        known = set(RegistryNotification)
        self._tell([RegistryNotification(word) for word in payload.split("\n") if word in known])

    def _tell(self, news: Sequence[RegistryNotification]) -> None:
        for each in news:
            for listener in tuple(self._listeners):
                listener(each)


def _judge(part: ConfigMapPart, former: str | None, found: asyncpg.Record | None) -> OfferResult:
    assert found is not None
    assert part.hash is not None
    verdict = judge_file(
        part.hash,
        former=former,
        current=found["configmap_hash"],
        superseded=found["superseded_hashes"],
        operator_age=found["operator_age"],
    )
    return OfferResult(verdict, found["configmap_hash"])


async def _row(connection: asyncpg.pool.PoolConnectionProxy, sql: str) -> RegistryRow:
    found = await connection.fetchrow(sql)
    assert found is not None, "the migration inserts the one row and nothing deletes it"
    return RegistryRow(
        generation=found["generation"],
        epoch=found["epoch"],
        configmap_hash=found["configmap_hash"],
        superseded=tuple(found["superseded_hashes"]),
        configmap=found["configmap"],
        resources=found["resources"],
        operator_age=found["operator_age"],
        changed_at=found["updated_at"],
    )


async def _replace(
    connection: asyncpg.pool.PoolConnectionProxy,
    row: RegistryRow,
    configmap: ConfigMapPart | None,
    resources: ResourcesPart | None,
    offload: Offload,
) -> Pushed:
    """Write the parts that differ from the locked row; a part that is None stays."""
    new_hash = row.configmap_hash if configmap is None else configmap.hash
    kept, kept_sets = ([], []) if configmap is None else await _kept(configmap, row, offload)
    # In a thread: each entry is encoded separately, so the event loop can run in between.
    configmap_text, resources_text = await asyncio.to_thread(
        lambda: (_dump(configmap, kept, kept_sets), _dump(resources))
    )
    texts = (configmap_text or row.configmap, resources_text or row.resources)
    if (new_hash, *texts) == (row.configmap_hash, row.configmap, row.resources):
        return Pushed(row.generation, changed=False)
    replaced = row.configmap_hash if new_hash != row.configmap_hash else None
    generation: int = await connection.fetchval(
        _WRITE, new_hash, supersede(row.superseded, replaced), *texts, _count(configmap, len(kept)), _count(resources)
    )
    return Pushed(generation, changed=True)


async def _kept(part: ConfigMapPart, row: RegistryRow, offload: Offload) -> Kept:
    """What stays of the row because its sources could not be read this time."""
    if not part.unreadable:
        return [], []
    names = [name for entry in part.flows if isinstance(name := entry.flow.get("name"), str)]
    sets = [each.name for each in part.sets]
    try:
        return await kept_entries(row.configmap, part.unreadable, names, sets, offload)
    except OffloadFailed as error:
        raise Unavailable(f"the large registry cannot be read now: {error}") from None


def _count(part: ResourcesPart | None, kept: int = 0) -> int | None:
    return None if part is None else len(part.flows) + kept


def _dump(
    part: ResourcesPart | None, kept: Sequence[JsonText] = (), kept_sets: Sequence[dict[str, Any]] = ()
) -> JsonText | None:
    if part is None:
        return None
    flows = ",".join([*(entry.as_text() for entry in part.flows), *kept])
    problems = ",".join(jsontext.dumps(problem.model_dump()) for problem in part.problems)
    own = part.sets if isinstance(part, ConfigMapPart) else []
    sets = [*(each.model_dump() for each in own), *kept_sets]
    # Left out if there are none, so that a row of an earlier version has the same text.
    more = f',"sets":{jsontext.dumps(sets)}' if sets else ""
    return f'{{"flows":[{flows}],"problems":[{problems}]{more}}}'


def _check_epoch(given: int, newest: int) -> None:
    """A higher epoch than the newest was issued by a database that is gone. Its owner must announce itself again."""
    if given != newest:
        raise Conflict(
            f"epoch {given} is not the leader's, the newest is {newest}; POST /mesh/registry/epoch issues a new one",
            field="epoch",
        )
