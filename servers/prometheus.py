"""A private Prometheus from Debian's package, which scrapes processes on ports of this machine."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from servers.ports import free_port
from servers.processes import ServerProcess, ServerUnavailable


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Raises ServerUnavailable."""
    found = shutil.which(name)
    if found is None:
        raise ServerUnavailable(f"no {name}: Debian's package is prometheus")
    return found


def check_rules(rules: Mapping[str, Any], folder: Path) -> str:
    """What promtool says of rules that are not valid; empty if they are."""
    file = folder / "rules.json"
    file.write_text(json.dumps(rules))
    done = subprocess.run(
        [program("promtool"), "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Prometheus(ServerProcess):
    """Scrapes these ports twice a second, under the job that the ServiceMonitor gives, and evaluates the rules as
    often."""

    program = "Prometheus"

    def __init__(self, ports: Sequence[int], rules: Mapping[str, Any]) -> None:
        self._command = program("prometheus")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="asya-prometheus-"))
        super().__init__(self.folder / "log")
        scraped = {"job_name": "asya-metrics", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
        every = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        (self.folder / "rules.yaml").write_text(json.dumps(rules))
        settings = {"global": every, "rule_files": ["rules.yaml"], "scrape_configs": [scraped]}
        (self.folder / "prometheus.yaml").write_text(json.dumps(settings))

    def start(self) -> None:
        """Start; returns when it answers."""
        options = [f"--config.file={self.folder}/prometheus.yaml", f"--storage.tsdb.path={self.folder}/data"]
        self._launch([self._command, *options, f"--web.listen-address=127.0.0.1:{self.port}"], 30, None, cwd="/")

    def close(self) -> None:
        """Stop and remove everything."""
        self._end(signal.SIGTERM, 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query that are numbers."""
        data = self._get("query", query=expression, time=f"{time.time():.3f}")
        return [each for each in data["result"] if each["value"][1] != "NaN"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {each["labels"]["alertname"] for each in self._get("alerts")["alerts"] if each["state"] == "firing"}

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as response:
            found: dict[str, Any] = json.load(response)["data"]
        return found

    @override
    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False
