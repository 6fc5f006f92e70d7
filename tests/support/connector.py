"""A connector of a state mount: keys in memory behind HTTP on a Unix socket, as existing connectors serve them."""

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import override


@dataclass
class Store:
    """`keys` is what it holds, `requests` what was asked of it. `refuse`: answer everything so, after reading the
    body or without (`deaf`). `silent` closes to make it answer nothing. `cut` ends a content that many bytes early."""

    socket: Path
    keys: dict[str, bytes] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refuse: int | None = None
    deaf: bool = False
    cut: int = 0
    chunked: bool = False
    listing: bytes | None = None
    answering: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    store: Store
    protocol_version = "HTTP/1.1"

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass

    @override
    def address_string(self) -> str:
        return "unix"

    def _serve(self) -> None:
        store, address = self.store, urlsplit(self.path)
        store.requests.append((self.command, self.path))
        store.headers.append(dict(self.headers))
        body = b"" if store.refuse and store.deaf else self._body()
        store.answering.wait(20)
        kind, key = address.path.split("/", 2)[1:]
        key = unquote(key)
        query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        if store.refuse:
            self.close_connection = True
            return self._json(store.refuse, {"error": "told_so", "message": f"told to say {store.refuse}"})
        if kind == "meta":
            return self._meta(key, query.get("attr"), body)
        if not key:
            return self._list(query["prefix"])
        if self.command == "PUT":
            if self.headers.get("If-None-Match") == "*" and key in store.keys:
                return self._json(409, {"error": "conflict"})
            store.keys[key] = body
            return self._empty(204)
        if key not in store.keys:
            return self._json(404, {"error": "key_not_found", "message": f"no {key}"})
        if self.command == "DELETE":
            del store.keys[key]
            return self._empty(204)
        return self._content(store.keys[key])

    do_GET = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _content(self, content: bytes) -> None:
        self.send_response(204 if self.command == "HEAD" else 200)
        if self.store.chunked and self.command == "GET":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(content), 1000):
                piece = content[start : start + 1000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Is-File", "true")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) - self.store.cut])
            self.close_connection = self.store.cut > 0

    def _list(self, prefix: str) -> None:
        if self.store.listing is not None:
            return self._answer(200, self.store.listing)
        below = [key for key in sorted(self.store.keys) if key.startswith(prefix)]
        names = [key.removeprefix(prefix) for key in below]
        folders = {prefix + name.split("/")[0] + "/" for name in names if "/" in name}
        files = [key for key, name in zip(below, names, strict=True) if "/" not in name]
        return self._json(200, {"keys": files, "prefixes": sorted(folders)})

    def _meta(self, key: str, name: str | None, body: bytes) -> None:
        found = self.store.attributes.get(key)
        if found is None:
            return self._json(404, {"error": "key_not_found"})
        if self.command == "PUT" and name is not None:
            if name == "url":
                return self._json(403, {"error": "permission_denied"})
            found[name] = json.loads(body)["value"]
            return self._empty(204)
        if name is None:
            return self._json(200, {"attrs": sorted(found)})
        if name not in found:
            return self._json(400, {"error": "bad_request"})
        return self._json(200, {"attr": name, "value": found[name]})

    def _json(self, status: int, body: Any) -> None:
        self._answer(status, json.dumps(body).encode())

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1  # existing connectors accept few at once
    block_on_close = False

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tests cut connections on purpose."""


@contextlib.contextmanager
def connector(folder: Path, name: str) -> Iterator[Store]:
    """A connector at `{folder}/{name}.sock` until the block ends."""
    store = Store(folder / f"{name}.sock")
    store.answering.set()
    handler = type("Handler", (_Handler,), {"store": store})
    with _Server(str(store.socket), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield store
        finally:
            store.answering.set()
            server.shutdown()
            thread.join(10)
