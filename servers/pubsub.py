"""A private stand-in of Google Cloud Pub/Sub: Google's own fake, in a small Go program (tests/servers/pubsub).

It stores in memory, checks no permissions, and drops messages that nobody has taken for ten minutes. docs/delivery.md
lists what it cannot show.
"""

import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import grpc
from typing_extensions import override

from servers.ports import free_port
from servers.processes import ServerFailed, ServerProcess, ServerUnavailable, data_folder

SCRIPT = Path(__file__).parents[1] / "scripts" / "pubsub-server"
NO_GO = 3
"""The script's status where nothing can build the server."""
PROJECT = "asya-tests"


def server_program() -> Path:
    """The built program. Raises ServerUnavailable where there is no Go, ServerFailed if it cannot be built."""
    built = subprocess.run([str(SCRIPT)], capture_output=True, text=True, check=False)
    if built.returncode == NO_GO:
        raise ServerUnavailable(f"the stand-in of Pub/Sub cannot be built: {built.stderr.strip()}")
    if built.returncode:
        raise ServerFailed(f"building the stand-in of Pub/Sub: {built.stderr[-2000:]}")
    return Path(built.stdout.strip())


class PubSubServer(ServerProcess):
    """The stand-in, empty at its start. A restart drops its connections and keeps what it has stored."""

    program = "Pub/Sub's stand-in"

    def __init__(self) -> None:
        self._program = server_program()
        self.port, self._control_port = free_port(), free_port()
        self.folder = data_folder("pubsub")
        super().__init__(self.folder / "output")

    @property
    def endpoint(self) -> str:
        """Its address for `ASYA_PUBSUB_ENDPOINT`."""
        return f"127.0.0.1:{self.port}"

    def start(self, timeout: float = 30.0) -> None:
        """Start; returns when it answers."""
        self._launch([str(self._program), str(self.port), str(self._control_port)], timeout)

    def restart(self) -> None:
        """Drop all connections, be away for a moment, and listen again."""
        self._control("POST", "/restart")

    def waiting(self, queue: str, project: str = PROJECT) -> int:
        """How many messages of this queue nobody has taken or acknowledged. Pub/Sub itself does not tell."""
        return int(self._control("GET", f"/waiting?{_of(queue, project)}"))

    def published(self, queue: str, project: str = PROJECT) -> int:
        """How many messages came to this queue, whatever became of them."""
        return int(self._control("GET", f"/published?{_of(queue, project)}"))

    def drain(self, queue: str, project: str = PROJECT) -> None:
        """Acknowledge what comes to this queue. A queue that fills slows the stand-in down, since it looks through all
        messages that wait a hundred times a second."""
        self._control("POST", f"/drain?{_of(queue, project)}")

    def close(self) -> None:
        """End it and remove its log."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @override
    def _ready(self) -> bool:
        with grpc.insecure_channel(self.endpoint) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=1)
            except grpc.FutureTimeoutError:
                return False
        return True

    def _control(self, method: str, path: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self._control_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()


def _of(queue: str, project: str) -> str:
    """The queue as the parameter of a request."""
    topic = urllib.parse.quote(f"projects/{project}/topics/{queue}", safe="")
    return f"queue={topic}"
