"""The functions of `os` for paths below a mount."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, NoReturn, Self

from asya_actor.state.connector import Connectors, Stat
from asya_actor.state.mounts import MountedPath

ATTRIBUTES = "user.asya."
"""Prefix of the names of extended attributes; the store has them without it."""

_FILE, _FOLDER = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755

_REFUSED = ("chmod", "chown", "open", "readlink", "removexattr", "rmdir", "truncate", "utime")
_REFUSED_FOR_TWO = ("link", "rename", "replace", "symlink")
"""Functions that a key store cannot do, or not atomically; the second group has two paths, `src` and `dst`. Without an
explicit error they would fail as if the file were missing."""

Ours = Callable[..., Any]


class Folder:
    """A mount's files and folders. Folders exist only in the names of keys: creating one does nothing, and a folder
    without keys is empty, not missing."""

    def __init__(self, connectors: Connectors) -> None:
        self._connectors = connectors

    def functions(self) -> list[tuple[str, tuple[str, ...], Ours]]:
        """(name in `os`, its path parameters, the function to call if one of them is below a mount)."""
        ours: dict[str, Ours] = {
            "stat": self.stat,
            "lstat": self.stat,
            "access": self.access,
            "listdir": self.listdir,
            "scandir": self.scandir,
            "unlink": self.unlink,
            "remove": self.unlink,
            "mkdir": self.mkdir,
            "listxattr": self.listxattr,
            "getxattr": self.getxattr,
            "setxattr": self.setxattr,
            **{name: _refuse(name) for name in _REFUSED},
        }
        return [
            *((name, ("path",), function) for name, function in ours.items()),
            ("makedirs", ("name",), self.makedirs),
            *((name, ("src", "dst"), _refuse(name)) for name in _REFUSED_FOR_TWO),
        ]

    def stat(self, place: MountedPath, **_: Any) -> os.stat_result:
        """Size and type; times are unknown and 0."""
        return _result(self._connectors.stat(place))

    def access(self, place: MountedPath, mode: int, **_: Any) -> bool:
        """Whether it exists. Only the store knows the permissions."""
        try:
            found = self._connectors.stat(place)
        except OSError:
            return False
        return found.folder or not mode & os.X_OK

    def listdir(self, place: MountedPath) -> list[str]:
        """Names directly below."""
        found = self._connectors.listing(place)
        return [*found.files, *found.folders]

    def scandir(self, place: MountedPath) -> "Entries":
        """The same as entries."""
        found = self._connectors.listing(place)
        entries = [FolderEntry(self._connectors, place, name, folder=False) for name in found.files]
        return Entries(entries + [FolderEntry(self._connectors, place, name, folder=True) for name in found.folders])

    def unlink(self, place: MountedPath) -> None:
        """Delete a file."""
        if not place.key or place.folder:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), place.path)
        self._connectors.delete(place)

    def mkdir(self, place: MountedPath, mode: int = 0o777) -> None:
        """Does nothing, unless it exists already."""
        self.makedirs(place, mode)

    def makedirs(self, place: MountedPath, mode: int = 0o777, exist_ok: bool = False) -> None:
        """Does nothing, unless a file exists there, or a folder that must not exist."""
        try:
            found = self._connectors.stat(place)
        except FileNotFoundError:
            return
        if not (found.folder and exist_ok):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.path)

    def listxattr(self, place: MountedPath, **_: Any) -> list[str]:
        """The names of a file's attributes, each beginning with `user.asya.`."""
        return [ATTRIBUTES + name for name in self._connectors.attributes(place)]

    def getxattr(self, place: MountedPath, attribute: str | bytes, **_: Any) -> bytes:
        """Raises OSError (ENODATA) for an unknown attribute."""
        name = _attribute(attribute)
        if name is None:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), place.path)
        try:
            return self._connectors.attribute(place, name).encode()
        except OSError as error:
            raise _of_attributes(error) from error

    def setxattr(self, place: MountedPath, attribute: str | bytes, value: bytes, flags: int = 0, **_: Any) -> None:
        """Raises OSError (ENOTSUP) for names that do not begin with `user.asya.`, ValueError for a value that is not
        text, PermissionError for a read-only attribute."""
        name = _attribute(attribute)
        if name is None or flags:
            raise OSError(errno.ENOTSUP, f"only attributes {ATTRIBUTES}*, without flags", place.path)
        try:
            self._connectors.set_attribute(place, name, bytes(value).decode())
        except OSError as error:
            raise _of_attributes(error) from error


class FolderEntry:
    """The counterpart of os.DirEntry."""

    def __init__(self, connectors: Connectors, parent: MountedPath, name: str, *, folder: bool) -> None:
        self.name = name
        self.path = os.path.join(parent.path, name)  # noqa: PTH118 # as os.DirEntry does
        self._connectors = connectors
        self._place = MountedPath(parent.mount, f"{parent.key}/{name}".lstrip("/"), self.path)
        self._folder = folder

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._folder

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return not self._folder

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def inode(self) -> int:
        return 0

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _result(Stat(0, folder=True) if self._folder else self._connectors.stat(self._place))

    def __fspath__(self) -> str:
        return self.path


class Entries:
    """The counterpart of os.scandir's result: an iterator and a context manager."""

    def __init__(self, entries: list[FolderEntry]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[FolderEntry]:
        return self

    def __next__(self) -> FolderEntry:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _result(found: Stat) -> os.stat_result:
    mode = _FOLDER if found.folder else _FILE
    return os.stat_result((mode, 0, 0, 1, os.getuid(), os.getgid(), found.size, 0, 0, 0))


def _attribute(name: str | bytes) -> str | None:
    text = os.fsdecode(name)
    return text.removeprefix(ATTRIBUTES) if text.startswith(ATTRIBUTES) else None


def _of_attributes(error: OSError) -> OSError:
    """A connector answers 400 for an unknown attribute; for a file system that is ENODATA."""
    if error.errno == errno.EINVAL:
        return OSError(errno.ENODATA, os.strerror(errno.ENODATA), error.filename)
    return error


def _refuse(name: str) -> Ours:
    def refuse(place: MountedPath, *_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.ENOTSUP, f"os.{name} is not supported below a state mount", place.path)

    return refuse
