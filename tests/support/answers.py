"""A server with fixed answers, for commands that run as separate processes."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


@contextmanager
def answering(answers: Mapping[str, Any], seen: list[tuple[str, Any]] | None = None) -> Iterator[str]:
    """The URL of a server that answers GET and POST of a path with JSON, of a path that is not named with 404, and of
    one with None with an event stream of one update that stays open. `seen` gets path and body of every POST."""
    ending = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            known = path in answers
            if known and answers[path] is None:
                self._stream()
                return
            body = json.dumps(answers.get(path, {"error": {"code": "not_found", "message": f"no {path}"}})).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if seen is not None:
                seen.append((self.path, json.loads(body)))
            self.do_GET()

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            update = {"status": "running", "progress_percent": 0.0}
            self.wfile.write(f"event: update\nid: 1\ndata: {json.dumps(update)}\n\n".encode())
            self.wfile.flush()
            ending.wait(60)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            ending.set()
            server.shutdown()
            thread.join()
