"""Shared parts of the test servers: users, starting and ending processes."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import psutil

from asya_gateway.composition.container import container_limit

MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30
"""Free bytes needed to use memory, because several servers share it, each with up to one gigabyte."""
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-spawner")


class ServerUnavailable(Exception):
    """The server cannot run on this machine. The text says what is missing."""


class ServerFailed(Exception):
    """The server is installed but did not start or stop. The text contains the end of its log."""


def unprivileged_user() -> pwd.struct_passwd | None:
    """The user for a server that refuses root; None if this process does not run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerUnavailable("running as root, and there is no user postgres or nobody to run the server as")


def data_folder(kind: str, *, on_disk: bool = False) -> Path:
    """A new folder for a server's data: in memory if there is room, because creating and dropping a database creates
    and removes hundreds of files. Folders left there by killed runs are removed."""
    place = Path(tempfile.gettempdir()) if on_disk or not _has_room() else MEMORY
    for left in MEMORY.glob("asya-*-*-*"):
        pid = left.name.split("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"asya-{kind}-{os.getpid()}-", dir=place))


def _has_room() -> bool:
    if not os.access(MEMORY, os.W_OK):
        return False
    free = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
    return free > ROOM and (container_limit() or free) > ROOM


def command_as(user: pwd.struct_passwd | None, command: list[str], *, dies_with_us: bool = True) -> list[str]:
    """The command, run as that user, and killed together with the process that started it (Linux)."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user is not None:
            raise ServerUnavailable("setpriv (util-linux) is needed to leave root")
        return command
    prefix = [setpriv]
    if dies_with_us:
        prefix += ["--pdeathsig", "KILL"]
    if user is not None:
        prefix += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*prefix, *command] if len(prefix) > 1 else command


def spawn(command: list[str], user: pwd.struct_passwd | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one. Linux sends the signal when the *thread* that started it ends, so one
    thread that lives as long as the interpreter starts all of them."""
    whole = command_as(user, command)
    return _SPAWNER.submit(
        lambda: subprocess.Popen(whole, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    ).result()


def wait_until(condition: Callable[[], bool], timeout: float, what: str, log: Path | None = None) -> None:
    """Poll a condition 20 times a second. After `timeout` seconds, raises ServerFailed with the end of the log."""
    give_up = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > give_up:
            raise ServerFailed(f"{what} within {timeout:g} s{log_tail(log)}")
        time.sleep(0.05)


def log_tail(log: Path | None, size: int = 3000) -> str:
    """The end of a log for an error's text."""
    if log is None or not log.exists():
        return ""
    return "; the end of its log:\n" + log.read_text(errors="replace")[-size:]


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_family(processes: Iterable[psutil.Process], timeout: float = 10.0) -> None:
    """SIGKILL to each, and wait until they are gone."""
    processes = list(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=timeout)


def stop_process(process: subprocess.Popen[bytes], with_signal: int, timeout: float) -> None:
    """Signal and wait; if it has not ended in time, it is killed with its children."""
    relatives = family(process.pid) if process.poll() is None else []
    if process.poll() is None:
        process.send_signal(with_signal)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        kill_family(relatives)
        process.wait(timeout)


class ServerProcess(ABC):
    """A server that is a process of ours. A subclass says how to start it and when it is ready."""

    program: ClassVar[str]
    """Its name in errors."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The pid of the server's first process."""
        if self._process is None:
            raise ServerFailed(f"{self.program} is not running")
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL to the server and all its children, like a machine failure."""
        if self._process is not None:
            kill_family(family(self._process.pid))
            self._process.wait(10)
            self._process = None

    def _launch(
        self, command: list[str], timeout: float, user: pwd.struct_passwd | None = None, **options: Any
    ) -> None:
        """Start it with its output in the log; returns when it is ready. `options` are subprocess.Popen's."""
        with self.log.open("ab") as log:
            self._process = spawn(command, user, stdout=log, stderr=log, **options)
        wait_until(self._is_ready, timeout, f"{self.program} was not ready", self.log)

    def _end(self, with_signal: int, timeout: float) -> None:
        if self._process is not None:
            stop_process(self._process, with_signal, timeout)
            self._process = None

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self.program} ended while it started{log_tail(self.log)}")
        return self._ready()

    @abstractmethod
    def _ready(self) -> bool:
        """Whether a running server accepts connections."""
