"""A primary and a synchronous standby that is promoted when the primary dies."""

from servers.databases import execute, query
from servers.postgres import PostgresServer

FOLLOWS_SOON = {"wal_retrieve_retry_interval": "500ms"}
"""A standby looks for a primary that was away sooner than after its default of five seconds."""


class Pair:
    """Two servers, with the database `faults`. `primary` takes writes, `standby` follows it."""

    def __init__(self) -> None:
        self.primary = PostgresServer(settings=FOLLOWS_SOON)
        self.standby = PostgresServer(settings=FOLLOWS_SOON)

    def start(self) -> None:
        """Start both. Commits do not wait for the standby yet."""
        self.primary.start()
        execute(self.primary.url, "CREATE DATABASE faults")
        self._follow()

    def close(self) -> None:
        """Stop both and remove their data."""
        self.standby.close()
        self.primary.close()

    @property
    def hosts(self) -> str:
        """The address of both."""
        return f"postgresql://postgres@127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"

    def synchronous(self) -> None:
        """Commits wait for the standby from now on."""
        execute(self.primary.url, "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")

    def followed(self) -> bool:
        """Whether commits wait for the standby, and it has caught up."""
        state = query(self.primary.url, "SELECT string_agg(sync_state || ' ' || state, ',') FROM pg_stat_replication")
        return bool(state == "sync streaming")

    def caught_up(self) -> bool:
        """Whether the standby, which commits do not wait for, has everything that is committed so far."""
        position = query(self.primary.url, "SELECT pg_current_wal_lsn()::text")
        known = f"SELECT bool_and(flush_lsn >= '{position}') FROM pg_stat_replication"
        return bool(query(self.primary.url, known))

    def cut_off(self) -> None:
        """The standby hears no more of the primary."""
        execute(self.standby.url, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")

    def fail_over(self) -> None:
        """The primary is gone for good, and the standby takes over."""
        self.primary.stop("immediate")
        self.standby.promote()

    def replace_the_dead(self) -> None:
        """After a failover: the promoted one is the primary, with a new standby in the place of the dead one."""
        dead, self.primary = self.primary, self.standby
        dead.close()
        self.standby = PostgresServer(settings=FOLLOWS_SOON)
        self._follow()
        self.synchronous()

    def _follow(self) -> None:
        self.standby.follow(self.primary)
        self.standby.start()
