"""Runs another commit of this repository beside the working tree.

Its files come from `git archive` into a cache folder named after the commit, once. Its programs run in the working
tree's environment, so a dependency that they need stays in the test group until PREVIOUS_COMMIT moves on.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from servers.processes import ServerUnavailable

ROOT = Path(__file__).parents[1]
CACHE = Path(".cache", "commits")
"""Within the repository, and not under version control."""
PACKAGES = ("crds", "operator", "gateway")
"""The folders with importable packages, as in the working tree's own installation."""


def previous_commit() -> str:
    """The commit whose programs must work beside the working tree's, as 40 hexadecimal digits."""
    return (Path(__file__).parent / "PREVIOUS_COMMIT").read_text().strip()


def resolved(revision: str, repository: Path = ROOT) -> str:
    """The commit of a revision, as 40 hexadecimal digits. Raises ServerUnavailable if the repository does not have
    it."""
    done = _git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode == 0:
        return done.stdout.decode().strip()
    shallow = _git(repository, "rev-parse", "--is-shallow-repository")
    if shallow.returncode != 0:
        raise ServerUnavailable(f"{repository} is no git repository, so commit {revision} cannot be taken out of it")
    if shallow.stdout.strip() == b"true":
        raise ServerUnavailable(f"this clone is shallow and lacks commit {revision}; `git fetch --unshallow` gets it")
    raise ServerUnavailable(f"this repository has no commit {revision}; `git fetch` may get it")


def unpacked(revision: str, repository: Path = ROOT) -> Path:
    """The folder with this commit's files. Raises ServerUnavailable if the repository does not have it."""
    commit = resolved(revision, repository)
    cache = repository / CACHE
    folder = cache / commit
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    archive = _git(repository, "archive", "--format=tar", commit)
    if archive.returncode != 0:
        raise ServerUnavailable(f"git archive {commit}: {archive.stderr.decode(errors='replace')[-500:]}")
    half = Path(tempfile.mkdtemp(dir=cache, prefix="half-"))
    try:
        subprocess.run(["tar", "-x", "-C", str(half)], input=archive.stdout, check=True)
        half.rename(folder)
    except OSError:
        # Another process that unpacked it at the same time was faster, with the same files.
        if not folder.exists():
            raise
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return folder


def import_path(tree: Path, *more: Path) -> str:
    """PYTHONPATH for programs of this tree; it comes before what is installed."""
    return os.pathsep.join(str(folder) for folder in (*(tree / name for name in PACKAGES), *more))


def imported_from(tree: Path, package: str) -> Path:
    """The folder from which a program of this tree imports a package."""
    code = f"import {package}; print({package}.__file__)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": import_path(tree)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tree, capture_output=True, check=True)
    return Path(done.stdout.decode().strip())


def _git(repository: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    # The folder may belong to another user than the tests', which git refuses unless configured.
    command: Sequence[str] = ["git", "-c", f"safe.directory={repository}", "-C", str(repository), *words]
    try:
        return subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        raise ServerUnavailable("there is no git on this machine") from None
