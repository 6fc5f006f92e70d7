"""The mounts of ASYA_STATE_PROXY_MOUNTS, and the mapping of paths to keys. Pure."""

import errno
import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

LONGEST_KEY = 1024
"""Most bytes of a key: S3's limit, which every connector supports."""

Write = Literal["buffered", "passthrough"]


class InvalidMounts(ValueError):
    """ASYA_STATE_PROXY_MOUNTS is invalid. The text says which part."""


@dataclass(frozen=True, slots=True)
class StateMount:
    """`path`: absolute, without a trailing slash. `name`: of the connector's socket. `write`: buffered files are sent
    as a whole when they are closed, passthrough ones in pieces."""

    name: str
    path: str
    write: Write = "buffered"


@dataclass(frozen=True, slots=True)
class MountedPath:
    """A path below a mount. `key` is empty for the mount itself; `path` is unchanged."""

    mount: StateMount
    key: str
    path: str
    folder: bool = False
    """Whether the path ends with a slash, so that it can only be a folder."""


def parse_mounts(text: str) -> tuple[StateMount, ...]:
    """`name:path:write=buffered|passthrough`, separated by semicolons. Without the last part it is buffered.

    Raises InvalidMounts.
    """
    mounts = [_parse_mount(part.strip()) for part in text.split(";") if part.strip()]
    for what, values in (("name", [one.name for one in mounts]), ("path", [one.path for one in mounts])):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise InvalidMounts(f"the {what} {twice} is given twice")
    # The longest path comes first, so that a mount inside another is found first.
    return tuple(sorted(mounts, key=lambda mount: -len(mount.path)))


def _parse_mount(text: str) -> StateMount:
    name, _, rest = text.partition(":")
    path, _, options = rest.partition(":")
    if not name or not path or "/" in name or name in (".", ".."):
        raise InvalidMounts(f"{text!r}: expected name:path:write=buffered or name:path:write=passthrough")
    if not path.startswith("/") or posixpath.normpath(path).strip("/") == "":
        raise InvalidMounts(f"{text!r}: the path must be absolute, and not /")
    given = dict(option.strip().partition("=")[::2] for option in options.split(",") if option.strip())
    write = given.pop("write", "buffered")
    if given or write not in ("buffered", "passthrough"):
        raise InvalidMounts(f"{text!r}: expected write=buffered or write=passthrough, got {options!r}")
    return StateMount(name, "/" + posixpath.normpath(path).lstrip("/"), cast("Write", write))


def locate(mounts: Sequence[StateMount], path: Any) -> MountedPath | None:
    """The mounted path, or None for anything else: other paths, file descriptors, None.

    Raises PermissionError for a path that begins below a mount but leads out of it, OSError (ENAMETOOLONG), ValueError
    for a path with NUL.
    """
    if isinstance(path, int) or not isinstance(path, str | bytes | os.PathLike):
        return None
    text = os.fsdecode(path)
    try:
        absolute = text if text.startswith("/") else posixpath.join(os.getcwd(), text)  # noqa: PTH109 # text
    except FileNotFoundError:
        return None  # the current folder is gone, so a relative path leads nowhere
    normal = "/" + posixpath.normpath(absolute).lstrip("/")
    mount = next((one for one in mounts if _within(normal, one)), None)
    if mount is None:
        written = next((one for one in mounts if _within("/" + absolute.lstrip("/"), one)), None)
        if written is not None:
            raise PermissionError(errno.EACCES, f"the path leads out of {written.path}", text)
        return None
    if "\0" in text:
        raise ValueError("embedded null byte")
    key = normal[len(mount.path) + 1 :]
    if len(os.fsencode(key)) > LONGEST_KEY:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), text)
    return MountedPath(mount, key, text, folder=text.endswith(("/", "/.")))


def _within(path: str, mount: StateMount) -> bool:
    return path == mount.path or path.startswith(mount.path + "/")
