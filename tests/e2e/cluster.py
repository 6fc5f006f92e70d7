"""The cluster of KUBECONFIG, used through kubectl like a platform team does."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from servers.ports import free_port
from servers.processes import wait_until
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
NAMESPACE = "asya"
Object = dict[str, Any]


class NoCluster(Exception):
    """There is none; the text says what is missing."""


def kubectl_path() -> str:
    """kubectl from the PATH, or from envtest's folder."""
    found = shutil.which("kubectl")
    if found:
        return found
    with_assets = Path(os.environ.get("KUBEBUILDER_ASSETS", "")) / "kubectl"
    if with_assets.exists():
        return str(with_assets)
    raise NoCluster("kubectl is neither on the PATH nor in KUBEBUILDER_ASSETS")


class Cluster:
    """One namespace of it. Raises NoCluster where KUBECONFIG names none that answers."""

    def __init__(self, namespace: str = NAMESPACE) -> None:
        self.namespace = namespace
        if not os.environ.get("KUBECONFIG"):
            raise NoCluster("KUBECONFIG is not set: no cluster to run the end-to-end tests on")
        self._program = kubectl_path()
        answered = subprocess.run(
            [self._program, "get", "--raw", "/readyz", "--request-timeout=10s"], capture_output=True, text=True
        )
        if answered.returncode != 0:
            raise NoCluster(f"the cluster of KUBECONFIG does not answer: {answered.stderr.strip()[-300:]}")

    def kubectl(self, *words: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """What kubectl prints; with `check` False, also what it complains about."""
        command = [self._program, "--namespace", self.namespace, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=ROOT)
        if check:
            assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
            return done.stdout
        return done.stdout + done.stderr

    async def ask(self, *words: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """The same beside other work."""
        return await asyncio.to_thread(self.kubectl, *words, stdin=stdin, check=check, timeout=timeout)

    def get(self, *words: str) -> Object:
        found: Object = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found

    def apply(self, *bodies: Object) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(bodies))

    def delete(self, *words: str) -> None:
        self.kubectl("delete", "--ignore-not-found", *words)

    def pods(self, component: str) -> list[Object]:
        """Pods of a component that are not on their way out."""
        listed: list[Object] = self.get("pods", "-l", f"asya.sh/component={component}")["items"]
        return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self, component: str) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.pods(component) if _ready(pod)]

    async def leader(self, *, other_than: str = "") -> str:
        """The pod of the operator that leads. The lease names one that is gone until another took it over."""

        def held() -> str:
            holder = str(self.get("lease", "asya-operator")["spec"].get("holderIdentity") or "")
            return holder if holder in self.ready_pods("operator") and holder != other_than else ""

        return str(await until(lambda: asyncio.to_thread(held), 90, "an operator that leads"))

    async def rolled_out(self, *deployments: str, timeout: float = 240) -> None:
        for name in deployments:
            await self.ask("rollout", "status", f"deployment/{name}", f"--timeout={timeout:g}s", timeout=timeout + 10)

    def condition(self, flow: str, kind: str) -> Object:
        """A condition of a Flow as it is said of its present generation; {} where nothing is said yet."""
        body = self.get("flow", flow)
        for condition in body.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition.get("observedGeneration") == body["metadata"]["generation"]:
                return dict(condition)
        return {}

    async def programmed(self, flow: str, timeout: float = 90) -> None:
        def is_true() -> bool:
            return self.condition(flow, "Programmed").get("status") == "True"

        await until(lambda: asyncio.to_thread(is_true), timeout, f"Programmed of {flow}")

    def sql(self, statement: str) -> list[list[str]]:
        """Rows of a query, run where the database is."""
        psql = ("psql", "-U", "asya", "-d", "asya", "-AtX", "-F", "\t", "-c", statement)
        out = self.kubectl("exec", "postgres-0", "--", *psql)
        return [line.split("\t") for line in out.splitlines()]

    def cli(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """The `asya` command of this checkout, against this cluster."""
        command = [sys.executable, "-m", "asya_cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
        assert not check or done.returncode == 0, f"asya {' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def describe(self) -> str:
        """Diagnostics for a failed test."""
        parts = [self.kubectl("get", "pods,flows,asyncactors", "-o", "wide", check=False)]
        parts.append(self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)[-4000:])
        for component in ("gateway-api", "gateway-mesh", "operator", "crew", "actor"):
            words = ("logs", "-l", f"asya.sh/component={component}", "--prefix", "--tail=25", "--all-containers")
            parts.append(self.kubectl(*words, check=False)[-6000:])
        return "\n".join(parts)


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


class Door:
    """The URL of the api Service: its cluster address where that is reached from here, else a port-forward.

    `direct` False says that connections end with the one pod that the forward picked, so nothing can be said of what
    other callers would see while pods come and go.
    """

    def __init__(self, cluster: Cluster) -> None:
        service = cluster.get("service", "asya-gateway-api")
        address, port = service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]
        self.direct = _reached(address, port)
        self._forward: subprocess.Popen[bytes] | None = None
        if not self.direct:
            address, port = "127.0.0.1", free_port()
            words = ("--namespace", cluster.namespace, "port-forward", "service/asya-gateway-api", f"{port}:8080")
            self._forward = subprocess.Popen([kubectl_path(), *words], stdout=subprocess.DEVNULL)
            _wait_until_reached(address, port)
        self.url = f"http://{address}:{port}"

    def close(self) -> None:
        if self._forward is not None:
            self._forward.send_signal(signal.SIGTERM)
            self._forward.wait(10)


def _reached(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=2):
        return True
    return False


def _wait_until_reached(address: str, port: int) -> None:
    wait_until(lambda: _reached(address, port), 20, "the port-forward did not answer")
