"""Helpers that drive a gateway from the benchmark's own process."""

import http.client
import json
from contextlib import closing

from bench.rows import CALL
from bench.stage import GatewayProcess


class Client:
    """One keep-alive connection."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def post(self, path: str, body: str) -> str:
        """The response's text. Raises RuntimeError if the status is not 200."""
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {text[:200]}")
        return text

    def submit(self) -> str:
        """The id of a new task."""
        handle = json.loads(json.loads(self.post("/tools/call", CALL))["content"][0]["text"])
        return str(handle["task_id"])


def submit_many(gateway: GatewayProcess, count: int) -> list[str]:
    """Ids of new tasks."""
    with closing(Client(gateway)) as client:
        return [client.submit() for _ in range(count)]
