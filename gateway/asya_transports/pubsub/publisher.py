"""Confirmed publishes: a topic's messages in batches, and what a refused batch means for each message of it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from google.pubsub_v1 import types

from asya_transports.port import MessageRefused, MessageTooLarge, TransportError, TransportUnavailable
from asya_transports.pubsub.connection import Connection
from asya_transports.pubsub.errors import Invalid, Missing
from asya_transports.pubsub.names import Names
from asya_transports.pubsub.settings import PubSubSettings
from asya_transports.pubsub.topology import Topology

MOST_MESSAGES = 1000
"""Messages of one publish request."""
BATCH_BYTES = 4_000_000
"""Most bytes that must be confirmed within one publish timeout; a larger message is sent alone. The service accepts
10 MB of one request."""
BATCHES_AT_ONCE = 16
"""Requests that are under way at a time: enough for a round trip of 20 ms and 1 ms of work for each."""
FRAMING = 64
"""Bytes that the service counts for a message beside its data and its attributes, rounded up."""

REQUEST = types.PublishRequest.pb()
MESSAGE = types.PubsubMessage.pb()
"""The protocol buffers' own classes: proto-plus takes as long for a message as the rest of a publish."""


class Publication(NamedTuple):
    """One message for an actor's topic."""

    actor: str
    body: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""

    @property
    def size(self) -> int:
        """Bytes of the message in a request, rounded up."""
        attributes = sum(len(name.encode()) + len(value.encode()) + 8 for name, value in self.attributes.items())
        return len(self.body) + attributes + len(self.ordering_key.encode()) + FRAMING


class Publisher:
    """Publishes to topics that have a subscription."""

    def __init__(self, connection: Connection, settings: PubSubSettings, names: Names, topology: Topology) -> None:
        self._connection = connection
        self._settings = settings
        self._names = names
        self._topology = topology
        self._turns = asyncio.Semaphore(BATCHES_AT_ONCE)

    async def publish(self, publications: Sequence[Publication]) -> list[TransportError | None]:
        """One answer each, in order; raises nothing. Topics do not wait for each other; the messages of one are sent
        in order."""
        answers: list[TransportError | None] = [None] * len(publications)
        topics: dict[str, list[int]] = {}
        for index, publication in enumerate(publications):
            if (refusal := self._refusal(publication)) is not None:
                answers[index] = refusal
            else:
                topics.setdefault(publication.actor, []).append(index)
        await asyncio.gather(*(self._to_topic(actor, publications, mine, answers) for actor, mine in topics.items()))
        return answers

    def _refusal(self, publication: Publication) -> MessageRefused | None:
        if len(publication.body) > self._settings.max_message_bytes:
            limit = self._settings.max_message_bytes
            return MessageTooLarge(f"the message has {len(publication.body)} bytes, the limit is {limit}")
        try:
            self._names.queue(publication.actor)
        except MessageRefused as error:
            return error
        return None

    async def _to_topic(
        self, actor: str, publications: Sequence[Publication], mine: list[int], answers: list[TransportError | None]
    ) -> None:
        async with self._turns:
            problem = await self._topology.route(actor)
        for batch in _batches(publications, mine):
            if problem is None:
                problem = await self._send(actor, publications, batch, answers)
            else:
                for index in batch:
                    answers[index] = problem

    async def _send(
        self, actor: str, publications: Sequence[Publication], batch: list[int], answers: list[TransportError | None]
    ) -> TransportError | None:
        """Send one batch and set its answers. Returns what holds for all further messages of the topic, too."""
        problem: TransportError
        try:
            async with self._turns:
                await self._request(actor, [publications[index] for index in batch])
        except Missing:
            problem = self._topology.unroutable(actor)
        except Invalid as error:
            return await self._after_refusal(actor, publications, batch, answers, error)
        except TransportUnavailable as error:
            problem = error
        else:
            return None
        for index in batch:
            answers[index] = problem
        return problem

    async def _after_refusal(
        self,
        actor: str,
        publications: Sequence[Publication],
        batch: list[int],
        answers: list[TransportError | None],
        error: Invalid,
    ) -> TransportError | None:
        """The service refuses a whole request if one of its messages is invalid. That one is found by halves."""
        if len(batch) == 1:
            answers[batch[0]] = MessageRefused(str(error))
            return None
        middle = len(batch) // 2
        problem = await self._send(actor, publications, batch[:middle], answers)
        if problem is None:
            return await self._send(actor, publications, batch[middle:], answers)
        for index in batch[middle:]:
            answers[index] = problem
        return problem

    async def _request(self, actor: str, publications: Sequence[Publication]) -> None:
        request = REQUEST(topic=self._names.topic(actor))
        for publication in publications:
            request.messages.append(
                MESSAGE(data=publication.body, attributes=publication.attributes, ordering_key=publication.ordering_key)
            )
        within = self._settings.publish_timeout + sum(len(each.body) for each in publications) / 1_000_000
        wrapped = types.PublishRequest.wrap(request)
        await self._connection.call(lambda clients: clients.publisher.publish, wrapped, within)


def _batches(publications: Sequence[Publication], mine: Sequence[int]) -> Iterator[list[int]]:
    """The indexes of each request."""
    batch: list[int] = []
    size = 0
    for index in mine:
        length = publications[index].size
        if batch and (size + length > BATCH_BYTES or len(batch) == MOST_MESSAGES):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += length
    if batch:
        yield batch
