"""Keys, and the watch of one pod, for tests of identity."""

from dataclasses import dataclass, field
from typing import Any

import asyncpg

from asya_gateway.domain.identity.key_text import NewKey, new_key
from asya_gateway.domain.identity.keys import KeyRecord, KeyRing, KeySource
from asya_gateway.domain.identity.revocations import Revocations
from asya_gateway.storage.identity.keys import PostgresKeys, create_key
from asya_gateway.storage.identity.watch import IdentityWatch
from tests.support.storage import Running

BY = "command"


def record_of(key: NewKey, name: str = "ci", **changes: Any) -> KeyRecord:
    values: dict[str, Any] = {"id": key.id, "name": name, "hash": key.hash, "scopes": frozenset({"mcp:read"})}
    return KeyRecord(**(values | changes))


async def store_key(url: str, name: str = "ci", **changes: Any) -> NewKey:
    """Make a key as the command line does, on a session of its own."""
    connection = await asyncpg.connect(url)
    try:
        key = new_key()
        await create_key(connection, record_of(key, name, **changes), BY)
        return key
    finally:
        await connection.close()


@dataclass
class Pod:
    """What one process knows, and what its subscriber was told."""

    running: Running
    watch: IdentityWatch
    ring: KeyRing
    revocations: Revocations
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, running: Running, **changes: Any) -> "Pod":
        storage = running.storage
        ring = KeyRing()
        monotonic = {name: value for name, value in changes.items() if name == "monotonic"}
        revocations = Revocations(ring.lives, **monotonic)
        keys = PostgresKeys(storage.database)
        pod = cls(
            running,
            IdentityWatch(storage.database, storage.bell, keys, ring, revocations, **changes),
            ring,
            revocations,
        )
        revocations.on_revoked(lambda subjects: pod.told.extend(sorted(subjects)))
        return pod

    def finds(self, key: NewKey, now: float = 0.0) -> KeyRecord | None:
        return self.ring.find(key.text, KeySource.TABLE, now)
