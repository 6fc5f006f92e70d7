"""Starts our programs by forking from a process with the imports done, because importing takes longer than most of them
run.

A nursery, one process for each pytest process, imports the programs' modules and forks for each start. The forked
process has its own environment, arguments, files and exit code. `start` uses a new interpreter instead if the
environment has variables that only a new interpreter reads, and under coverage.
"""

import array
import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from servers.processes import spawn

ROOT = Path(__file__).parents[1]
_FLOWS = ["asya_cli.main", "asya_cli.flows_cluster", "asya_cli.flows_editing", "asya_cli.rendering"]
_TRANSPORTS = ["asya_transports.postgres.transport", "asya_transports.rabbitmq.transport"]
IMPORTS = {
    "asya_cli": ["asya_cli.main", "asya_cli.client", "asya_cli.watching", "asya_cli.environment"],
    "asya_cli dev": ["asya_cli.main", "asya_cli.dev.session", "asya_gateway.composition.program"],
    "asya_cli serve": ["asya_cli.main", "asya_cli.environment", "uvloop", "asya_gateway.composition.program"],
    "asya_cli auth": ["asya_cli.main", "asya_cli.auth.keys", "asya_cli.auth.rendering"],
    "asya_cli flow": _FLOWS,
    "asya_cli expose": _FLOWS,
    "asya_cli unexpose": _FLOWS,
    "asya_cli mcp": _FLOWS,
    "asya_cli actor": ["asya_cli.main", "asya_actor.app", *_TRANSPORTS],
    "asya_operator": ["asya_operator.app"],
    "tests.integration.actor.worker_process": ["asya_actor.app", *_TRANSPORTS],
}
"""The modules imported before a program is forked, by its module, or by its module and first argument."""
OBSERVED = "servers.observed"
"""The module that runs another one."""
READ_AT_THE_START = (
    "LD_", "PYTHON", "COVERAGE_", "LC_", "LANG", "TZ", "MALLOC_", "SSL_CERT_",
    "COLUMNS", "LINES", "TERM", "TTY_", "NO_COLOR", "FORCE_",
)  # fmt: skip
"""Prefixes of variables that an interpreter, a C library or an import reads only once."""
SET_PARENT_DEATH_SIGNAL = 1
"""An option of Linux's prctl."""
LARGEST_REQUEST = 160_000
"""Most bytes of arguments and environment."""


class ForkedProcess:
    """The parts of subprocess.Popen that tests use, for a process started by the nursery."""

    def __init__(self, line: socket.socket, stdout: IO[Any] | None, stderr: IO[Any] | None) -> None:
        self._line = line
        self.stdout, self.stderr = stdout, stderr
        self.returncode: int | None = None
        self.pid = int(line.recv(64))

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Read its pipes until it ends. Raises subprocess.TimeoutExpired."""
        said: dict[str, Any] = {}

        def read(name: str, pipe: IO[Any]) -> None:
            said[name] = pipe.read()

        pipes = {name: pipe for name, pipe in (("stdout", self.stdout), ("stderr", self.stderr)) if pipe}
        readers = [threading.Thread(target=read, args=item, daemon=True) for item in pipes.items()]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join()
        for pipe in pipes.values():
            pipe.close()
        return said.get("stdout"), said.get("stderr")

    def send_signal(self, number: int) -> None:
        """Send a signal; does nothing if it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and _can_be_read(self._line, timeout):
            self.returncode = int(self._line.recv(64) or -signal.SIGKILL)
            self._line.close()
        return self.returncode

    def __del__(self) -> None:
        self._line.close()
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


def _can_be_read(line: socket.socket, timeout: float | None) -> bool:
    """Whether it can be read within so many seconds. `select` refuses descriptors above 1,023, which a test with many
    connections reaches."""
    waiting = select.poll()
    waiting.register(line, select.POLLIN)
    return bool(waiting.poll(None if timeout is None else timeout * 1000))


Process = subprocess.Popen[Any] | ForkedProcess


def start(
    module: str,
    *words: str,
    env: dict[str, str],
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    text: bool = False,
    start_new_session: bool = False,
) -> Process:
    """`python -m module words…` with this environment; the other arguments are those of subprocess.Popen."""
    special = {name for name in env if name.startswith(READ_AT_THE_START)} - {"PYTHONPATH"}
    if any(os.environ.get(name) != env[name] for name in special) or "COVERAGE_PROCESS_START" in os.environ:
        command = [sys.executable, "-m", module, *words]
        return subprocess.Popen(
            command, env=env, stdout=stdout, stderr=stderr, text=text, start_new_session=start_new_session
        )
    wanted = {"words": [module, *words], "env": env, "cwd": str(Path.cwd()), "session": start_new_session}
    return _the_nursery().start(wanted, stdout, stderr, text)


