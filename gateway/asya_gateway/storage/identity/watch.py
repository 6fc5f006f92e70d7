"""Keeps what a process knows of keys and revocations up to date: by the bell, and by a look that needs none."""

import asyncio
import logging
import time
from asyncio import timeout
from collections.abc import Callable
from contextlib import suppress

from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.identity.keys import KeyRing, KeySource, KeyStore
from asya_gateway.domain.identity.revocations import LOOK_EVERY, Revocation, Revocations
from asya_gateway.storage.database import Database
from asya_gateway.storage.identity.revocations import read_since
from asya_gateway.storage.identity.versions import CHANNEL, Versions, read_versions
from asya_gateway.storage.log.bell import Bell

log = logging.getLogger(__name__)

USES_EVERY = 60.0
"""Seconds between two records of which keys were used."""
COMPARE_EVERY = 60.0
"""Seconds between two comparisons of fingerprints, which notice a row that was changed by hand."""
NAMED = 20
"""Keys that a log line names."""
MOST_USES = 20_000
"""Keys whose last use is remembered until it is recorded."""


class IdentityWatch:
    """Runs in every process that admits callers. While the database is away, what is known grows stale
    (`Revocations.stale`), and the log says so once."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        store: KeyStore,
        ring: KeyRing,
        revocations: Revocations,
        *,
        look_every: float = LOOK_EVERY,
        uses_every: float = USES_EVERY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bell = bell
        self._store = store
        self._ring = ring
        self._revocations = revocations
        self._look_every = look_every
        self._uses_every = uses_every
        self._monotonic = monotonic
        self._known = Versions(-1, -1, 0.0)
        self._fingerprint: int | None = None
        self._compared_at = float("-inf")
        self._news = asyncio.Event()
        self._looking = asyncio.Lock()
        self._uses: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._leave: Callable[[], None] = lambda: None
        bell.on_connect(self._news.set)

    async def start(self) -> None:
        """Look once, and then keep looking. Returns even while the database is away."""
        self._leave = self._bell.subscribe(CHANNEL, lambda _: self._news.set())
        await self._look_and_tell()
        self._tasks = [
            asyncio.create_task(self._look_for_ever(), name="identity"),
            asyncio.create_task(self._record_uses_for_ever(), name="uses of keys"),
        ]

    async def stop(self) -> None:
        """Stop, and record the last uses. May be called twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._leave()
        self._leave = lambda: None
        with suppress(Unavailable):
            await self.record_uses()

    def used(self, key_id: str, at: float) -> None:
        """A key of the table was used at this Unix time. It is recorded at most once a minute."""
        if key_id in self._uses or len(self._uses) < MOST_USES:
            self._uses[key_id] = at

    async def look(self) -> None:
        """Read what has changed. After it, everything that was committed before is in force here. Raises
        Unavailable."""
        async with self._looking:
            asked_at = self._monotonic()
            versions = await read_versions(self._database)
            if versions.keys != self._known.keys or await self._differs(asked_at):
                await self._reload_keys()
            known = self._known.revocations
            if versions.revocations < known:
                # Another database, or an older state of it, has taken over.
                known = -1
            found: list[Revocation] = []
            newest = known
            if versions.revocations != known:
                found, newest = await read_since(self._database, known)
            self._revocations.learn(found, versions.now)
            self._known = versions._replace(revocations=max(newest, versions.revocations))
            self._revocations.seen(asked_at)

    async def record_uses(self) -> None:
        """Record the uses since the last time. Raises Unavailable, and then keeps them."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._store.used(uses)
        except Unavailable:
            self._uses = uses | self._uses
            raise

    async def _differs(self, asked_at: float) -> bool:
        """Whether the keys changed without a new version. The database compares, because thousands of keys take the
        event loop a tenth of a second."""
        if asked_at - self._compared_at < COMPARE_EVERY:
            return False
        self._compared_at = asked_at
        return await self._store.fingerprint() != self._fingerprint

    async def _reload_keys(self) -> None:
        self._fingerprint = await self._store.fingerprint()
        keys = await self._store.living()
        ended = self._ring.replace(KeySource.TABLE, keys)
        if ended or self._known.keys < 0:
            log.info("api keys: %d in force; ended: %s", len(keys), ", ".join(sorted(ended)[:NAMED]) or "none")
        self._revocations.tell(ended)

    async def _look_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with timeout(self._look_every):
                    await self._news.wait()
            self._news.clear()
            await self._look_and_tell()

    async def _look_and_tell(self) -> None:
        try:
            await self.look()
        except Unavailable as error:
            if not self._revocations.missed:
                self._revocations.missed = True
                log.warning("keys and revocations: %s; callers get 503 when what is known is too old", error.message)
        except Exception:
            # No error may stop the looks for the rest of the process's life.
            log.exception("keys and revocations cannot be read")
        else:
            self._revocations.missed = False

    async def _record_uses_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._uses_every)
            try:
                await self.record_uses()
            except Unavailable:
                log.info("uses of keys: the database is not available")
            except Exception:
                log.exception("uses of keys cannot be recorded")
