"""Confirmed publishes, message by message."""

import asyncio
from collections.abc import Sequence

from asya_transports.port import MessageRefused, TransportError, Unroutable
from asya_transports.sqs.batches import RequestBatches
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.errors import answers_of
from asya_transports.sqs.outgoing import Outgoing
from asya_transports.sqs.queues import QueueUrls
from asya_transports.sqs.settings import SqsSettings


class Publisher:
    """Sends to any queue of the namespace."""

    def __init__(self, client: SqsClient, queues: QueueUrls, settings: SqsSettings) -> None:
        self._client = client
        self._queues = queues
        self._batches: RequestBatches[Outgoing] = RequestBatches(self._send, settings.message_bytes)

    async def publish(self, actor: str, message: Outgoing) -> TransportError | None:
        """The answer; raises nothing."""
        [answer] = await self.publish_all([(actor, message)])
        return answer

    async def publish_all(
        self, messages: Sequence[tuple[str, Outgoing | TransportError]]
    ) -> list[TransportError | None]:
        """The answers, in order; raises nothing. A message that is an error already is answered with it."""
        actors = {actor: None for actor, message in messages if isinstance(message, Outgoing)}
        found = await asyncio.gather(*map(self._url, actors))
        urls = dict(zip(actors, found, strict=True))
        answers = [self._entered(urls.get(actor), message) for actor, message in messages]
        answered = [await each if isinstance(each, asyncio.Future) else each for each in answers]
        for (actor, _), answer in zip(messages, answered, strict=True):
            if isinstance(answer, Unroutable):
                self._queues.forget(actor)
        return answered

    async def _url(self, actor: str) -> str | TransportError:
        try:
            return await self._queues.url(actor)
        except TransportError as error:
            return error

    def _entered(
        self, url: str | TransportError | None, message: Outgoing | TransportError
    ) -> "asyncio.Future[TransportError | None] | TransportError":
        if not isinstance(message, Outgoing):
            return message
        assert url is not None
        return url if isinstance(url, TransportError) else self._batches.enter(url, message, message.size)

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
