"""The real `asya dev` and the real `asya` as a user would start them."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from servers.forking import run, start

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PATIENCE = 90.0
"""Seconds; on a machine that does nothing else each thing takes two or three."""
READY = re.compile(r"ready at (http://\S+)")


def environment(**variables: str) -> dict[str, str]:
    """That of the tests without the project's own variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ASYA_")} | variables


def run_asya(*words: str, url: str = "", timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return run("asya_cli", *words, env=environment(**({"ASYA_URL": url} if url else {})), timeout=timeout)


class DevRun:
    """A running `asya dev`; `lines` is all that it has said so far."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.process = start(
            "asya_cli",
            "dev",
            str(folder),
            *options,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(**variables),
            # As a shell's foreground job has a process group of its own, which Ctrl-C reaches as a whole.
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._forgotten = 0
        self._heard = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        """Everything it has said since it was last forgotten."""
        return "\n".join(self.lines[self._forgotten :])

    @property
    def url(self) -> str:
        """Where its gateway answers."""
        match = READY.search("\n".join(self.lines))
        assert match, self.text
        return match[1]

    def forget(self) -> None:
        """From now on `text` and `wait_for` begin with what it says next."""
        self._forgotten = len(self.lines)

    def wait_for(self, pattern: str, *, count: int = 1, timeout: float = PATIENCE) -> None:
        """Wait until it has said this (a regular expression) so many times."""
        give_up = time.monotonic() + timeout
        with self._heard:
            while len(re.findall(pattern, self.text)) < count:
                left = give_up - time.monotonic()
                ended = self.process.poll() is not None and not self._reader.is_alive()
                if left <= 0 or ended:
                    raise AssertionError(f"{pattern!r} was not said {count} times; what was said:\n{self.text}")
                self._heard.wait(min(left, 0.2))

    def children(self, word: str = "") -> list[psutil.Process]:
        """The processes that descend from it and have this word in their command line."""
        found = []
        for relative in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if any(word in part for part in relative.cmdline()):
                    found.append(relative)
        return found

    def interrupt(self, timeout: float = 20.0) -> int:
        """Ctrl-C: SIGINT to the whole foreground group; returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout)

    def close(self) -> None:
        """End it whatever its state."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(20)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._heard:
                self.lines.append(line.rstrip("\n"))
                self._heard.notify_all()


@contextmanager
def dev_run(folder: Path, *options: str, **variables: str) -> Iterator[DevRun]:
    """`asya dev` on a free port, from ready to ended; with `--ephemeral` unless the options say what to keep."""
    run = DevRun(folder, "--port", "0", *(options or ("--ephemeral",)), **variables)
    try:
        run.wait_for("ready at")
        yield run
    finally:
        run.close()
