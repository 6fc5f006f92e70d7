"""Measures what waits to be delivered, in one process for all, and tells every process."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from asya_crds import jsontext
from asya_gateway.domain.backlog import Backlog, Bounds, Figures
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.polling import POLL_EVERY
from asya_gateway.storage.database import UNHURRIED, Database
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.queues.counting import Counting

log = logging.getLogger(__name__)

CHANNEL = "asya_backlog"
VALID = 5.0
"""Seconds beyond the next measurement for which figures hold. After that another process measures, and until then no
call is refused."""
RESTS = 4
"""A measurement is followed by a rest of so many times as long as it took, so that a large backlog on a slow server
costs it a fifth of one session at most."""
FAREWELL = 2.0
"""Most seconds that a process spends on leaving the measuring to another one."""

_READ = """
SELECT figures::text AS figures, extract(epoch FROM valid_until - clock_timestamp())::float8 AS valid_for,
       measurer IS NULL OR measurer = $1 OR valid_until <= clock_timestamp() AS free
FROM backlog
"""

# The condition makes it a lease: of processes that measure at the same time, one writes.
_WRITE = f"""
WITH unhurried AS MATERIALIZED (SELECT {UNHURRIED})
UPDATE backlog SET measurer = $1, figures = $2::json, valid_until = clock_timestamp() + $3 * interval '1 second'
FROM unhurried WHERE measurer IS NULL OR measurer = $1 OR valid_until <= clock_timestamp() RETURNING true
"""

_LEAVE = "UPDATE backlog SET measurer = NULL WHERE measurer = $1"


class PostgresBacklog:
    """Keeps a process's Backlog up to date. `name` is the process's own, `tell` is called with the actors whose queues
    are missing by the process that measures. With `bounds` of None, this process only reads."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        backlog: Backlog,
        counting: Counting,
        bounds: Bounds | None,
        *,
        name: str,
        tell: Callable[[Iterable[str]], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._bell = bell
        self._backlog = backlog
        self._counting = counting
        self._bounds = bounds
        self._name = name
        self._tell = tell
        self._measures = False
        self._rung = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    async def start(self) -> None:
        """Read, and measure if nobody does. Returns at once, even if the database is not available."""
        self._unsubscribe = self._bell.subscribe(CHANNEL, lambda _payload: self._rung.set())
        self._loop = asyncio.create_task(self._run(), name="backlog")

    async def stop(self) -> None:
        """Stop, and leave the measuring to another process."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._measures:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._database.execute(_LEAVE, self._name)

    async def _run(self) -> None:
        while True:
            rest = POLL_EVERY
            try:
                rest = await self.turn()
            except Unavailable as error:
                log.info("backlog: %s", error.message)
            except Exception:
                log.exception("the backlog cannot be measured")
            await self._rests(rest)

    async def _rests(self, seconds: float) -> None:
        """Wait for so long, or until another process rings. (A measuring process hears itself.)"""
        self._rung.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._rung.is_set() or self._measures:
                    self._rung.clear()
                    await self._rung.wait()

    async def turn(self) -> float:
        """Measure, or read what another process has measured. Returns the seconds until the next turn. Raises
        Unavailable."""
        if not self._measures:
            row = await self._database.fetchrow(_READ, self._name)
            assert row is not None, "the migration inserts the one row and nothing deletes it"
            self._backlog.learn(Figures.from_dict(jsontext.loads(row["figures"])), row["valid_for"])
            if self._bounds is None or not row["free"]:
                return POLL_EVERY
        return await self._measure()

    async def _measure(self) -> float:
        assert self._bounds is not None
        began = time.monotonic()
        figures = Figures.of(await self._counting.count(self._bounds.total), self._bounds)
        rest = max(POLL_EVERY, RESTS * (time.monotonic() - began))
        valid = rest + VALID
        text = jsontext.dumps(figures.as_dict())
        self._measures = bool(await self._database.fetchval(_WRITE, self._name, text, valid))
        if not self._measures:
            return POLL_EVERY
        if self._backlog.learn(figures, valid):
            self._say(figures)
            self._bell.ring(CHANNEL, ["changed"])
        if self._tell is not None:
            await self._tell(figures.unroutable)
        return rest

    def _say(self, figures: Figures) -> None:
        if figures.everything:
            log.warning("new calls are refused: %d messages or more wait to be delivered", figures.messages)
        elif figures.full:
            some = ", ".join(sorted(figures.full)[:10])
            log.warning("new calls are refused whose flows begin at one of %d actors: %s", len(figures.full), some)
        else:
            log.info("new calls of every flow are accepted again")
