"""The databases of `asya dev`: a folder for each, locked while it is in use."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from asya_cli.errors import CliError

SHARED_STATE = Path("/var/tmp")  # noqa: S108 # nosec B108 # the folder below is checked to be the user's own
"""If `asya dev` runs as root, the database runs as another user, who has no access to root's home. Other users may have
no home."""
EPHEMERAL = "ephemeral-"


def state_folder() -> Path:
    """The folder of all databases, created if it is missing: below $XDG_STATE_HOME (XDG Base Directory specification),
    else below the home folder, else in /var/tmp in a folder named after the user id.

    Raises CliError if it cannot be created or belongs to another user.
    """
    shared = SHARED_STATE / f"asya-dev-{'root' if os.geteuid() == 0 else os.geteuid()}"
    base = Path(os.environ.get("XDG_STATE_HOME") or "")
    folder = shared if os.geteuid() == 0 else base / "asya" / "dev" if base.is_absolute() else _below_home() or shared
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(
            f"{folder}: cannot store databases there: {error.strerror}; set XDG_STATE_HOME to one of your folders"
        ) from error
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise CliError(f"{folder}: belongs to another user; databases cannot be stored there")
    return folder


def _below_home() -> Path | None:
    """The usual place, or None for a user without a writable home folder (such as an arbitrary id in a container)."""
    try:
        folder = Path.home() / ".local" / "state" / "asya" / "dev"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder


@dataclass
class DataFolder:
    """A folder that this process has locked until `release`."""

    path: Path
    ephemeral: bool
    _lock: IO[bytes] = field(repr=False)

    def release(self) -> None:
        """Release the lock; an ephemeral folder is removed."""
        if self.ephemeral:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def hold_folder(project: Path, *, ephemeral: bool) -> tuple[DataFolder, bool]:
    """The project's data folder, and whether it was available.

    If another process uses it, an ephemeral folder is returned instead, and the second value is False.
    """
    base = state_folder()
    _remove_abandoned(base)
    if not ephemeral:
        held = _hold(folder_of(project), ephemeral=False)
        if held is not None:
            return held, True
    while True:
        # A process that cleans up may lock a new folder first.
        fresh = _hold(Path(tempfile.mkdtemp(prefix=EPHEMERAL, dir=base)), ephemeral=True)
        if fresh is not None:
            return fresh, ephemeral


def folder_of(project: Path) -> Path:
    """The folder of a project's database, with a readable name that is unique for every path."""
    path = project.resolve()
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name)[:32] or "root"
    return state_folder() / f"{readable}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _hold(folder: Path, *, ephemeral: bool) -> DataFolder | None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return DataFolder(folder, ephemeral, lock)


def _remove_abandoned(base: Path) -> None:
    """Remove ephemeral folders of processes that were killed."""
    for folder in base.glob(f"{EPHEMERAL}*"):
        # Without a lock file, its owner has just created it.
        if not (folder / "lock").exists():
            continue
        with contextlib.suppress(OSError):
            held = _hold(folder, ephemeral=True)
            if held is not None:
                from asya_cli.dev.postgres import end_left_over

                end_left_over(folder / "data")
                held.release()
