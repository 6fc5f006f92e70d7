"""Two replicas of `asya serve` as their own authorization server, with a worker, as separate processes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from servers.ports import free_port
from tests.faults.world import PROGRAM, Process
from tests.support.oauth import SECRET
from tests.support.waiting import until

HERE = Path(__file__).parent
FLOWS = """
flows:
  - {name: echo, entrypoint: echo, timeout: 1m, description: Returns its arguments, mcp: {}}
  - {name: ledger, entrypoint: echo, timeout: 1m, scopes: [finance], description: For accountants, mcp: {}}
"""


class Deployment:
    """`url` is the address of the first replica and the issuer, `other` that of the second. `settings` are variables
    without their prefix."""

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.folder, self.database_url = folder, database_url
        ports = free_port(), free_port()
        self.url, self.other = [f"http://127.0.0.1:{port}" for port in ports]
        self._settings = {
            "GATEWAY_MODE": "testing",
            "GATEWAY_HOST": "127.0.0.1",
            "MCP_OAUTH_ENABLED": "true",
            "MCP_OAUTH_ISSUER": self.url,
            "MCP_OAUTH_SECRET": SECRET,
            "MCP_OAUTH_RATE": "0",
            "CONFIG_PATH": str(folder / "flows.yaml"),
            "TRANSPORT": "postgres",
            "DATABASE_URL": database_url,
            "NAMESPACE": "conformance",
            "LOG_FORMAT": "text",
            **settings,
        }
        (folder / "flows.yaml").write_text(FLOWS)
        serving = ["GATEWAY_PORT", "METRICS_PORT"]
        self.processes = [
            self._process("one", ["serve"], **dict(zip(serving, (str(ports[0]), "0"), strict=True))),
            self._process("two", ["serve"], **dict(zip(serving, (str(ports[1]), "0"), strict=True))),
            self._process("echo", ["actor"], ACTOR_NAME="echo", HANDLER="handlers.echo", **self._of_actors),
            self._process("crew", ["actor", "--crew"], **self._of_actors),
        ]

    @property
    def _of_actors(self) -> dict[str, str]:
        return {"GATEWAY_URL": self.url, "METRICS_PORT": "-1"}

    def _process(self, name: str, arguments: list[str], **more: str) -> Process:
        environment = self.environment(**more, POD_NAME=name)
        return Process(name, [*PROGRAM, *arguments], environment, self.folder / f"{name}.log")

    def environment(self, **more: str) -> dict[str, str]:
        """What our programs get: nothing of ours from outside."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ASYA_")}
        ours = {f"ASYA_{name}": value for name, value in {**self._settings, **more}.items()}
        authority = self.folder / "authority.pem"
        trusted = {"SSL_CERT_FILE": str(authority)} if authority.exists() else {}
        return {**clean, **ours, **trusted, "PYTHONPATH": str(HERE)}

    async def start(self) -> None:
        """Returns when both replicas serve and the worker has done a task."""
        for process in self.processes:
            process.start()
        async with aiohttp.ClientSession() as session:
            for url in (self.url, self.other):
                await until(lambda url=url: _is_ready(session, url), 60, self.logs())  # type: ignore[misc]

    def end(self) -> None:
        for process in reversed(self.processes):
            process.end()

    def logs(self) -> str:
        """The ends of all logs."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {file.name}\n" + file.read_text(errors="replace")[-3000:] for file in files)

    async def client_made_by_an_operator(self, *arguments: str) -> dict[str, str]:
        """What `asya auth client create` says: client_id, and client_secret if there is one."""
        command = [sys.executable, "-m", "asya_cli", "auth", "client", "create", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, env=self.environment(), capture_output=True, text=True, check=True
        )
        made: dict[str, str] = json.loads(done.stdout)
        return made

    async def token_of(self, client_id: str, secret: str, **more: Any) -> str:
        """An access token of a client for itself."""
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, **more}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/oauth/token", data=form) as response,
        ):
            return str((await response.json())["access_token"])


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url + "/health/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
