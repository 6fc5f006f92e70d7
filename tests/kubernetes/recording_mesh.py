"""A mesh Service that records what operators push, and that can fail on demand: for proofs about the operator alone.

It keeps the rules of docs/protocols/registry.md (epochs, generations, pods); the proofs with real gateways are in
test_gateway.py.
"""

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from asya_crds import jsontext
from asya_crds.registry_text import kept_from


@dataclass
class Registry:
    """The row, as mesh keeps it."""

    epoch: int = 0
    generation: int = 0
    parts: dict[str, Any] = field(default_factory=dict)
    pushes: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    heartbeats: int = 0
    pods: dict[str, int | None] = field(default_factory=lambda: {"api-0": None})
    """Pods and the generation each serves; None follows the newest."""


class RecordingMesh:
    """Listens on loopback until closed. `down` makes every answer 503."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.lock = threading.Condition()
        self.down = False
        mesh = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self._answer(*mesh.post(urlsplit(self.path).path, jsontext.loads(self.rfile.read(length) or b"{}")))

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                self._answer(*mesh.get(parts.path, query))

            def _answer(self, status: int, body: Any) -> None:
                text = jsontext.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            @override
            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        with self.lock:
            if self.down:
                return 503, {"error": "away"}
            if path == "/mesh/registry/epoch":
                self.registry.epoch += 1
                return 200, {"epoch": self.registry.epoch}
            if body.get("epoch") != self.registry.epoch:
                self.registry.refused.append(int(body.get("epoch") or 0))
                return 409, {"error": "an older epoch"}
            self.registry.heartbeats += 1
            if path == "/mesh/registry/heartbeat":
                return 200, {"epoch": self.registry.epoch, "generation": self.registry.generation}
            parts: dict[str, Any] = {key: body[key] for key in ("configmap", "resources") if key in body}
            kept: list[dict[str, Any]] = []
            if parts:
                self.registry.pushes.append((time.monotonic(), body["epoch"], parts))
                kept = self._keep(parts)
                if {**self.registry.parts, **parts} != self.registry.parts:
                    self.registry.parts |= parts
                    self.registry.generation += 1
                self.lock.notify_all()
            return 200, {"generation": self.registry.generation, "kept": kept}

    def _keep(self, parts: dict[str, Any]) -> list[dict[str, Any]]:
        """Carry over what the row held of keys that cannot be read; what that is."""
        new = parts.get("configmap") or {}
        if not new.get("unreadable"):
            return []
        old = jsontext.dumps({"flows": self.registry.parts.get("configmap", {}).get("flows", [])})
        names = [entry["flow"]["name"] for entry in new["flows"]]
        entries, _ = kept_from(old, new["unreadable"], names, [])
        added = [jsontext.loads(text) for text in entries]
        parts["configmap"] = {**new, "flows": [*new["flows"], *added]}
        return [{"name": entry["flow"]["name"], "source": entry["source"]} for entry in added]

    def get(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        with self.lock:
            if self.down:
                return 503, {"error": "away"}
            wanted = int(query.get("generation") or self.registry.generation)
            self.lock.wait_for(lambda: min(self._served().values(), default=-1) >= wanted, float(query.get("wait", 0)))
            pods = [{"name": name, "mode": "api", "generation": served} for name, served in self._served().items()]
            return 200, {"generation": self.registry.generation, "epoch": self.registry.epoch, "pods": pods}

    def _served(self) -> dict[str, int]:
        newest = self.registry.generation
        return {name: newest if served is None else served for name, served in self.registry.pods.items()}

    def set_pod(self, name: str, generation: int | None) -> None:
        """This pod serves this generation from now on (None: always the newest)."""
        with self.lock:
            self.registry.pods[name] = generation
            self.lock.notify_all()

    def forget_everything(self) -> None:
        """As after a restored database."""
        with self.lock:
            self.registry.parts, self.registry.generation = {}, 0

    def names(self) -> set[str]:
        """Names of every flow in the registry; of both parts."""
        with self.lock:
            parts = self.registry.parts.values()
            return {entry["flow"]["name"] for part in parts for entry in part.get("flows", [])}

    def flow(self, name: str) -> dict[str, Any] | None:
        """One flow as it was pushed."""
        with self.lock:
            for part in self.registry.parts.values():
                for entry in part.get("flows", []):
                    if entry["flow"]["name"] == name:
                        return dict(entry["flow"])
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