def run(module: str, *words: str, env: dict[str, str], timeout: float) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; returns its output. Raises subprocess.TimeoutExpired."""
    process = start(module, *words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
        raise
    return subprocess.CompletedProcess([module, *words], process.wait(), out, err)


class _Nursery:
    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * LARGEST_REQUEST)
        command = [sys.executable, "-m", "servers.forking", str(theirs.fileno())]
        kept = {
            name: value for name, value in os.environ.items() if name.startswith((*READ_AT_THE_START, "PATH", "HOME"))
        }
        self._process = spawn(command, cwd=ROOT, env=kept, pass_fds=[theirs.fileno()])
        theirs.close()

    def start(
        self, wanted: dict[str, Any], stdout: int | IO[Any] | None, stderr: int | IO[Any] | None, text: bool
    ) -> ForkedProcess:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, read_out = _end_of(stdout, 1, text)
        err, read_err = _end_of(stderr, 2, text)
        nothing = os.open(os.devnull, os.O_RDONLY)
        files = [theirs.fileno(), nothing, out, out if stderr == subprocess.STDOUT else err]
        request = json.dumps(wanted).encode()
        assert len(request) < LARGEST_REQUEST
        self._line.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
        theirs.close()
        for number in (nothing, out, err):
            os.close(number)
        return ForkedProcess(mine, read_out, read_err)

    def close(self) -> None:
        self._line.close()
        self._process.wait(10)


def _end_of(wanted: int | IO[Any] | None, usual: int, text: bool) -> tuple[int, IO[Any] | None]:
    """A file descriptor for the process, and the file for reading its pipe."""
    if wanted == subprocess.PIPE:
        reading, writing = os.pipe()
        return writing, os.fdopen(reading, "r" if text else "rb")
    if wanted is None or wanted == subprocess.STDOUT:
        return os.dup(usual), None
    if wanted == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_WRONLY), None
    return os.dup(wanted if isinstance(wanted, int) else wanted.fileno()), None


_nurseries: list[_Nursery] = []


def _the_nursery() -> _Nursery:
    if not _nurseries:
        _nurseries.append(_Nursery())
        atexit.register(_nurseries[0].close)
    return _nurseries[0]


def _serve(line: socket.socket) -> list[str] | None:
    """Fork for each request. Returns the arguments in the child, and None in the nursery at the end of the tests."""
    running: dict[int, socket.socket] = {}
    awake, wake = socket.socketpair()
    awake.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([line, awake], [], [])
        if awake in ready:
            awake.recv(4096)
            _report(running)
        if line not in ready:
            continue
        request, rights, _, _ = line.recvmsg(LARGEST_REQUEST, socket.CMSG_SPACE(4 * array.array("i").itemsize))
        if not request:
            return None
        files = array.array("i")
        for _, _, data in rights:
            files.frombytes(data)
        wanted = json.loads(request)
        _import_for(wanted["words"])
        child = os.fork()
        if child == 0:
            for other in (line, awake, wake, *running.values()):
                other.close()
            _become(wanted, list(files))
            words: list[str] = wanted["words"]
            return words
        answer = socket.socket(fileno=files[0])
        for number in files[1:]:
            os.close(number)
        answer.send(str(child).encode())
        running[child] = answer


def _report(running: dict[int, socket.socket]) -> None:
    """Report the exit codes of ended processes."""
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        answer = running.pop(child)
        with contextlib.suppress(OSError):
            answer.send(str(os.waitstatus_to_exitcode(status)).encode())
        answer.close()


def _import_for(words: list[str]) -> None:
    words = words[1:] if words[0] == OBSERVED else words
    for name in IMPORTS.get(" ".join(words[:2]), IMPORTS.get(words[0], [])):
        importlib.import_module(name)
    gc.freeze()  # all current objects are shared with every child, and no collection needs to touch them


def _become(wanted: dict[str, Any], files: list[int]) -> None:
    """In the child: set up what a new process would have. It ends with the nursery."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(files[0])
    if wanted["session"]:
        os.setsid()
    for target, number in enumerate(files[1:]):
        os.dup2(number, target)
        os.close(number)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = [wanted["words"][0], *wanted["words"][1:]]
    mine = os.environ.get("PYTHONPATH", "")
    sys.path[:] = [wanted["cwd"], *mine.split(os.pathsep)[: len(mine)], *sys.path[1:]]
    importlib.invalidate_caches()


if __name__ == "__main__":
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        runpy.run_module(asked[0], run_name="__main__", alter_sys=True)
