"""Where the messages of a world are, as its programs and its tests see it."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from typing_extensions import override

from servers.proxy import TcpProxy
from servers.pubsub import PubSubServer
from servers.rabbitmq import RabbitNode
from servers.sqs import CREDENTIALS, SqsServer


@dataclass
class Queues:
    """`variable` names the address of the queue system, which a proxy may replace; `more` are its other variables."""

    transport: str
    variable: str = ""
    address: str = ""
    more: dict[str, str] = field(default_factory=dict)
    namespace: str = "faults"

    @property
    def variables(self) -> dict[str, str]:
        """What programs have in their environment."""
        address = {self.variable: self.address} if self.variable else {}
        return {"ASYA_TRANSPORT": self.transport, "ASYA_NAMESPACE": self.namespace, **address, **self.more}

    async def behind_proxy(self) -> TcpProxy:
        """A proxy in front of the queue system, through which programs that start from now on reach it."""
        proxy, self.address = await TcpProxy.before(self.address)
        return proxy

    def left(self) -> int:
        """Messages that nobody has acknowledged, dead letters too. Only for those that keep them outside the
        database."""
        raise NotImplementedError


def in_database() -> Queues:
    """Rows of the world's own database."""
    return Queues("postgres")


def in_rabbitmq(url: str) -> Queues:
    """A virtual host."""
    return Queues("rabbitmq", "ASYA_RABBITMQ_URL", url)


class SqsQueues(Queues):
    """Queues of a namespace of its own on a stand-in."""

    def __init__(self, server: SqsServer, *, lease: int = 3) -> None:
        more = {"ASYA_SQS_VISIBILITY_TIMEOUT": str(lease), "ASYA_SQS_WAIT_TIME_SECONDS": "2", **CREDENTIALS}
        super().__init__("sqs", "ASYA_SQS_ENDPOINT", server.url, more, f"faults-{uuid.uuid4().hex[:8]}")
        self._server = server

    @override
    def left(self) -> int:
        return sum(self._server.messages(f"asya-{self.namespace}-").values())


class PubSubQueues(Queues):
    """Topics of a project of its own on a stand-in."""

    def __init__(self, server: PubSubServer, actors: tuple[str, ...]) -> None:
        project = f"faults-{uuid.uuid4().hex[:8]}"
        more = {"ASYA_PUBSUB_PROJECT_ID": project}
        super().__init__("pubsub", "ASYA_PUBSUB_ENDPOINT", server.endpoint, more)
        self._server, self._project, self._actors = server, project, actors

    @override
    def left(self) -> int:
        names = [f"asya-{self.namespace}-{actor}" for actor in self._actors]
        return sum(self._server.waiting(name, self._project) for name in names)


@contextlib.contextmanager
def virtual_host(rabbit: RabbitNode) -> Iterator[Queues]:
    """Queues in a virtual host, which is removed afterwards."""
    name = f"faults-{uuid.uuid4().hex[:8]}"
    try:
        yield in_rabbitmq(rabbit.create_vhost(name))
    finally:
        rabbit.delete_vhost(name)
