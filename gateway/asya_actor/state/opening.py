"""`open` for a path below a mount: our raw files wrapped in the standard library's buffers and text layers."""

import codecs
import errno
import io
import os
from typing import IO, Any

from asya_actor.state.connector import Connectors
from asya_actor.state.files import BufferedFile, StreamedReader, StreamedWriter
from asya_actor.state.modes import Access, access_of
from asya_actor.state.mounts import MountedPath
from asya_actor.state.transfers import PIECE


def open_state(
    connectors: Connectors,
    place: MountedPath,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> IO[Any]:
    """A file object like that of the built-in `open`. The default encoding is UTF-8, so that a pod can read what
    another wrote, whatever their locales.

    Raises what the built-in raises (ValueError for incompatible parameters, OSError).
    """
    access = access_of(mode)
    encoding = "utf-8" if access.text and encoding in (None, "locale") else encoding
    _check(access, buffering, encoding, errors, newline)
    if opener is not None or not closefd:
        raise ValueError("a file below a state mount has no descriptor: opener and closefd cannot be used")
    if not place.key or place.folder:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), place.path)
    raw = _open_raw(connectors, place, access)
    if buffering == 0:
        return raw  # type: ignore[return-value] # as the built-in's; typeshed knows it from the parameters
    buffer = _buffered(raw, access, buffering if buffering > 1 else PIECE)
    if not access.text:
        return buffer
    text = io.TextIOWrapper(buffer, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode  # type: ignore[misc] # as the built-in does
    return text


def _check(access: Access, buffering: int, encoding: str | None, errors: str | None, newline: str | None) -> None:
    """Check the parameters before anything is opened, because a later error would leave a file behind."""
    if access.text:
        if buffering == 0:
            raise ValueError("can't have unbuffered text I/O")
        codecs.lookup(encoding or "")
        codecs.lookup_error(errors or "strict")
        if newline not in (None, "", "\n", "\r", "\r\n"):
            raise ValueError(f"illegal newline value: {newline!r}")
        return
    for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
        if value is not None:
            raise ValueError(f"binary mode doesn't take an {name} argument")


def _open_raw(connectors: Connectors, place: MountedPath, access: Access) -> io.RawIOBase:
    if access.exclusive:
        _must_be_new(connectors, place)
    if place.mount.write == "passthrough":
        return _open_streamed(connectors, place, access)
    file = BufferedFile(place, connectors, access)
    if not access.begins_empty:
        try:
            file.load()
        except FileNotFoundError:
            if not access.appends:
                file.discard()
                raise
            file.create()
        except BaseException:
            file.discard()
            raise
    if access.appends:
        file.seek(0, io.SEEK_END)
    return file


def _open_streamed(connectors: Connectors, place: MountedPath, access: Access) -> io.RawIOBase:
    if access.updates or access.appends:
        raise OSError(errno.ENOTSUP, f"files of {place.mount.path} are streamed: only r, w and x", place.path)
    if access.reads:
        return StreamedReader(place, connectors.read(place))
    return StreamedWriter(place, connectors.writing(place, exclusive=access.exclusive))


def _must_be_new(connectors: Connectors, place: MountedPath) -> None:
    """Check that the key does not exist. The store checks again when the file is written, because only it can decide
    between several writers."""
    try:
        connectors.stat(place)
    except FileNotFoundError:
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.path)


def _buffered(
    raw: io.RawIOBase, access: Access, size: int
) -> io.BufferedRandom | io.BufferedWriter | io.BufferedReader:
    if access.updates:
        return io.BufferedRandom(raw, size)
    return io.BufferedWriter(raw, size) if access.writes else io.BufferedReader(raw, size)
