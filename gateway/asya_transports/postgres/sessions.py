"""Sessions at one address, each with its settings in force, for the pools of gateway and worker.

Settings are made after connecting, not as startup parameters, because PgBouncer refuses unknown ones. If it pools
transactions, they cannot be made at all: they must be those of the role, or of PgBouncer's `connect_query`.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg

from asya_transports.postgres.dsn import Dsn, KeepAlive, parse_dsn
from asya_transports.postgres.standbys import WatchedConnection

Connection = asyncpg.Connection
CONNECT_WITHIN = 5.0
"""Default seconds for connecting one session, for all hosts together."""
READ_ONLY = (asyncpg.ReadOnlySQLTransactionError,)
"""Errors of writes and LISTEN on a server that is in recovery or read-only."""
PROBE = "SELECT 1 WHERE current_setting('transaction_read_only') = 'off'"
"""Returns no row on such a server; a session that only reads or listens would not notice otherwise."""
_PREPARED_ELSEWHERE = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""Errors of prepared statements that reach another server session."""
_NEXT_HOST = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError),
    asyncpg.TargetServerAttributeNotMatched,
)
"""Errors of one host after which the next one is tried. A load balancer without servers takes the connection and closes
it, which the driver tells as a PostgresConnectionError."""


POOLED = {"statement_cache_size": 0}
"""The driver then sends a statement and its values within one transaction, and prepares nothing that another session of
the server would have to know."""
OF_CLIENTS = {"application_name": "application_name", "timezone": "TimeZone"}
"""Settings that PgBouncer keeps for each of its clients, and their names as startup parameters."""


class Sessions:
    """Opens sessions. `settings` are set in each, in the server's base units (`statement_timeout` in ms). If they are
    `pooled`, a pooler gives each transaction some session of the server, and only those of OF_CLIENTS are set."""

    def __init__(self, url: str, settings: Mapping[str, str], *, pooled: bool = False) -> None:
        """Raises InvalidDsn."""
        self._dsn = parse_dsn(url)
        self._pooled = pooled
        self.settings = {**settings, **self._kept(settings)}

    def _kept(self, settings: Mapping[str, str]) -> dict[str, str]:
        """An application name in the address overrides ours."""
        name = self._dsn.server_settings.get("application_name")
        return {"application_name": name} if name and "application_name" in settings else {}

    async def connect(self, *_: object, timeout: float = CONNECT_WITHIN, **options: Any) -> Connection:
        """One session, at the first host that answers and matches `target_session_attrs`.

        A host that does not answer leaves time for the others. Takes the options of asyncpg.connect, as a pool passes
        them. Raises the driver's errors.
        """
        until = time.monotonic() + max(timeout, self._dsn.connect_timeout or 0.0)
        hosts = self._dsn.hosts()
        error: BaseException | None = None
        wanted = self._dsn.driver.get("target_session_attrs", "any")
        for attributes in ("standby", "any") if wanted == "prefer-standby" else (wanted,):
            for number, host in enumerate(hosts):
                left = (until - time.monotonic()) / (len(hosts) - number)
                patience = max(0.1, min(left, self._dsn.connect_timeout or left))
                try:
                    return await self._at(host, attributes, patience, options)
                except _NEXT_HOST as trouble:
                    error = trouble
        assert error is not None
        raise error

    async def _at(
        self, host: tuple[str, str] | None, attributes: str, timeout: float, options: Mapping[str, Any]
    ) -> Connection:
        dsn = self._dsn
        given: dict[str, Any] = {"dsn": dsn.url(host), "timeout": timeout, "target_session_attrs": attributes}
        given["connection_class"] = WatchedConnection
        if dsn.password is not None:
            given["password"] = dsn.password
        if at_start := self._at_start():
            given["server_settings"] = at_start
        if self._pooled:
            given |= POOLED
        if dsn.system_certificates:
            given["ssl"] = _system_context(dsn)
        connection: Connection = await asyncpg.connect(**{**options, **given})
        try:
            keep_alive(connection, dsn.keepalive)
            async with asyncio.timeout(timeout):
                if not self._pooled:
                    made = (f"SET {name} = {_quoted(value)}" for name, value in self.settings.items())
                    await connection.execute("; ".join(made) or "SELECT")
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _at_start(self) -> dict[str, str]:
        """The startup parameters."""
        ours = {OF_CLIENTS[name]: value for name, value in self.settings.items() if name in OF_CLIENTS}
        return {**(ours if self._pooled else {}), **self._dsn.server_settings}

    async def not_in_force(self, connection: Any) -> list[str]:
        """The settings that are not in force in the session. A pooler that distributes one session's statements over
        several server sessions loses them."""
        rows = await connection.fetch(
            "SELECT lower(name) AS name, setting FROM pg_settings WHERE lower(name) = ANY($1)",
            [name.lower() for name in self.settings],
        )
        found = {row["name"]: row["setting"] for row in rows}
        return [name for name, value in self.settings.items() if found.get(name.lower()) != value]

    async def pools_statements(self, connection: Any) -> bool:
        """Whether a pooler distributes the session's statements or transactions over server sessions, so that settings
        and LISTEN are not reliable. False if unknown."""
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                return await self._moves(connection)
        except _PREPARED_ELSEWHERE:
            return True
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return False

    async def _moves(self, connection: Any) -> bool:
        """Whether the session continues in another server session while its last one is occupied by a transaction."""
        process = await connection.fetchval("SELECT pg_backend_pid()")
        if process == connection.get_server_pid():
            return False  # no pooler between
        other = await self.connect()
        try:
            await other.execute("BEGIN; SELECT 1")
            return bool(await connection.execute(f"SELECT 1 WHERE pg_backend_pid() = {process:d}") == "SELECT 0")
        finally:
            other.terminate()


