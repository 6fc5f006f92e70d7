"""The source files of a folder's handlers, and the detection of changes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

POLL = 0.4
"""Seconds between two checks; a few hundred files cost about a millisecond."""
SKIPPED = frozenset({"__pycache__", "node_modules"})

Fingerprint = dict[Path, tuple[int, int]]


def fingerprint(folder: Path) -> Fingerprint:
    """Time and size of every Python file and of actors.yaml."""
    found: Fingerprint = {}
    for path in (*_python_files(folder, set()), folder / "actors.yaml"):
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def _python_files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """`seen` has the folders already visited, because links may lead back to one."""
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError:
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.suffix == ".py":
            yield entry
        elif _is_source_folder(entry):
            yield from _python_files(entry, seen)


def _is_source_folder(entry: Path) -> bool:
    """Whether a folder may contain sources. Hidden folders and virtual environments do not. A link counts only if it
    leads to Python files; other targets may be large data folders."""
    try:
        if entry.name.startswith(".") or entry.name in SKIPPED or not entry.is_dir():
            return False
        if entry.is_symlink() and not any(entry.glob("*.py")):
            return False
        return not (entry / "pyvenv.cfg").exists()
    except OSError:
        return False


async def changed(folder: Path, known: Fingerprint) -> tuple[Fingerprint, list[Path]]:
    """Wait for a change and until it has settled; returns the new fingerprint and the changed files."""
    while True:
        await asyncio.sleep(POLL)
        found = fingerprint(folder)
        if found == known:
            continue
        # Wait for an editor that writes several files, so that they cause one restart.
        while True:
            await asyncio.sleep(POLL / 2)
            settled = fingerprint(folder)
            if settled == found:
                break
            found = settled
        names = known.keys() | found.keys()
        differing = sorted(path for path in names if known.get(path) != found.get(path))
        if differing:
            return found, differing
