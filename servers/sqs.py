"""Stand-ins for Amazon SQS. Both keep everything in memory, so a restart loses it.

moto is in Python and comes with the tests' packages; leases and delays are checked when somebody receives. ElasticMQ
(Java, `scripts/elasticmq` fetches it) keeps time by itself, and refuses what XML has no character for, as SQS does.
Neither knows IAM, throttling or the end of a lease after twelve hours.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3
from typing_extensions import override

from servers.ports import free_port
from servers.processes import ServerProcess, ServerUnavailable

ELASTICMQ = Path(__file__).parent / "elasticmq"
JARS = ELASTICMQ / "lib"
CONFIGURATION = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
"""

COUNTS = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "stand-in",
    "AWS_SECRET_ACCESS_KEY": "stand-in",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Variables of every process that uses a stand-in: requests are signed, and nobody checks the signature."""


class SqsServer(ServerProcess):
    """One stand-in, on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="asya-sqs-"))
        super().__init__(self.folder / "log")

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """What runs it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start; returns when it accepts connections."""
        self._launch(self.command(), 60, cwd=self.folder)

    def restart(self) -> None:
        """Stop and start, on the same port."""
        self._end(signal.SIGTERM, 10)
        self.start()

    def queues(self) -> dict[str, dict[str, str]]:
        """The name of each queue, with the attributes that it was created with; dead letters come first."""
        client = self._client()
        urls = client.list_queues(MaxResults=1000).get("QueueUrls", [])
        names = ("RedrivePolicy", "VisibilityTimeout", "MessageRetentionPeriod")
        every = {}
        for url in urls:
            known = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            every[url.rpartition("/")[2]] = {name: known[name] for name in names if name in known}
        return dict(sorted(every.items(), key=lambda queue: "RedrivePolicy" in queue[1]))

    def messages(self, prefix: str) -> dict[str, int]:
        """For each queue whose name begins so: how many messages it has, waiting, delayed or held."""
        client = self._client()
        every = {}
        for url in client.list_queues(QueueNamePrefix=prefix, MaxResults=1000).get("QueueUrls", []):
            known = client.get_queue_attributes(QueueUrl=url, AttributeNames=COUNTS)["Attributes"]
            every[url.rpartition("/")[2]] = sum(int(known[name]) for name in COUNTS)
        return every

    def create(self, queues: dict[str, dict[str, str]]) -> None:
        """Create these queues."""
        client = self._client()
        for name, attributes in queues.items():
            client.create_queue(QueueName=name, Attributes=attributes)

    def _client(self) -> Any:
        return boto3.client(
            "sqs",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def close(self) -> None:
        """Stop and remove everything."""
        self._end(signal.SIGTERM, 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    @override
    def _ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class MotoServer(SqsServer):
    """moto's server mode."""

    program = "moto"

    @override
    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]


class ElasticMqServer(SqsServer):
    """ElasticMQ, with the limits of SQS."""

    program = "ElasticMQ"

    def __init__(self) -> None:
        java = shutil.which("java")
        if java is None or not any(JARS.glob("elasticmq-server*.jar")):
            raise ServerUnavailable("there is no ElasticMQ: it needs Java, and scripts/elasticmq fetches it")
        self._java = java
        super().__init__()
        (self.folder / "elasticmq.conf").write_text(CONFIGURATION.format(port=self.port))

    @override
    def command(self) -> list[str]:
        options = ["-Xmx384m", "-XX:TieredStopAtLevel=1", f"-Dconfig.file={self.folder / 'elasticmq.conf'}"]
        return [self._java, *options, "-cp", f"{JARS}{os.sep}*", "org.elasticmq.server.Main"]


def sqs_stand_in() -> SqsServer:
    """ElasticMQ where it can run, or else moto, which takes a tenth as many messages."""
    try:
        return ElasticMqServer()
    except ServerUnavailable:
        return MotoServer()