def _quoted(value: str) -> str:
    """A literal of SQL. The application name of the address may contain any character."""
    return "'" + value.replace("'", "''") + "'"


def pooled_settings_missing(sessions: Sessions, missing: Iterable[str]) -> str:
    """What to say of settings that are not in force behind a pooler of transactions."""
    expected = ", ".join(f"{name} = {sessions.settings[name]}" for name in missing)
    return (
        f"these session settings are not in force behind the pooler of transactions: {expected}. Set them for the role "
        "(ALTER ROLE … SET) or by PgBouncer's connect_query (docs/operations.md)"
    )


class session_of:  # noqa: N801 # called as a function; a class costs each statement less than a generator
    """A session from a pool; waits so many seconds for one. If it is read-only or in recovery, all sessions of the pool
    are dropped: after a failover, new sessions reach the writable server, old ones never do. The block ends when what
    it committed is on the standbys that commits wait for."""

    __slots__ = ("_acquiring", "_pool", "_session")

    def __init__(self, pool: Any, timeout: float = CONNECT_WITHIN) -> None:
        self._pool = pool
        self._acquiring = pool.acquire(timeout=timeout)

    async def __aenter__(self) -> Any:
        self._session = await self._acquiring.__aenter__()
        return self._session

    async def __aexit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        try:
            if kind is not None and issubclass(kind, READ_ONLY):
                self._session.terminate()
                await self._pool.expire_connections()
            elif kind is None and self._session.unconfirmed:
                await self._session.confirm()
        finally:
            await self._acquiring.__aexit__(kind, *error)


async def probe(connection: Any) -> None:
    """Check that a session can write. Raises ReadOnlySQLTransactionError if it cannot."""
    if await connection.fetchval(PROBE) is None:
        raise asyncpg.ReadOnlySQLTransactionError("the server accepts no writes")


def keep_alive(connection: Any, wanted: KeepAlive) -> None:
    """Configure TCP keepalive, so that a dead peer is noticed even if its host vanished."""
    transport = connection._transport  # no public way to the socket
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(wanted.enabled))
    options = (
        ("TCP_KEEPIDLE", wanted.idle),
        ("TCP_KEEPINTVL", wanted.interval),
        ("TCP_KEEPCNT", wanted.count),
        ("TCP_USER_TIMEOUT", round(wanted.user_timeout * 1000)),
    )
    for option, value in options:
        if hasattr(socket, option):
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _system_context(dsn: Dsn) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate := dsn.driver.get("sslcert"):
        password = dsn.driver.get("sslpassword", "")
        context.load_cert_chain(certificate, dsn.driver.get("sslkey"), password=lambda: password)
    return context
