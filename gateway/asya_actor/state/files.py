"""Open files of a mount: raw streams for the standard library's buffers and decoders."""

import errno
import io
from tempfile import SpooledTemporaryFile
from typing import Any

from typing_extensions import override

from asya_actor.state.connector import Connectors
from asya_actor.state.modes import Access
from asya_actor.state.mounts import MountedPath
from asya_actor.state.transfers import ContentReader, Writing

IN_MEMORY = 4 * 1024 * 1024
"""Most bytes of a buffered file in memory; a larger one goes to the temporary folder."""


class _Raw(io.RawIOBase):
    """The common base. `name` is the path, as for ordinary files."""

    def __init__(self, place: MountedPath) -> None:
        super().__init__()
        self.name = place.path
        self._place = place


class BufferedFile(_Raw):
    """A whole file in memory or a temporary file. Changes are sent in one request when it is closed."""

    def __init__(self, place: MountedPath, connectors: Connectors, access: Access) -> None:
        super().__init__(place)
        self._connectors = connectors
        self._access = access
        self._content = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 # closed with this file
        self._changed = access.writes and access.begins_empty

    def load(self) -> None:
        """Fetch the existing content. Raises OSError (EFBIG) above the limit."""
        reading = self._connectors.read(self._place)
        try:
            for piece in reading.pieces():
                self._within(self._content.tell() + len(piece))
                self._content.write(piece)
        finally:
            reading.close()
        self._content.seek(0)

    def create(self) -> None:
        """Begin a new file. Closing it creates it, even if nothing was written."""
        self._changed = True

    def discard(self) -> None:
        """Close without sending anything."""
        self._changed = False
        self.close()

    @override
    def readable(self) -> bool:
        return self._access.reads

    @override
    def writable(self) -> bool:
        return self._access.writes

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        self._check_open()
        view = memoryview(buffer).cast("B")
        piece = self._content.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    @override
    def write(self, data: Any) -> int:
        self._check_open()
        piece = memoryview(data).cast("B")
        if self._access.appends:
            self._content.seek(0, io.SEEK_END)
        self._within(self._content.tell() + len(piece))
        self._content.write(piece)
        self._changed = True
        return len(piece)

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check_open()
        self._content.seek(offset, whence)
        return self._content.tell()

    @override
    def tell(self) -> int:
        self._check_open()
        return self._content.tell()

    @override
    def truncate(self, size: int | None = None) -> int:
        self._check_open()
        size = self._content.tell() if size is None else size
        self._within(size)
        before = self._content.tell()
        self._content.seek(0, io.SEEK_END)
        end = self._content.tell()
        if size > end:
            self._content.write(b"\0" * (size - end))
        else:
            self._content.truncate(size)
        self._content.seek(before)
        self._changed = True
        return size

    @override
    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._changed:
                self._content.seek(0, io.SEEK_END)
                size = self._content.tell()
                self._content.seek(0)
                self._connectors.write(self._place, self._content, size, exclusive=self._access.exclusive)
        finally:
            self._content.close()
            super().close()

    def _within(self, size: int) -> None:
        if size > self._connectors.largest:
            raise OSError(errno.EFBIG, f"a buffered file has at most {self._connectors.largest} bytes", self.name)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class StreamedReader(_Raw):
    """Reads a key as it arrives. Nothing is kept, so it cannot seek."""

    def __init__(self, place: MountedPath, reading: ContentReader) -> None:
        super().__init__(place)
        self._reading = reading

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        return self._reading.into(memoryview(buffer).cast("B"))

    @override
    def close(self) -> None:
        if not self.closed:
            self._reading.close()
        super().close()


class StreamedWriter(_Raw):
    """Sends a key as it is written; closing it completes it."""

    def __init__(self, place: MountedPath, writing: Writing) -> None:
        super().__init__(place)
        self._writing = writing
        self._failed = False

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: Any) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        piece = memoryview(data).cast("B")
        try:
            self._writing.send(piece)
        except OSError:
            self._failed = True
            raise
        return len(piece)

    @override
    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._failed:
                self._writing.abandon()
            else:
                self._writing.finish()
        finally:
            super().close()
