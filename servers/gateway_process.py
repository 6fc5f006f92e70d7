"""The gateway as separate processes, as in pods."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from servers.forking import start
from servers.ports import free_port


class GatewayProcess:
    """One `asya serve`."""

    def __init__(self, mode: str, database_url: str, log: Path, **settings: str) -> None:
        self.port, self.log = free_port(), log
        self.url = f"http://127.0.0.1:{self.port}"
        self.name = f"{mode}-{self.port}"
        environment = {
            "PATH": os.environ["PATH"],
            "ASYA_GATEWAY_MODE": mode,
            "ASYA_GATEWAY_HOST": "127.0.0.1",
            "ASYA_GATEWAY_PORT": str(self.port),
            "ASYA_METRICS_PORT": "0",
            "ASYA_DATABASE_URL": database_url,
            "ASYA_POD_NAME": self.name,
            "ASYA_DB_MAX_CONNS": "4",
            "ASYA_LOG_LEVEL": "warning",
            **settings,
        }
        with log.open("ab") as output:
            self.process = start("asya_cli", "serve", env=environment, stdout=output, stderr=output)

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded response; status 0 while nothing listens."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.url + path, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, _decode(response.read())
        except urllib.error.HTTPError as error:
            return error.code, _decode(error.read())
        except OSError as error:
            return 0, str(error)

    def ready(self) -> bool:
        return self.request("GET", "/health/ready")[0] == 200

    def call(self, name: str, **arguments: Any) -> tuple[int, Any]:
        """Call a flow over REST."""
        return self.request("POST", "/tools/call", {"name": name, "arguments": arguments})

    def serves(self, name: str) -> bool:
        """Whether a call of this flow is accepted."""
        return self.call(name)[0] == 200

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def _decode(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
