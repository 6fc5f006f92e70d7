"""Everything stored of sessions, opened and closed together."""

import asyncio
import logging

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.errors import Unavailable
from asya_gateway.domain.sessions.ports import SessionParts
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.database import Database
from asya_gateway.storage.log.bell import Bell
from asya_gateway.storage.sessions.calls import PostgresCalls
from asya_gateway.storage.sessions.inbox import PostgresInbox
from asya_gateway.storage.sessions.requests import PostgresServerRequests
from asya_gateway.storage.sessions.retention import SessionRetention
from asya_gateway.storage.sessions.sessions import PostgresSessions
from asya_gateway.storage.sessions.tasks import PostgresSessionTasks
from asya_gateway.storage.sessions.watch import PollingSessionWatch

log = logging.getLogger(__name__)


class PostgresSessionParts:
    """The parts of one process. An attempt at a batch is given up after `longest` seconds; `cache` are the bytes of
    the sessions that are remembered."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        *,
        limits: Limits,
        longest: float,
        budget: Budget | None = None,
        cache: int = CACHE_BYTES,
    ) -> None:
        self.sessions = PostgresSessions(
            database, self._ring, limits=limits, longest=longest, budget=budget, cache=cache
        )
        self.calls = PostgresCalls(database, self._ring, limits=limits, longest=longest, budget=budget)
        self.requests = PostgresServerRequests(database, self._ring)
        self.inbox = PostgresInbox(database, self._ring)
        self.tasks = PostgresSessionTasks(database, self._ring)
        self.watch = PollingSessionWatch(bell, self.sessions.read)
        self._ending: set[asyncio.Task[None]] = set()
        self.retention = SessionRetention(database)

    @property
    def parts(self) -> SessionParts:
        """The same as the domain's interfaces."""
        return SessionParts(self.sessions, self.calls, self.requests, self.inbox, self.tasks, self.watch)

    def revoke(self, subjects: frozenset[str]) -> None:
        """End the sessions that a revocation of these subjects ends. Callers are refused before their sessions are
        looked at, so that this may take its time; every replica does it."""
        task = asyncio.create_task(self._end_of(subjects), name="revoked sessions")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_of(self, subjects: frozenset[str]) -> None:
        try:
            await self.sessions.end_of(subjects)
        except Unavailable as error:
            log.info("revoked sessions: %s; they end when nobody uses them", error.message)

    async def start(self) -> None:
        """Begin to listen."""
        await self.watch.start()

    async def stop(self) -> None:
        """Complete the accepted writes."""
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self.watch.stop()
        await self.sessions.close()
        await self.calls.close()

    def _ring(self, word: str) -> None:
        self.watch.ring(word)
