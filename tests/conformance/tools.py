"""Clients and issuers of others, installed into .cache/conformance when a test first needs them.

They come from npm and PyPI in exact versions (node/package-lock.json, python/*.txt). Node.js is among them, because the
suite needs a newer one than distributions have.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.commits import ROOT
from servers.processes import ServerFailed, ServerUnavailable

HERE = Path(__file__).parent
PYTHONS = sorted(file.stem for file in (HERE / "python").glob("*.txt"))
"""Environments, each with its own file of requirements."""
CACHE = ROOT / ".cache" / "conformance"
INSTALLING: float = 240
"""Seconds that one attempt to install may take."""
ATTEMPTS = 3
"""Attempts to install: registries and networks fail now and then."""
RUNNING = 200
"""Seconds that a program may run: the longest takes 20 on a machine that does nothing else."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> Any:
        """The JSON of its last line."""
        assert self.status == 0, f"{self.stdout}\n{self.stderr}"
        return json.loads(self.stdout.strip().splitlines()[-1])


@dataclass(frozen=True, slots=True)
class Node:
    """Node.js with its packages, in a folder that also contains our scripts."""

    folder: Path

    @property
    def program(self) -> str:
        return str(self.folder / "node_modules" / "node" / "bin" / "node")

    def script(self, name: str) -> list[str]:
        """The command that runs one of our scripts, or a package's program by its path in node_modules."""
        return [self.program, str(self.folder / name)]

    async def run(self, name: str, *arguments: str, **environment: str) -> Finished:
        return await run(*self.script(name), *arguments, **environment)


def node() -> Node:
    """Install if needed. Raises ServerUnavailable."""
    npm = shutil.which("npm")
    if npm is None:
        raise ServerUnavailable("npm is not installed")

    locked = [HERE / "node" / "package.json", HERE / "node" / "package-lock.json"]

    def install(folder: Path) -> None:
        for file in locked:
            shutil.copy(file, folder)
        options = ["--no-audit", "--no-fund", "--loglevel=error", "--omit-lockfile-registry-resolved"]
        # Not `ci`, which fails if an optional package of other systems cannot be found. The lock is kept.
        command([npm, "install", "--no-save", *options], folder)

    folder = installed("node", locked, install)
    # A script finds packages from its own folder upwards.
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copy(script, folder)
    return Node(folder)


def fastmcp() -> str:
    """The interpreter of an environment with fastmcp and its tasks. Its dependencies would be many more for .venv."""
    return _python("fastmcp")


def mcp(generation: int) -> str:
    """The interpreter of an environment with the official client of this generation, 1 or 2."""
    return _python(f"mcp{generation}")


def a2a(generation: int) -> str:
    """The interpreter of an environment with the official A2A client: 1 for 1.0, 0 for 0.3."""
    return _python(f"a2a{generation}")


def _python(name: str) -> str:
    requirements = HERE / "python" / f"{name}.txt"

    def install(folder: Path) -> None:
        command([sys.executable, "-m", "venv", "--without-pip", "."], folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q"]
        command([*pip, "--disable-pip-version-check", "-r", str(requirements)], folder)

    return str(installed(name, [requirements], install) / "bin" / "python")


async def run(*command: str, **environment: str) -> Finished:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "NO_COLOR": "1", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    communicating = asyncio.create_task(process.communicate())
    try:
        async with asyncio.timeout(RUNNING):
            out, err = await asyncio.shield(communicating)
    except TimeoutError:
        process.kill()
        out, err = await communicating
        raise AssertionError(f"{command} did not end: {out.decode()}\n{err.decode()}") from None
    finally:
        # Nobody waits for it any more, if this test was given up.
        if process.returncode is None:
            process.kill()
            await communicating
    return Finished(process.returncode or 0, out.decode(), err.decode())


def installed(name: str, files: Iterable[Path], install: Callable[[Path], None]) -> Path:
    """A folder for these files' contents, complete. Several processes may ask at the same time.

    It gets its name when it is complete, so whatever interrupts an installation leaves nothing that is taken for one.
    """
    hashed = hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(files))).hexdigest()[:20]
    folder = CACHE / f"{name}-{hashed}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            # Those of other versions, and what an interrupted installation left.
            for old in CACHE.glob(f"{name}-*"):
                shutil.rmtree(old)
            _attempted(CACHE / f"{name}-part", install).rename(folder)
    return folder


def _attempted(folder: Path, install: Callable[[Path], None]) -> Path:
    """Install into the folder, which is empty at each attempt. Raises what the last attempt raised."""
    for left in reversed(range(ATTEMPTS)):
        folder.mkdir()
        try:
            install(folder)
        except ServerFailed:
            if not left:
                raise
            shutil.rmtree(folder)
        else:
            break
    return folder


def command(words: list[str], folder: Path) -> None:
    """Run it to its end. Raises ServerFailed."""
    with subprocess.Popen(
        words, cwd=folder, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            output, _ = process.communicate(timeout=INSTALLING)
        except BaseException as reason:
            # With what it started, which would go on writing into the folder.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(reason, subprocess.TimeoutExpired):
                raise ServerFailed(f"{' '.join(words)} did not end in {INSTALLING} s") from reason
            raise
    if process.returncode:
        raise ServerFailed(f"{' '.join(words)}: {output}")


def main() -> int:
    """Install everything, at the same time: `python -m tests.conformance.tools`. Without npm the rest is installed."""
    with ThreadPoolExecutor() as pool:
        wanted: dict[str, Future[Any]] = {name: pool.submit(_python, name) for name in PYTHONS}
        wanted["node"] = pool.submit(node)
        for name, future in wanted.items():
            try:
                future.result()
            except ServerUnavailable as reason:
                print(f"{name}: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
