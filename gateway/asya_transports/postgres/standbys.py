"""Commits that wait for standbys (`synchronous_standby_names`), and those whose wait was cancelled.

PostgreSQL keeps such a commit on the primary alone and answers as if nothing had happened, but for a warning
(PostgreSQL 15, 27.2.8, Synchronous Replication). Nobody may be told of it until a standby has it: a failover would lose
it. A commit that follows it in the log waits for both.
"""

from typing import Any, Protocol

from asya_transports.postgres.builtin_types import BuiltinTypesConnection

SOURCE = "syncrep.c"
"""The file of the server's source that warns of it. The text may be in any language, and has no code of its own."""

# A transactional message has a transaction id, so its commit waits as every other one does. Nothing is written where no
# standby is waited for.
_FOLLOW = """
SELECT pg_logical_emit_message(true, 'asya', '') WHERE current_setting('synchronous_standby_names') <> ''
"""


class _Executes(Protocol):
    async def execute(self, query: str, *args: Any) -> str: ...


async def confirmed(connection: _Executes) -> None:
    """Wait until everything that is committed so far is on the standbys that commits wait for. Not for use within a
    transaction. Raises the driver's errors."""
    await connection.execute(_FOLLOW)


class WatchedConnection(BuiltinTypesConnection):
    """A driver connection that notices such a warning."""

    unconfirmed = False
    """Whether a commit of this session is perhaps on the primary alone."""

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        if fields.get("F") == SOURCE:
            self.unconfirmed = True
        super()._process_log_message(fields, last_query)  # type: ignore[misc]

    async def confirm(self) -> None:
        """Wait until a standby has what this session committed, however often the wait is cancelled. Raises the
        driver's errors."""
        while self.unconfirmed:
            self.unconfirmed = False
            try:
                await confirmed(self)
            except BaseException:
                self.unconfirmed = True
                raise
