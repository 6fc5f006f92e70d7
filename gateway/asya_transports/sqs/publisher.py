"""Confirmed publishes, message by message."""

from collections.abc import Sequence

from asya_transports.port import MessageRefused, TransportError, Unroutable
from asya_transports.sqs.batches import Batches
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.errors import answers_of
from asya_transports.sqs.outgoing import Outgoing
from asya_transports.sqs.queues import Queues
from asya_transports.sqs.settings import SqsSettings


class Publisher:
    """Sends to any queue of the namespace."""

    def __init__(self, client: SqsClient, queues: Queues, settings: SqsSettings) -> None:
        self._client = client
        self._queues = queues
        self._batches: Batches[Outgoing] = Batches(self._send, settings.message_bytes)

    async def publish(self, actor: str, message: Outgoing) -> TransportError | None:
        """The answer; raises nothing."""
        try:
            url = await self._queues.url(actor)
        except TransportError as error:
            return error
        answer = await self._batches.add(url, message, message.size)
        if isinstance(answer, Unroutable):
            self._queues.forget(actor)
        return answer

    async def finish(self) -> None:
        """Wait for what is under way."""
        await self._batches.finish()

    async def _send(self, url: str, batch: Sequence[Outgoing]) -> list[TransportError | None]:
        entries = [message.entry(number) for number, message in enumerate(batch)]
        try:
            answer = await self._client.call("send_message_batch", QueueUrl=url, Entries=entries)
        except MessageRefused as error:
            if len(batch) == 1:
                return [error]
            # SQS refused the whole request for one of them; each is tried alone.
            return [answer for message in batch for answer in await self._send(url, [message])]
        return answers_of(answer, len(batch))
