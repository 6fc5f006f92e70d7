"""A private RabbitMQ node for tests and benchmarks, with the machine's rabbitmq-server.

It has its own name, port mapper, ports and folders, so several nodes can run beside each other and beside the system's
own. It listens only on 127.0.0.1. The management plugin is enabled for virtual hosts, with statistics only on request.
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from typing_extensions import override

from servers.certificates import Authority, Identity
from servers.ports import free_port
from servers.processes import ServerFailed, ServerProcess, ServerUnavailable, data_folder, spawn, stop_process

CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
management_agent.disable_metrics_collector = {quiet}
log.console = false
log.file.level = warning
vm_memory_high_watermark.absolute = 2GB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
max_message_size = 16777216
"""
LARGEST_MESSAGE = 16 * 1024 * 1024
"""Largest message that the nodes accept, in bytes: the default of RabbitMQ 4."""


TLS = """\
listeners.ssl.1 = 127.0.0.1:{tls_port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""
"""Clients also need a certificate."""


def server_script() -> Path:
    """rabbitmq-server itself, not the distribution's wrapper, which requires a certain user."""
    candidates = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if candidates:
        return candidates[-1]
    found = shutil.which("rabbitmq-server")
    if found is None:
        raise ServerUnavailable("there is no rabbitmq-server on this machine")
    return Path(found)


class RabbitNode(ServerProcess):
    """One node with empty folders. Starting twice keeps ports, name and data; `close` removes them."""

    program = "RabbitMQ"

    def __init__(
        self,
        tls: tuple[Authority, Identity] | None = None,
        beside: "RabbitNode | None" = None,
        *,
        statistics: bool = False,
        on_disk: bool = False,
    ) -> None:
        """`tls`: the trusted authority and the own certificate for a second port (`tls_port`). `beside`: a running node
        that this one will `join`. `statistics`: the management API reports numbers of messages. `on_disk`: the data is
        stored on disk, not in memory."""
        self._script = server_script()
        if shutil.which("epmd") is None:
            raise ServerUnavailable("there is no epmd (Erlang) on this machine")
        self.port, self.management_port = free_port(), free_port()
        self._epmd_port: int = free_port() if beside is None else beside._epmd_port
        self._distribution_port, self._control_port = free_port(), free_port()
        self.folder = data_folder("rabbitmq", on_disk=on_disk)
        super().__init__(self.folder / "output")
        self._epmd: subprocess.Popen[bytes] | None = None
        self._beside = beside
        if beside is not None:
            shutil.copy(beside.folder / ".erlang.cookie", self.folder)
        configuration = CONFIGURATION.format(
            port=self.port, management_port=self.management_port, quiet=str(not statistics).lower()
        )
        if tls is not None:
            self.tls_port = free_port()
            authority, shown = tls
            configuration += TLS.format(
                tls_port=self.tls_port, authority=authority.file, certificate=shown.certificate, key=shown.key
            )
        (self.folder / "rabbitmq.conf").write_text(configuration)
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")

    @property
    def url(self) -> str:
        """The URL of the virtual host `/`."""
        return self.vhost_url("/")

    def vhost_url(self, vhost: str) -> str:
        """The URL of another virtual host of this node."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{urllib.parse.quote(vhost, safe='')}"

    @property
    def name(self) -> str:
        """The node's name in its cluster."""
        return f"asya-{self.port}@localhost"

    def start(self, timeout: float = 90.0) -> None:
        """Start; returns when it accepts connections and requests."""
        environment = self._environment()
        if self._epmd is None and self._beside is None:
            # Started here, because the node would leave a daemon running.
            epmd = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            with self.log.open("ab") as log:
                self._epmd = spawn(epmd, env=environment, stdout=log, stderr=log)
        self._launch([str(self._script)], timeout, env=environment)

    def join(self) -> None:
        """Join the cluster of the node given as `beside`."""
        assert self._beside is not None
        for words in (["stop_app"], ["join_cluster", self._beside.name], ["start_app"]):
            self._control(*words)

    def _control(self, *words: str) -> None:
        program = self._script.with_name("rabbitmqctl")
        done = subprocess.run(
            [str(program), "-n", self.name, *words], env=self._environment(), capture_output=True, check=False
        )
        if done.returncode:
            raise ServerFailed(f"rabbitmqctl {' '.join(words)}: {(done.stdout + done.stderr).decode()[-2000:]}")

    def stop(self, timeout: float = 30.0) -> None:
        """Stop in order: connections are closed, queues are written."""
        self._end(signal.SIGTERM, timeout)

    def restart(self) -> None:
        """Stop and start again with the same ports and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop and remove everything."""
        self.kill()
        if self._epmd is not None:
            stop_process(self._epmd, signal.SIGTERM, 10)
            self._epmd = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def request(self, method: str, path: str, body: object = None) -> Any:
        """A request to the management API; None for an empty response. Raises urllib.error.HTTPError."""
        call = urllib.request.Request(
            f"http://127.0.0.1:{self.management_port}/api{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": "Basic " + base64.b64encode(b"guest:guest").decode(),
                "content-type": "application/json",
            },
        )
        with urllib.request.urlopen(call, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def create_vhost(self, name: str) -> str:
        """Create a virtual host and return its URL."""
        quoted = urllib.parse.quote(name, safe="")
        self.request("PUT", f"/vhosts/{quoted}", {})
        self.request("PUT", f"/permissions/{quoted}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        return self.vhost_url(name)

    def delete_vhost(self, name: str) -> None:
        """Remove a virtual host with all its queues."""
        self.request("DELETE", f"/vhosts/{urllib.parse.quote(name, safe='')}")

    @override
    def _ready(self) -> bool:
        try:
            self.request("GET", "/vhosts")
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "HOME": str(self.folder),  # the cookie file is there
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the Erlang machine: one pid to signal
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(self._control_port),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(self._control_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
