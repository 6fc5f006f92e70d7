"""A real control plane for tests: etcd, kube-apiserver and, on request, kube-controller-manager.

The programs are taken from the folder KUBEBUILDER_ASSETS (envtest's layout, as `setup-envtest` unpacks it).
"""

import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path
from typing import Any

from servers.ports import free_port
from servers.processes import ServerUnavailable, data_folder, spawn

ADMIN_TOKEN = "admin-token"
MANAGER_TOKEN = "manager-token"
START_TIMEOUT = 60.0
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
"""Audits the requests of ServiceAccounts, to check that their Roles are minimal."""


KINDS = {
    "namespace": ("/api/v1", "namespaces", False),
    "configmap": ("/api/v1", "configmaps", True),
    "secret": ("/api/v1", "secrets", True),
    "serviceaccount": ("/api/v1", "serviceaccounts", True),
    "deployment": ("/apis/apps/v1", "deployments", True),
    "lease": ("/apis/coordination.k8s.io/v1", "leases", True),
    "event": ("/apis/events.k8s.io/v1", "events", True),
    "role": ("/apis/rbac.authorization.k8s.io/v1", "roles", True),
    "rolebinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "customresourcedefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "flow": ("/apis/asya.sh/v1alpha1", "flows", True),
    "asyncactor": ("/apis/asya.sh/v1alpha1", "asyncactors", True),
    "environmentconfig": ("/apis/apiextensions.crossplane.io/v1beta1", "environmentconfigs", False),
    "scaledobject": ("/apis/keda.sh/v1alpha1", "scaledobjects", True),
    "triggerauthentication": ("/apis/keda.sh/v1alpha1", "triggerauthentications", True),
}
"""For each kind: the API's path, the plural name, whether it is namespaced."""


class ControlPlaneUnavailable(ServerUnavailable):
    """The programs are not installed. The text says what to set."""


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
    """One etcd and one API server with RBAC, PodSecurity and CEL, reachable only on loopback."""

    def __init__(self) -> None:
        self.programs = assets()
        self.folder = data_folder("kube")
        self.etcd_port, self.peer_port, self.port = free_port(), free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.audit_log = self.folder / "audit.log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._applied: dict[str, dict[str, Any]] = {}
        self._local = threading.local()
        """One connection for each thread."""
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
        """Start etcd and the API server; returns when the API server is ready."""
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
        """End everything and remove its files."""
        if (kept := getattr(self._local, "connection", None)) is not None:
            kept.close()
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            self.stop(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubeconfig(
        self, token: str = ADMIN_TOKEN, name: str = "admin", namespace: str = "default", port: int | None = None
    ) -> Path:
        """A kubeconfig file with this token; `port` selects another way (a proxy's)."""
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
        # Written only on change, because an operator may be reading it.
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

    def path(self, kind: str, name: str = "", namespace: str = "default") -> str:
        """The path of an object, or of all objects of a kind (one of KINDS, in upper or lower case)."""
        base, plural, namespaced = KINDS[kind.lower()]
        parts = [base, *(("namespaces", namespace) if namespaced else ()), plural, *((name,) if name else ())]
        return "/".join(parts)

    def get(self, kind: str, name: str = "", namespace: str = "default") -> Any:
        """An object, or the list of all. Raises urllib.error.HTTPError. Like the methods below, much faster than
        kubectl."""
        return self.request("GET", self.path(kind, name, namespace))

    def find(self, kind: str, name: str, namespace: str = "default") -> Any:
        """An object; None if there is none."""
        try:
            return self.get(kind, name, namespace)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def apply(self, *documents: dict[str, Any], namespace: str = "default") -> None:
        """The same requests as `kubectl apply`; kubectl itself for kinds outside KINDS. Raises AssertionError with the
        response."""
        for document in documents:
            if document["kind"].lower() not in KINDS:
                self.kubectl("apply", "-f", "-", stdin=json.dumps(document), namespace=namespace)
            elif refusal := self.refusal(document, namespace):
                raise AssertionError(f"{document['kind']} {document['metadata']['name']}: {refusal}")

    def create(self, document: dict[str, Any], namespace: str = "default") -> None:
        """Send the request of `kubectl create`; `apply` sends two for a new object. Raises urllib.error.HTTPError."""
        self.request("POST", self.path(document["kind"], namespace=namespace), document)

    def refusal(self, document: dict[str, Any], namespace: str = "default") -> str:
        """Why the API server refuses an object; "" if it accepted it."""
        place = self.path(document["kind"], document["metadata"]["name"], namespace)
        try:
            self._apply(document, place)
        except urllib.error.HTTPError as error:
            return str(json.loads(error.read())["message"])
        self._applied[place] = document
        return ""

    def _apply(self, document: dict[str, Any], place: str) -> None:
        query = "?fieldManager=kubectl&fieldValidation=Strict"
        change = _change(self._applied.get(place, {}), document)
        try:
            self.request("PATCH", place + query, change, "application/merge-patch+json")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            self.request("POST", place.rpartition("/")[0] + query, document)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object, and its dependents in the background. Raises urllib.error.HTTPError."""
        self.request("DELETE", self.path(kind, name, namespace), {"propagationPolicy": "Background"})

    def patch(self, kind: str, name: str, change: Any, namespace: str = "default", *, subresource: str = "") -> None:
        """Merge a change into an object, or into its status or scale. Raises urllib.error.HTTPError."""
        place = self.path(kind, name, namespace) + (f"/{subresource}" if subresource else "")
        self.request("PATCH", place, change, "application/merge-patch+json")

    def compact(self) -> None:
        """Make etcd drop every revision except the newest, so that watches from older ones get 410."""
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
        """The same with raw bytes, for objects that decoders refuse."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": content_type}
        kept: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        # A kept connection may have been closed by a restart of the server; then a new one is opened.
        for connection in (kept, None) if kept is not None else (None,):
            line = connection or http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=10, context=ssl.create_default_context(cafile=self._ca)
            )
            try:
                line.request(method, path, body, headers)
                response = line.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                line.close()
                self._local.connection = None
                if connection is None:
                    raise
                continue
            self._local.connection = line
            if response.status >= 300:
                raise urllib.error.HTTPError(path, response.status, response.reason, response.headers, BytesIO(answer))
            return answer
        raise AssertionError("not reached")

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


def _change(old: Any, new: Any) -> Any:
    """The merge patch from the previously applied object to the new one; fields of other writers stay."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**dict.fromkeys(old.keys() - new.keys()), **{key: _change(old.get(key), new[key]) for key in new}}
