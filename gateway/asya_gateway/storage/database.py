"""The connection pool, the settings of every session, and the driver's errors in the domain's words."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from asya_gateway.domain.errors import Unavailable
from asya_transports.postgres.sessions import Sessions, session_of

log = logging.getLogger(__name__)

FRESH_PLANS, FIXED_PLANS = "force_custom_plan", "force_generic_plan"
SESSION = {
    "plan_cache_mode": FRESH_PLANS,
    "jit": "off",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "30000",
    "timezone": "UTC",
}
"""In the server's base units.

A plan made on empty tables scans full ones, so every execution is planned for its own values; a statement
that waits for a lock longer than a second gives up, and its rows are tried one by one."""

UNHURRIED = "set_config('synchronous_commit', 'off', true)"
"""In the SELECT list of a statement whose loss in a crash of the server costs nothing: its commit need not wait for
the disk. (Notifications, which a crash forgets anyway, have a commit record since NOTIFY takes a transaction id.)"""

CONNECTION_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # What the driver says where the server's farewell came between two statements of a connection.
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""After one of these it is unknown whether the commit happened."""

SERVER_BUSY = (
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.UndefinedTableError,
)
"""The server answered that it did nothing and may do it later (a schema that is still missing among them)."""


def connection_lost(error: BaseException) -> bool:
    """Whether this error leaves open what became of the statement. (The driver's complaint about an argument is
    an InterfaceError as well, but a ValueError too: nothing was sent then.)"""
    return isinstance(error, (*CONNECTION_LOST, Unavailable)) and not isinstance(error, ValueError)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's infrastructure errors into Unavailable, the cause chained."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        if connection_lost(error) or isinstance(error, SERVER_BUSY):
            raise Unavailable("the database is not available") from error
        raise


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Connections: open ones, idle ones, the most there may be, and how many callers wait for one."""

    size: int
    idle: int
    largest: int
    waiting: int

    def plus(self, other: "PoolUsage") -> "PoolUsage":
        """Both together."""
        return PoolUsage(
            self.size + other.size,
            self.idle + other.idle,
            self.largest + other.largest,
            self.waiting + other.waiting,
        )


class Database:
    """A pool of connections that survives restarts of the server."""

    def __init__(
        self, url: str, *, min_size: int, max_size: int, statement_timeout: float, plans: str = FRESH_PLANS
    ) -> None:
        self.url = url
        self._min_size = min_size
        self._max_size = max_size
        self._statement_timeout = statement_timeout
        self._plans = plans
        self._beside: list[Database] = []
        self._pool: asyncpg.Pool | None = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool; raises Unavailable before open() has succeeded."""
        if self._pool is None:
            raise Unavailable("the database is not available")
        return self._pool

    def with_fixed_plans(self, connections: int) -> "Database":
        """A pool of at most so many connections, taken from what this one may open, for statements that look
        nothing up: their plan is the same whatever the tables hold, so each connection plans them once. To be
        called before this one is opened, which opens and closes both."""
        connections = min(connections, self._max_size // 2)
        self._max_size -= connections
        beside = Database(
            self.url,
            min_size=0,
            max_size=connections,
            statement_timeout=self._statement_timeout,
            plans=FIXED_PLANS,
        )
        self._beside.append(beside)
        return beside

    def server_settings(self) -> dict[str, str]:
        """What every session of ours sets."""
        timeout = str(round(self._statement_timeout * 1000))
        return {**SESSION, "plan_cache_mode": self._plans, "statement_timeout": timeout}

    def usage(self) -> PoolUsage:
        """How the pools are used now; all zeros but the largest size while there are none."""
        used = self._own_usage()
        for beside in self._beside:
            used = used.plus(beside.usage())
        return used

    def _own_usage(self) -> PoolUsage:
        pool = self._pool
        if pool is None:
            return PoolUsage(0, 0, self._max_size, 0)
        # The driver says how many connections it has, and not how many wait for one.
        waiting = len(pool._queue._getters)  # type: ignore[attr-defined]
        return PoolUsage(pool.get_size(), pool.get_idle_size(), self._max_size, waiting)

    async def open(self) -> None:
        """Connect. Raises Unavailable; may be called again."""
        for beside in self._beside:
            await beside.open()
        if self._pool is not None:
            return
        sessions = self.sessions()
        with translated():
            self._pool = await asyncpg.create_pool(
                connect=sessions.connect,
                min_size=min(self._min_size, self._max_size),
                max_size=self._max_size,
                timeout=5,
                command_timeout=self._statement_timeout + 2,
                max_inactive_connection_lifetime=300,
                reset=_leave_as_it_is,
            )
        if self._min_size:
            # A pool that opens no connection before somebody asks for one has a sister that does.
            await self._complain_of_pooler(sessions)

    async def _complain_of_pooler(self, sessions: Sessions) -> None:
        async with self.connection() as connection:
            if await sessions.pools_statements(connection):
                log.warning(
                    "a pooler on the way to PostgreSQL pools transactions or statements: settings of sessions and "
                    "LISTEN do not hold. It has to pool sessions (docs/operations.md)"
                )
                return
            missing = await sessions.not_in_force(connection)
        if missing:
            log.warning(
                "these session settings are not in force: %s. A connection pooler "
                "drops them; it must pool sessions, not transactions or statements (docs/operations.md)",
                ", ".join(missing),
            )

    def sessions(self, **more: str) -> Sessions:
        """What opens sessions here; `more` settings beat the pool's."""
        return Sessions(self.url, self.server_settings() | more)

    async def close(self) -> None:
        """Give every connection back; cut those that do not come home in five seconds."""
        for beside in self._beside:
            await beside.close()
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[asyncpg.pool.PoolConnectionProxy]:
        """A pooled connection; waits 5 s for a free one. Raises Unavailable."""
        with translated():
            async with session_of(self.pool) as connection:
                yield connection

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Rows. Raises Unavailable."""
        async with self.connection() as connection:
            return await connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """The first row or None. Raises Unavailable."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row. Raises Unavailable."""
        async with self.connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """The command tag. Raises Unavailable."""
        async with self.connection() as connection:
            return await connection.execute(sql, *args)


async def _leave_as_it_is(_connection: asyncpg.Connection) -> None:
    """No statement of ours leaves anything behind in its session, so that the driver's reset, a round trip of
    its own for every statement, is spared. (A transaction left open would be noticed by the pool.)"""
