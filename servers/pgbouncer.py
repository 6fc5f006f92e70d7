"""A private PgBouncer from Debian's package, in front of a PostgreSQL server."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from servers.ports import free_port
from servers.processes import ServerProcess, ServerUnavailable, unprivileged_user


class PgBouncer(ServerProcess):
    """Listens on 127.0.0.1 and forwards every database to the server's port. `mode` is session or transaction,
    `in_sessions` are settings that it makes in each session of the server (connect_query)."""

    program = "PgBouncer"

    def __init__(
        self, server_port: int, mode: str = "session", in_sessions: Mapping[str, str] | None = None, **settings: str
    ) -> None:
        found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if found is None:
            raise ServerUnavailable("no PgBouncer: Debian's package is pgbouncer")
        self._command, self._user = found, unprivileged_user()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="asya-pgbouncer-"))
        super().__init__(self.folder / "log")
        pool = {"pool_mode": mode, "auth_type": "any", "listen_addr": "127.0.0.1", "listen_port": str(self.port)}
        pool["unix_socket_dir"] = ""
        query = "; ".join(f"SET {name} = ''{value}''" for name, value in (in_sessions or {}).items())
        forwarded = f"* = host=127.0.0.1 port={server_port} user=postgres"
        lines = ["[databases]", f"{forwarded} connect_query='{query}'" if query else forwarded, "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in (pool | settings).items()]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def url(self, database: str) -> str:
        """The URL of a database of the server, through PgBouncer."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start; returns when it accepts connections."""
        self._launch([self._command, str(self.folder / "pgbouncer.ini")], 20, self._user, cwd="/")

    def close(self) -> None:
        """Stop and remove everything."""
        self._end(signal.SIGINT, 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    @override
    def _ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
