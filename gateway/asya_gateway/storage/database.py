"""The connection pool, the settings of every session, and the driver's errors in the domain's words."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from asya_gateway.domain.errors import Unavailable
from asya_transports.postgres.sessions import Sessions, pooled_settings_missing, session_of

log = logging.getLogger(__name__)

AnyConnection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
"""A pooled connection, or one of the command line's own."""

SESSION = {
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "30000",
    "timezone": "UTC",
}
"""In the server's base units.

A plan made for empty tables would scan full ones, so every execution is planned for its own values. A statement that
waits for a lock longer than a second fails, and its rows are tried one by one.
"""

HOT_SESSION = SESSION | {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Those of the hot pool. Its statements are planned once for each session, which costs PostgreSQL more than executing
them for a few tasks. They find their rows by `= ANY($n)` on an indexed column, so that the plan stays good whatever the
tables contain: without sequential scans there is only the index, even if the plan was made when they were empty."""
POOLED_SESSION = SESSION | {"enable_seqscan": "off"}
"""Those of both pools behind a pooler of transactions, where all sessions of a role have the same ones and nothing
stays planned. Plans are made for the values at hand; that of a table whose statistics are from a time when it was empty
must not read it as a whole."""
KEEPS_EVERY_PLAN = {"max_cached_statement_lifetime": 0, "max_cacheable_statement_size": 0}
"""By default the driver forgets a statement after five minutes, and does not keep a long one at all."""
HOT_CONNECTIONS = 6
"""Most connections of the hot pool. Batches of one kind are written two at a time."""

UNHURRIED = "set_config('synchronous_commit', 'off', true)"
"""For the SELECT list of a statement that may be lost in a crash of the server: its commit need not wait for the disk.
(Notifications are lost in a crash anyway, but have a commit record because NOTIFY takes a transaction id.)"""

CONNECTION_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # Raised by the driver if the server closed the connection between two statements.
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
"""The server answered that it did nothing, and a retry may succeed (this includes a missing schema)."""


def connection_lost(error: BaseException) -> bool:
    """Whether the outcome of the statement is unknown after this error. (An invalid argument is also an InterfaceError
    in the driver, but it is a ValueError too, and nothing was sent.)"""
    return isinstance(error, (*CONNECTION_LOST, Unavailable)) and not isinstance(error, ValueError)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's infrastructure errors into Unavailable, with the cause chained."""
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
    """Numbers of connections: open, idle, the maximum, and callers that wait for one."""

    size: int
    idle: int
    largest: int
    waiting: int

    def plus(self, other: "PoolUsage") -> "PoolUsage":
        """The sum of both."""
        return PoolUsage(
            self.size + other.size,
            self.idle + other.idle,
            self.largest + other.largest,
            self.waiting + other.waiting,
        )


class Database:
    """A pool of connections that survives restarts of the server."""

    def __init__(
        self,
        url: str,
        *,
        min_size: int,
        max_size: int,
        statement_timeout: float,
        session: Mapping[str, str] = SESSION,
        options: Mapping[str, Any] | None = None,
        pooled: bool = False,
        direct_url: str = "",
    ) -> None:
        """`pooled`: the URL leads to a pooler of transactions; `direct_url` then leads to the server, for sessions that
        listen."""
        self.url = url
        self._direct_url = direct_url or url
        self._pooled = pooled
        self._min_size = min_size
        self._max_size = max_size
        self._statement_timeout = statement_timeout
        self._session = POOLED_SESSION if pooled else session
        self._options = options or {}
        self._hot: Database | None = None
        self._pool: asyncpg.Pool | None = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool; raises Unavailable before open() has succeeded."""
        if self._pool is None:
            raise Unavailable("the database is not available")
        return self._pool

    @property
    def hot(self) -> "Database":
        """A second pool with fixed plans (HOT_SESSION), for the statements of every task. Its connections are a part of
        this pool's maximum. It is opened and closed with this pool; ask for it before."""
        if self._hot is None:
            if self._pool is not None:
                raise RuntimeError("expected the hot pool to be asked for before the database is opened")
            connections = max(1, min(HOT_CONNECTIONS, self._max_size // 2))
            self._max_size -= connections
            self._hot = Database(
                self.url,
                min_size=0,
                max_size=connections,
                statement_timeout=self._statement_timeout,
                session=HOT_SESSION,
                options=KEEPS_EVERY_PLAN,
                pooled=self._pooled,
            )
        return self._hot

    def server_settings(self) -> dict[str, str]:
        """The settings of every session."""
        timeout = str(round(self._statement_timeout * 1000))
        return {**self._session, "statement_timeout": timeout}

    def usage(self) -> PoolUsage:
        """The current use of the pools. While there are none, everything except the maximum is zero."""
        used = self._own_usage()
        return used if self._hot is None else used.plus(self._hot.usage())

    def _own_usage(self) -> PoolUsage:
        pool = self._pool
        if pool is None:
            return PoolUsage(0, 0, self._max_size, 0)
        # The driver does not report how many callers wait for a connection.
        waiting = len(pool._queue._getters)  # type: ignore[attr-defined]
        return PoolUsage(pool.get_size(), pool.get_idle_size(), self._max_size, waiting)

    async def open(self) -> None:
        """Connect. Raises Unavailable; may be called again."""
        if self._hot is not None:
            await self._hot.open()
        if self._pool is not None:
            return
        sessions = Sessions(self.url, self.server_settings(), pooled=self._pooled)
        with translated():
            self._pool = await asyncpg.create_pool(
                connect=sessions.connect,
                min_size=min(self._min_size, self._max_size),
                max_size=self._max_size,
                timeout=5,
                command_timeout=self._statement_timeout + 2,
                max_inactive_connection_lifetime=300,
                reset=_leave_as_it_is,
                **self._options,
            )
        if self._min_size:
            # The hot pool has no initial connections, and makes its settings in the same way.
            await self._complain_of_pooler(sessions)

    async def _complain_of_pooler(self, sessions: Sessions) -> None:
        async with self.connection() as connection:
            if not self._pooled and await sessions.pools_statements(connection):
                log.warning(
                    "a pooler on the way to PostgreSQL pools transactions or statements: settings of sessions and "
                    "LISTEN do not hold. It has to pool sessions, or ASYA_DATABASE_POOLING has to be transaction "
                    "(docs/operations.md)"
                )
                return
            missing = await sessions.not_in_force(connection)
        if missing and self._pooled:
            log.warning("%s", pooled_settings_missing(sessions, missing))
        elif missing:
            log.warning(
                "these session settings are not in force: %s. A connection pooler "
                "drops them; it must pool sessions, not transactions or statements (docs/operations.md)",
                ", ".join(missing),
            )

    def sessions(self, **more: str) -> Sessions:
        """A factory for sessions apart from the pool, without a pooler of transactions. Settings in `more` override the
        pool's."""
        return Sessions(self._direct_url, self.server_settings() | more)

    async def close(self) -> None:
        """Close all connections. Those still in use after five seconds are terminated."""
        if self._hot is not None:
            await self._hot.close()
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
    """Skips the driver's reset, which costs an extra round trip for every statement. Our statements leave nothing
    behind in a session. (The pool would notice an open transaction.)"""
