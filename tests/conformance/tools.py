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
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.commits import ROOT
from servers.processes import ServerFailed, ServerUnavailable

HERE = Path(__file__).parent
CACHE = ROOT / ".cache" / "conformance"
INSTALLING = 240
"""Seconds that an installation may take."""
RUNNING = 90
"""Seconds that a program may run."""


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
        _command([npm, "install", "--no-save", *options], folder)

    folder = _installed("node", locked, install)
    # A script finds packages from its own folder upwards.
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copy(script, folder)
    return Node(folder)


def fastmcp() -> str:
    """The interpreter of an environment with fastmcp and its tasks. Its dependencies would be many more for .venv."""
    return _python("fastmcp")


def mcp1() -> str:
    """The interpreter of an environment with the official client's first generation. `.venv` has the second."""
    return _python("mcp1")


def a2a(generation: int) -> str:
    """The interpreter of an environment with the official A2A client: 1 for 1.0, 0 for 0.3."""
    return _python(f"a2a{generation}")


def _python(name: str) -> str:
    requirements = HERE / "python" / f"{name}.txt"

    def install(folder: Path) -> None:
        _command([sys.executable, "-m", "venv", "--without-pip", "."], folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q"]
        _command([*pip, "--disable-pip-version-check", "-r", str(requirements)], folder)

    return str(_installed(name, [requirements], install) / "bin" / "python")


async def run(*command: str, **environment: str) -> Finished:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "NO_COLOR": "1", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUNNING):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"{command} did not end: {out.decode()}\n{err.decode()}") from None
    return Finished(process.returncode or 0, out.decode(), err.decode())


def _installed(name: str, files: Any, install: Callable[[Path], None]) -> Path:
    """A folder for these files' contents, complete. Several processes may ask at the same time."""
    hashed = hashlib.sha256(b"\0".join(file.read_bytes() for file in sorted(files))).hexdigest()[:16]
    folder = CACHE / f"{name}-{hashed}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            for old in CACHE.glob(f"{name}-*"):
                shutil.rmtree(old)
            folder.mkdir()
            install(folder)
            (folder / ".complete").touch()
    return folder


def _command(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALLING, check=False)
    if done.returncode:
        raise ServerFailed(f"{' '.join(command)}: {done.stdout}{done.stderr}")
