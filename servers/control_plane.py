"""A real control plane for tests: etcd, kube-apiserver and, where asked for, kube-controller-manager.

The programs are taken from the folder KUBEBUILDER_ASSETS (envtest's layout, as `setup-envtest` unpacks it).
"""

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from servers.processes import free_port, spawn

ADMIN_TOKEN = "admin-token"
MANAGER_TOKEN = "manager-token"
START_TIMEOUT = 60.0
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
"""What ServiceAccounts asked for: whether their Roles are the least is read from it."""


class ControlPlaneUnavailable(Exception):
    """The programs are not here; the text says what to set."""


def assets() -> Path:
    """The folder of the programs. Raises ControlPlaneUnavailable."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        raise ControlPlaneUnavailable(
            "KUBEBUILDER_ASSETS is not set: it names the folder of etcd, kube-apiserver and kubectl "
            "(`setup-envtest use -p path` prints one)"
        )
    missing = [name for name in ("etcd", "kube-apiserver", "kubectl") if not (Path(folder) / name).exists()]
    if missing:
        raise ControlPlaneUnavailable(f"KUBEBUILDER_ASSETS={folder} lacks {', '.join(missing)}")
    return Path(folder)


class ControlPlane:
    """One etcd and one API server with RBAC, PodSecurity and CEL, reachable on loopback alone."""

    def __init__(self) -> None:
        self.programs = assets()
        self.folder = Path(tempfile.mkdtemp(prefix="asya-kube-"))
        self.etcd_port, self.peer_port, self.port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.audit_log = self.folder / "audit.log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._make_keys()
        (self.folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
        (self.folder / "tokens.csv").write_text(
            f'{ADMIN_TOKEN},admin,uid-admin,"system:masters"\n'
            f"{MANAGER_TOKEN},system:kube-controller-manager,uid-manager,\n"
        )

    def _make_keys(self) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.folder / "sa.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        (self.folder / "sa.pub").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def start(self) -> None:
        """Start etcd and the API server, and return when the API server says it is ready."""
        self.start_etcd()
        self.start_api_server()

    def start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        self._spawn(
            "etcd",
            "--data-dir", str(self.folder / "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}", "--unsafe-no-fsync", "--log-level", "error",
        )  # fmt: skip

    def start_api_server(self) -> None:
        self._spawn(
            "kube-apiserver",
            "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}",
            "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(self.port),
            "--cert-dir", str(self.folder / "certs"),
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", str(self.folder / "sa.pub"),
            "--service-account-signing-key-file", str(self.folder / "sa.key"),
            "--token-auth-file", str(self.folder / "tokens.csv"),
            "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24",
            "--shutdown-delay-duration", "0s",
            "--audit-policy-file", str(self.folder / "audit-policy.json"), "--audit-log-path", str(self.audit_log),
        )  # fmt: skip
        self._wait_ready()

    def start_controller_manager(self) -> None:
        """Garbage collection by owner references, Deployments to ReplicaSets to Pods, ServiceAccounts' tokens."""
        if "kube-controller-manager" in self._processes:
            return
        kubeconfig = str(self.kubeconfig(MANAGER_TOKEN, "manager"))
        self._spawn(
            "kube-controller-manager",
            "--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig,
            "--authorization-kubeconfig", kubeconfig,
            "--service-account-private-key-file", str(self.folder / "sa.key"),
            "--root-ca-file", str(self.folder / "certs" / "apiserver.crt"),
            "--use-service-account-credentials=true", "--leader-elect=false",
            "--bind-address", "127.0.0.1", "--secure-port", str(free_port()),
            "--horizontal-pod-autoscaler-sync-period=1s", "--concurrent-gc-syncs=4",
        )  # fmt: skip

    def stop(self, name: str, sign: signal.Signals = signal.SIGTERM) -> None:
        """End one of the programs and wait for it."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(sign)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)

    def close(self) -> None:
        """End everything and remove what it left."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubeconfig(
        self, token: str = ADMIN_TOKEN, name: str = "admin", namespace: str = "default", port: int | None = None
    ) -> Path:
        """A kubeconfig file for the bearer of this token; `port` goes by another way (a proxy's)."""
        path = self.folder / f"{name}-{namespace}-{port or self.port}.kubeconfig"
        url = f"https://127.0.0.1:{port or self.port}"
        text = json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": self._ca}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
                "current-context": "c",
            }
        )
        # Written once: an operator may be reading it when the next kubectl asks for it.
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        return path

    @property
    def _ca(self) -> str:
        return str(self.folder / "certs" / "apiserver.crt")

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, namespace: str = "default"
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl as an administrator."""
        done = subprocess.run(
            [
                str(self.programs / "kubectl"), "--kubeconfig", str(self.kubeconfig(namespace=namespace)),
                "--cache-dir", str(self.folder / "kubectl-cache"), *arguments,
            ],
            input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done

    def get(self, *arguments: str, namespace: str = "default") -> Any:
        """`kubectl get ... -o json`, decoded."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json", namespace=namespace).stdout)

    def apply(self, *documents: dict[str, Any], namespace: str = "default", flags: Iterable[str] = ()) -> None:
        """`kubectl apply` of these objects."""
        text = "\n---\n".join(json.dumps(document) for document in documents)
        self.kubectl("apply", *flags, "-f", "-", stdin=text, namespace=namespace)

    def compact(self) -> None:
        """Have etcd forget every revision but the newest, so that watches from older ones get 410."""
        base = f"http://127.0.0.1:{self.etcd_port}/v3/kv"
        head = self._etcd(f"{base}/range", {"key": "AA=="})
        self._etcd(f"{base}/compaction", {"revision": head["header"]["revision"], "physical": True})

    def _etcd(self, url: str, body: dict[str, Any]) -> Any:
        with urllib.request.urlopen(url, data=json.dumps(body).encode(), timeout=10) as response:
            return json.loads(response.read())

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """One request as an administrator, much faster than kubectl. Raises urllib.error.HTTPError."""
        return json.loads(self.send(method, path, None if body is None else json.dumps(body).encode(), content_type))

    def send(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> bytes:
        """The same with texts, for objects that no decoder takes."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=body,
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": content_type},
        )
        context = ssl.create_default_context(cafile=self._ca)
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            answer: bytes = response.read()
            return answer

    def _spawn(self, program: str, *arguments: str) -> None:
        log = (self.folder / f"{program}.log").open("ab")
        command = [str(self.programs / program), *arguments]
        self._processes[program] = spawn(command, stdout=log, stderr=log, cwd=self.folder)
        log.close()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        while True:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    tail = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"{name} ended with {process.returncode}: {tail}")
            try:
                context = ssl.create_default_context(cafile=self._ca)
                with urllib.request.urlopen(request, timeout=2, context=context):
                    return
            except (OSError, urllib.error.URLError):
                if time.monotonic() > deadline:
                    raise RuntimeError("the API server did not become ready") from None
                time.sleep(0.1)
