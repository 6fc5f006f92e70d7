"""The queues of one namespace: their addresses, and their declaration. Existing ones are used unchanged."""

import logging

from asya_crds import jsontext
from asya_crds.naming import DEAD_LETTERS, queue_name
from asya_transports.port import MAX_DELIVERIES, Forbidden, MessageRefused, Queue, TransportUnavailable, Unroutable
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.errors import QueueExists
from asya_transports.sqs.settings import LONGEST_NAME, VISIBILITY_TIMEOUT

logger = logging.getLogger(__name__)

RETENTION = 14 * 24 * 60 * 60
"""Seconds for which SQS keeps a message at most. Its default of four days may be shorter than a task's deadline."""
FOREIGN_DELIVERIES = 3
"""Deliveries before a dead letter in queues of existing sidecars, which count on this number."""
FOREIGN_WAIT = 20


class QueueUrls:
    """Knows the addresses of queues that it has seen."""

    def __init__(self, client: SqsClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._urls: dict[str, str] = {}
        self._declared: dict[str, Queue] = {}

    def name(self, actor: str) -> str:
        """The name of the actor's queue."""
        return queue_name(self._namespace, actor)

    def origin(self, arn: str) -> str:
        """The actor of the queue with this ARN (`arn:aws:sqs:region:account:name`)."""
        return arn.rpartition(":")[2].removeprefix(self.name(""))

    def limit(self, actor: str) -> int:
        """Most deliveries of this actor's messages, if this program has declared its queue."""
        declared = self._declared.get(actor)
        return MAX_DELIVERIES if declared is None else declared.max_deliveries

    def check_name(self, actor: str) -> None:
        """Raises MessageRefused if no queue can have the name."""
        name = self.name(actor)
        if len(name) > LONGEST_NAME or not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise MessageRefused(
                f"the queue's name {name[:100]!r}: SQS takes at most {LONGEST_NAME} letters, digits, '-' and '_'"
            )

    async def url(self, actor: str) -> str:
        """The queue's URL. Raises Unroutable if there is no such queue, TransportUnavailable."""
        found = self._urls.get(actor)
        if found is None:
            name = self.name(actor)
            try:
                answer = await self._client.call("get_queue_url", QueueName=name)
            except Unroutable:
                raise Unroutable(f"there is no queue {name}") from None
            found = self._urls[actor] = str(answer["QueueUrl"])
        return found

    def forget(self, actor: str) -> None:
        """Ask for its URL again, because the queue was missing."""
        self._urls.pop(actor, None)

    async def declare(self, queue: Queue) -> None:
        """Create the queue and the namespace's dead letters, if they do not exist. Raises TransportUnavailable,
        Forbidden."""
        try:
            self.check_name(queue.actor)
            self._declared[queue.actor] = queue
            self.forget(queue.actor)
            await self._ensure(queue.actor, queue)
        except MessageRefused as error:
            raise Forbidden(f"the queue of {queue.actor} cannot be declared: {error}") from error

    async def declare_again(self, actor: str) -> None:
        """Declare the queue as this program did before, if it did. Raises TransportUnavailable, Forbidden."""
        if (declared := self._declared.get(actor)) is not None:
            await self.declare(declared)

    async def dead_letters(self) -> str:
        """The URL of the namespace's dead letters, which are created if they are missing. Raises TransportUnavailable,
        Forbidden."""
        try:
            return await self._ensure(DEAD_LETTERS, None)
        except MessageRefused as error:
            raise Forbidden(f"the dead letters cannot be declared: {error}") from error

    async def delete(self, actor: str) -> None:
        """Delete the queue with its messages."""
        self._declared.pop(actor, None)
        self.forget(actor)
        try:
            url = await self.url(actor)
            await self._client.call("delete_queue", QueueUrl=url)
        except Unroutable:
            return
        finally:
            self.forget(actor)

    async def depth(self, actor: str) -> int:
        """Messages that wait in the queue, as SQS estimates them."""
        try:
            return int(await self.attribute(actor, "ApproximateNumberOfMessages"))
        except Unroutable:
            self.forget(actor)
            return 0

    async def _ensure(self, actor: str, queue: Queue | None) -> str:
        try:
            return await self.url(actor)
        except Unroutable:
            attributes = {"MessageRetentionPeriod": str(RETENTION)}
            if queue is not None:
                attributes |= await self._of_actors(queue)
        name = self.name(actor)
        try:
            answer = await self._client.call("create_queue", QueueName=name, Attributes=attributes)
        except QueueExists:  # another program has just created it with other attributes
            try:
                return await self.url(actor)
            except Unroutable as error:
                raise TransportUnavailable(f"the queue {name} exists but is not found yet") from error
        logger.info("created the queue %s", name)
        found = self._urls[actor] = str(answer["QueueUrl"])
        return found

    async def _of_actors(self, queue: Queue) -> dict[str, str]:
        await self.dead_letters()
        deliveries = FOREIGN_DELIVERIES if queue.foreign else queue.max_deliveries
        try:
            target = await self.attribute(DEAD_LETTERS, "QueueArn")
        except Unroutable as error:
            # They were deleted since we learnt their URL, or created so recently that SQS does not find them yet.
            self.forget(DEAD_LETTERS)
            raise TransportUnavailable(f"the dead letters {self.name(DEAD_LETTERS)} are not found: {error}") from error
        redrive = {"deadLetterTargetArn": target, "maxReceiveCount": str(deliveries)}
        attributes = {
            "VisibilityTimeout": str(VISIBILITY_TIMEOUT),
            "RedrivePolicy": jsontext.spaced(redrive, ascii_only=True),
        }
        return attributes | {"ReceiveMessageWaitTimeSeconds": str(FOREIGN_WAIT)} if queue.foreign else attributes

    async def attribute(self, actor: str, name: str) -> str:
        """An attribute of the actor's queue, `0` if it has none. Raises Unroutable, TransportUnavailable."""
        url = await self.url(actor)
        answer = await self._client.call("get_queue_attributes", QueueUrl=url, AttributeNames=[name])
        return str((answer.get("Attributes") or {}).get(name, "0"))
