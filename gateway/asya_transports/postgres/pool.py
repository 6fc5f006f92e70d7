"""Connections to the database, and the translation of its errors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg

from asya_transports.port import MessageRefused, TransportError, TransportUnavailable
from asya_transports.postgres.schema import Connection
from asya_transports.postgres.sessions import Sessions, pooled_settings_missing, session_of
from asya_transports.postgres.settings import PostgresSettings

logger = logging.getLogger(__name__)

QUEUE_SESSION = {
    "application_name": "asya-queues",
    "jit": "off",
    # Every statement here finds its rows by a value or `= ANY` of an indexed column, and is planned once for each
    # session. With statistics from a time when the table was empty, the planner would read and sort 200,000 waiting
    # rows.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "lock_timeout": "3000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
}

_REFUSALS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    UnicodeEncodeError,
)
"""Errors of a statement with a message that are caused by the message."""


class ConnectionPool:
    """A pool that connects at its first use. It raises the port's errors."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._creating = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection from the pool; raises TransportUnavailable if there is none within the publish timeout."""
        with port_errors():
            pool = self._pool or await self._create()
            async with session_of(pool, self._settings.publish_timeout) as connection:
                yield connection

    async def _create(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._creating:
            if self._pool is None:
                sessions = Sessions(self._settings.url, QUEUE_SESSION, pooled=self._settings.pooled)
                self._pool = await asyncpg.create_pool(
                    connect=sessions.connect,
                    min_size=0,
                    max_size=self._settings.pool_size,
                    timeout=self._settings.publish_timeout,
                    command_timeout=self._settings.publish_timeout,
                    reset=_keep_session,
                    # By default the driver forgets a statement, and so its plan, after five minutes.
                    max_cached_statement_lifetime=0,
                )
                if self._settings.pooled:
                    await self._complain(self._pool, sessions)
            return self._pool

    async def _complain(self, pool: "asyncpg.Pool[asyncpg.Record]", sessions: Sessions) -> None:
        """Say which settings the role lacks. Whatever goes wrong here is told by the first real statement."""
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with session_of(pool, self._settings.publish_timeout) as connection:
                if missing := await sessions.not_in_force(connection):
                    logger.warning("%s", pooled_settings_missing(sessions, missing))

    async def close(self) -> None:
        """Disconnect; running statements have two seconds to end."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(2):
                await pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pool.terminate()


@contextmanager
def port_errors() -> Iterator[None]:
    """Turn the driver's errors into TransportUnavailable."""
    try:
        yield
    except TransportError:
        raise
    except asyncpg.UndefinedTableError as error:
        raise TransportUnavailable(
            f"the queues' tables do not exist yet (asya migrate creates them): {error}"
        ) from error
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ) as error:
        raise TransportUnavailable(f"the database is not available: {str(error) or type(error).__name__}") from error


@contextmanager
def message_errors() -> Iterator[None]:
    """Wraps a statement with a message: errors caused by the message become MessageRefused."""
    try:
        yield
    except _REFUSALS as error:
        raise MessageRefused(f"the database refused the message: {error}") from error


async def _keep_session(_: object) -> None:
    """Replaces the driver's reset, which costs a round trip for every statement. Nothing here changes a session."""
