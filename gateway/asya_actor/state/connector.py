"""The HTTP client for the connector of a mount."""

import contextlib
import errno
import http.client
import os
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from typing_extensions import override

from asya_actor.state.mounts import MountedPath, StateMount
from asya_actor.state.refusals import refusal, unreachable
from asya_actor.state.transfers import PIECE, ContentReader, Writing
from asya_crds import jsontext

CONNECT_PAUSE = 0.01
LARGEST_LIST = 16 * 1024 * 1024
"""Bytes of an answer that lists keys."""

_SAFE = "/!$&'()*+,;=:@~"
"""Characters that RFC 3986 allows unescaped in a path; existing connectors do not decode them."""


@dataclass(frozen=True, slots=True)
class Stat:
    """The metadata of a key; `size` in bytes."""

    size: int
    folder: bool


@dataclass(frozen=True, slots=True)
class FolderListing:
    """Names in a folder."""

    files: tuple[str, ...]
    folders: tuple[str, ...]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout, blocksize=PIECE)
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        give_up = time.monotonic() + (self.timeout or 0.0)
        while True:
            try:
                return self.sock.connect(self._path)
            except BlockingIOError:
                # The backlog of connections to accept is full, and with a timeout the kernel does not wait.
                if time.monotonic() >= give_up:
                    raise TimeoutError("it does not accept connections") from None
                time.sleep(CONNECT_PAUSE)


@dataclass(frozen=True, slots=True)
class Connectors:
    """The connectors of all mounts; each listens on `{folder}/{name}.sock`.

    `timeout`: seconds that a connector may be silent. `largest`: most bytes of a buffered file. Every method raises
    OSError, built in refusals.py. Each call uses its own connection, so any thread may call.
    """

    folder: str
    timeout: float = 30.0
    largest: int = 256 * 1024 * 1024
    headers: dict[str, str] = field(default_factory=lambda: {"Connection": "close"})

    def read(self, place: MountedPath) -> ContentReader:
        """GET: the content, to be read and closed."""
        connection, answer = self._ask("GET", place, _key(place))
        return ContentReader(place, connection, answer)

    def write(self, place: MountedPath, content: IO[bytes], size: int, *, exclusive: bool = False) -> None:
        """PUT the whole content at once."""
        headers = {"Content-Length": str(size)} | _only_new(exclusive)
        connection, _ = self._ask("PUT", place, _key(place), headers, content)
        connection.close()

    def writing(self, place: MountedPath, *, exclusive: bool = False) -> Writing:
        """PUT content that is sent in pieces."""
        connection = self._connection(place.mount)
        try:
            connection.putrequest("PUT", _key(place))
            for name, value in {"Transfer-Encoding": "chunked", **self.headers, **_only_new(exclusive)}.items():
                connection.putheader(name, value)
            connection.endheaders()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise unreachable(place, error) from error
        return Writing(place, connection)

    def delete(self, place: MountedPath) -> None:
        """DELETE a key."""
        connection, _ = self._ask("DELETE", place, _key(place))
        connection.close()

    def stat(self, place: MountedPath) -> Stat:
        """HEAD. A folder exists if keys begin with its name; the mount itself always exists."""
        if not place.key:
            return Stat(0, folder=True)
        try:
            connection, answer = self._ask("HEAD", place, _key(place))
        except FileNotFoundError:
            found = self.listing(place)
            if found.files or found.folders:
                return Stat(0, folder=True)
            raise
        connection.close()
        length = answer.getheader("Content-Length", "0")
        is_file = answer.getheader("X-Is-File", "true").lower() == "true"
        if is_file and place.folder:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place.path)
        return Stat(int(length) if length.isdigit() else 0, folder=not is_file)

    def listing(self, place: MountedPath) -> FolderListing:
        """GET with a prefix: the names directly below a folder; may be empty."""
        prefix = f"{place.key}/" if place.key else ""
        answer = self._json("GET", place, f"/keys/?prefix={quote(_encoded(prefix), safe='/')}&delimiter=/")
        return FolderListing(_names(answer.get("keys"), prefix), _names(answer.get("prefixes"), prefix))

    def attributes(self, place: MountedPath) -> list[str]:
        """The names of a key's attributes."""
        names = self._json("GET", place, _meta(place)).get("attrs")
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def attribute(self, place: MountedPath, name: str) -> str:
        """The value of an attribute. Raises OSError (ENODATA) if the key has none with this name."""
        value = self._json("GET", place, _meta(place, name)).get("value")
        if not isinstance(value, str):
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), place.path)
        return value

    def set_attribute(self, place: MountedPath, name: str, value: str) -> None:
        """Set an attribute. Raises PermissionError for a read-only one."""
        body = jsontext.dumps({"value": value}).encode()
        connection, _ = self._ask("PUT", place, _meta(place, name), {"Content-Type": "application/json"}, body)
        connection.close()

    def _json(self, method: str, place: MountedPath, target: str) -> dict[str, Any]:
        connection, answer = self._ask(method, place, target)
        with closing(connection):
            try:
                text = answer.read(LARGEST_LIST + 1)
            except (OSError, http.client.HTTPException) as error:
                raise unreachable(place, error) from error
        if len(text) > LARGEST_LIST:
            raise OSError(errno.EFBIG, f"the connector's response has more than {LARGEST_LIST} bytes", place.path)
        try:
            value = jsontext.loads(text)
        except jsontext.InvalidJSON as error:
            raise OSError(errno.EIO, f"the connector's response is not JSON: {error}", place.path) from None
        if not isinstance(value, dict):
            raise OSError(errno.EIO, "the connector's response is not a JSON object", place.path)
        return value

    def _ask(
        self,
        method: str,
        place: MountedPath,
        target: str,
        headers: dict[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._connection(place.mount)
        try:
            # A connector that refuses a body need not read it to its end; its response has the reason.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=body, headers=self.headers | (headers or {}))
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise unreachable(place, error) from error
        if answer.status >= http.client.BAD_REQUEST:
            with closing(connection):
                raise refusal(place, answer)
        return connection, answer

    def _connection(self, mount: StateMount) -> http.client.HTTPConnection:
        return _UnixConnection(str(Path(self.folder) / f"{mount.name}.sock"), self.timeout)


def _key(place: MountedPath) -> str:
    return f"/keys/{quote(_encoded(place.key), safe=_SAFE)}"


def _meta(place: MountedPath, attribute: str | None = None) -> str:
    query = "" if attribute is None else f"?attr={quote(attribute, safe='')}"
    return f"/meta/{quote(_encoded(place.key), safe=_SAFE)}{query}"


def _encoded(text: str) -> bytes:
    return os.fsencode(text)


def _only_new(exclusive: bool) -> dict[str, str]:
    return {"If-None-Match": "*"} if exclusive else {}


def _names(values: Any, prefix: str) -> tuple[str, ...]:
    """Names below the prefix, of keys given with or without the prefix."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    names = [text.removeprefix(prefix).strip("/") for text in texts]
    # A path built from such a name could not reach the key.
    return tuple(name for name in names if name and "/" not in name and "\0" not in name and name not in (".", ".."))
