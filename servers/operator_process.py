"""The operator as a separate process, as in a pod."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from servers.forking import start
from servers.ports import free_port

T = TypeVar("T")


def wait_for(probe: Callable[[], T | None], what: str, timeout: float = 60.0) -> T:
    """Poll until the probe returns something truthy; on timeout it fails with `what`."""
    deadline = time.monotonic() + timeout
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come within {timeout} s: {what}")
        time.sleep(0.05)


class OperatorProcess:
    """One `python -m asya_operator`."""

    def __init__(self, kubeconfig: Path, namespace: str, mesh_url: str, log: Path, **settings: str) -> None:
        self.port = free_port()
        self.log = log
        self.name = settings.get("ASYA_POD_NAME", f"operator-{self.port}")
        environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "ASYA_NAMESPACE": namespace,
            "ASYA_MESH_URL": mesh_url,
            "ASYA_POD_NAME": self.name,
            "ASYA_OPERATOR_BIND": "127.0.0.1",
            "ASYA_OPERATOR_PORT": str(self.port),
            "ASYA_RUN_ACTORS": "false",
            **settings,
        }
        with log.open("ab") as output:
            self.process = start("asya_operator", env=environment, stdout=output, stderr=output)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a probe; 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def leading(self) -> bool:
        return self.get("/readyz") == (200, "leading\n")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it like a dying node, without releasing the lease."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Stop it like kubelet stops a pod."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)

    def output(self) -> str:
        return self.log.read_text(errors="replace")
