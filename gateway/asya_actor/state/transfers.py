"""Transfers the content of one key in pieces."""

import errno
import http.client
from collections.abc import Iterable
from contextlib import closing

from asya_actor.state.mounts import MountedPath
from asya_actor.state.refusals import refusal, unreachable

PIECE = 64 * 1024


class ContentReader:
    """The content of a key as it arrives."""

    def __init__(
        self, place: MountedPath, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        self._place = place
        self._connection = connection
        self._answer = answer

    def into(self, buffer: memoryview) -> int:
        """Fill the buffer as far as possible; 0 at the end."""
        try:
            count = self._answer.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self._place, error) from error
        if count == 0 and self._answer.length:
            # The library treats a lost connection as the end of the content.
            raise OSError(
                errno.EIO, f"the content was truncated {self._answer.length} bytes before its end", self._place.path
            )
        return count

    def pieces(self) -> Iterable[memoryview]:
        """All of the content; each piece is valid until the next one."""
        buffer = memoryview(bytearray(PIECE))
        while count := self.into(buffer):
            yield buffer[:count]

    def close(self) -> None:
        """Stop reading."""
        self._connection.close()


class Writing:
    """The content of a key as it is sent. One that is never finished is not stored."""

    def __init__(self, place: MountedPath, connection: http.client.HTTPConnection) -> None:
        self._place = place
        self._connection = connection

    def send(self, piece: bytes | memoryview) -> None:
        """Send one chunk. An empty piece sends nothing, because it would end the content."""
        if len(piece):
            self._send(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")))

    def finish(self) -> None:
        """Complete the content; returns when it is stored."""
        with closing(self._connection):
            self._send(b"0\r\n\r\n")
            self._check()

    def abandon(self) -> None:
        """Close the connection, so that nothing is stored."""
        self._connection.close()

    def _send(self, data: bytes) -> None:
        try:
            self._connection.send(data)
        except (BrokenPipeError, ConnectionResetError):
            with closing(self._connection):
                self._check()
            raise  # stored before it was complete: the connector did not wait for the end
        except OSError as error:
            self._connection.close()
            raise unreachable(self._place, error) from error

    def _check(self) -> None:
        try:
            answer = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self._place, error) from error
        if answer.status >= http.client.BAD_REQUEST:
            raise refusal(self._place, answer)
