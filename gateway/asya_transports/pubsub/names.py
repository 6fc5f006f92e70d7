"""Names of topics and subscriptions."""

import re

from asya_crds.naming import queue_name
from asya_transports.port import MessageRefused

LONGEST_NAME = 255
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


class Names:
    """The names of one namespace's queues in one project."""

    def __init__(self, project: str, namespace: str) -> None:
        self._project, self._namespace = project, namespace

    def queue(self, actor: str) -> str:
        """The name that an actor's topic and subscription share. Raises MessageRefused for an actor whose name cannot
        be part of one."""
        name = queue_name(self._namespace, actor)
        if not _NAME.fullmatch(name):
            raise MessageRefused(
                f"the actor's name {actor[:40]!r} gives no name of a topic: expected letters, digits and ._~+%-, "
                f"at most {LONGEST_NAME} characters with asya-{self._namespace}-"
            )
        return name

    def topic(self, actor: str) -> str:
        """The full name of the topic. Raises MessageRefused."""
        return f"projects/{self._project}/topics/{self.queue(actor)}"

    def subscription(self, actor: str) -> str:
        """The full name of the subscription. Raises MessageRefused."""
        return f"projects/{self._project}/subscriptions/{self.queue(actor)}"

    def actor(self, queue: str) -> str:
        """The actor of a queue's name, full or not."""
        return queue.rpartition("/")[2].removeprefix(queue_name(self._namespace, ""))
