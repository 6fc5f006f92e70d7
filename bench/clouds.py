"""The queue systems of clouds, on their stand-ins: queues for the runs, and the peers, which are the clouds' own
clients: they send batches, each awaited to its confirmation, and receive and delete them. What Google's client calls
its publisher makes the batches itself, of what its callers give it."""

import asyncio
import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import grpc
import grpc.aio
import uvloop
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from google.cloud.pubsub_v1 import PublisherClient
from google.pubsub_v1 import types
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport, PublisherGrpcTransport
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from typing_extensions import override

from asya_crds.naming import queue_name
from asya_transports.known import transport_settings
from asya_transports.opening import open_transport
from asya_transports.port import OutboundMessage, Queue
from bench.rows import envelope
from bench.stage import CONNECTIONS, ENTRYPOINT, Stage
from servers.pubsub import PROJECT
from servers.sqs import CREDENTIALS

AT_A_TIME = 8
"""Requests of a peer at a time: as many as the transports have."""
SQS_BATCH = 10
"""Most entries of a request."""
PUBSUB_BATCH = 100
"""Messages of a request, as Google's own publisher collects them by default."""
NOTHING_FOR = 5.0
"""Seconds without a message after which a peer that receives has them all."""

Variables = Mapping[str, str]
Request = Callable[[], Awaitable[int]]
"""One request; returns how many messages it confirmed."""


class Rival(NamedTuple):
    """What sends to the queue beside the gateway: messages confirmed a second. `judged`: whether there is a target."""

    name: str
    run: Callable[[], float]
    judged: bool = True


class Cloud(ABC):
    """One queue system of the stage."""

    transport: ClassVar[str]
    client: ClassVar[str]
    """The peer's name."""

    batch: ClassVar[int]
    """Messages of one of its requests."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.cpu: list[float] = []
        """Of each run of `confirmed_per_second` and `published_per_second`: microseconds of our CPU a message."""

    @contextlib.contextmanager
    def queue(self, *, drained: bool = False) -> Iterator[dict[str, str]]:
        """The variables of a namespace of its own, whose entry actor has a queue as our worker declares it. `drained`:
        what comes to it is taken away where the stand-in becomes slower with what waits."""
        variables = {**self._variables(), "ASYA_TRANSPORT": self.transport}
        variables["ASYA_NAMESPACE"] = f"bench-{uuid.uuid4().hex[:8]}"
        asyncio.run(_declare(variables))
        if drained:
            self._drain(variables)
        yield variables

    @abstractmethod
    def arrived(self, variables: Variables) -> int:
        """Messages that have come to the entry actor's queue."""

    @property
    def rivals(self) -> Sequence[Rival]:
        """What the gateway is compared with."""
        return [Rival(self.client, self.confirmed_per_second)]

    def confirmed_per_second(self) -> float:
        """Messages that the peer sends in batches, each awaited to its confirmation."""
        return self._sent_per_second(self._requests)

    def published_per_second(self) -> float:
        """The same by our transport, which is given the same batches, as many at a time."""
        return self._sent_per_second(self._publishes)

    def worked_per_second(self, tasks: int) -> float:
        """Messages that the peer receives and deletes, batch by batch, and does nothing with."""
        with self.queue() as variables:
            return uvloop.run(self._emptied(variables, tasks))

    def _sent_per_second(
        self, made: Callable[[Variables], contextlib.AbstractAsyncContextManager[tuple[Request, Request]]]
    ) -> float:
        async def sent(variables: Variables) -> float:
            async with made(variables) as (send, _):
                return await self._repeated(send, AT_A_TIME)

        with self.queue(drained=True) as variables:
            return uvloop.run(sent(variables))

    @abstractmethod
    def _drain(self, variables: Variables) -> None:
        """Take away what comes to the queue."""

    @abstractmethod
    def _variables(self) -> dict[str, str]:
        """Where the stand-in is."""

    @abstractmethod
    def _requests(self, variables: Variables) -> contextlib.AbstractAsyncContextManager[tuple[Request, Request]]:
        """Two kinds of requests of the peer: one sends a batch, one receives and deletes what is there."""

    @contextlib.asynccontextmanager
    async def _publishes(self, variables: Variables) -> AsyncIterator[tuple[Request, Request]]:
        transport = open_transport(transport_settings(variables), variables["ASYA_NAMESPACE"])
        messages = [OutboundMessage(ENTRYPOINT, envelope().encode())] * self.batch

        async def send() -> int:
            return (await transport.publish(messages)).count(None)

        try:
            yield send, send
        finally:
            await transport.close()

    async def _repeated(self, send: Request, at_a_time: int) -> float:
        """Messages confirmed a second while so many send, each again and again."""
        effort = self._stage.effort
        begin = time.monotonic() + effort.warm_up
        end = begin + effort.seconds
        confirmed, every, used = 0, 0, time.process_time()

        async def sender() -> None:
            nonlocal confirmed, every
            while (now := time.monotonic()) < end:
                count = await send()
                every += count
                confirmed += count if now >= begin else 0

        await asyncio.gather(*(sender() for _ in range(at_a_time)))
        self.cpu.append((time.process_time() - used) / max(1, every) * 1e6)
        return confirmed / effort.seconds

    async def _emptied(self, variables: Variables, tasks: int) -> float:
        async with self._requests(variables) as (send, take):
            filled = 0
            while filled < tasks:
                filled += sum(await asyncio.gather(*(send() for _ in range(AT_A_TIME))))
            taken, began = 0, time.monotonic()
            last = began

            async def taker() -> None:
                nonlocal taken, last
                while taken < filled and time.monotonic() < last + NOTHING_FOR:
                    count = await take()
                    if count:
                        last = time.monotonic()
                        taken += count

            await asyncio.gather(*(taker() for _ in range(AT_A_TIME)))
        return taken / (last - began)


class Sqs(Cloud):
    """ElasticMQ, or else moto."""

    transport = "sqs"
    client = "aiobotocore, batches of 10"
    batch = SQS_BATCH

    @override
    def _drain(self, variables: Variables) -> None:
        """What waits makes it no slower."""

    @override
    def arrived(self, variables: Variables) -> int:
        name = _queue(variables)
        return self._stage.sqs.messages(name)[name]

    @override
    def _variables(self) -> dict[str, str]:
        return {"ASYA_SQS_ENDPOINT": self._stage.sqs.url, **CREDENTIALS}

    @override
    @contextlib.asynccontextmanager
    async def _requests(self, variables: Variables) -> AsyncIterator[tuple[Request, Request]]:
        entries = [{"Id": str(number), "MessageBody": envelope()} for number in range(SQS_BATCH)]
        made = get_session().create_client(
            "sqs",
            region_name="us-east-1",
            endpoint_url=variables["ASYA_SQS_ENDPOINT"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=AioConfig(max_pool_connections=AT_A_TIME),
        )
        async with made as client:
            name = _queue(variables)
            url = (await client.get_queue_url(QueueName=name))["QueueUrl"]

            async def send() -> int:
                answer = await client.send_message_batch(QueueUrl=url, Entries=entries)
                return len(answer["Successful"])

            async def take() -> int:
                answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=SQS_BATCH, WaitTimeSeconds=1)
                done: list[Any] = [
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(answer.get("Messages", []))
                ]
                if done:
                    await client.delete_message_batch(QueueUrl=url, Entries=done)
                return len(done)

            yield send, take


class PubSub(Cloud):
    """Google's own fake."""

    transport = "pubsub"
    client = f"google-cloud-pubsub, batches of {PUBSUB_BATCH} from memory"
    batch = PUBSUB_BATCH

    @override
    def arrived(self, variables: Variables) -> int:
        return self._stage.pubsub.published(_queue(variables))

    @property
    @override
    def rivals(self) -> Sequence[Rival]:
        publisher = f"google-cloud-pubsub's publisher, {CONNECTIONS} callers"
        return [
            Rival(publisher, self.called_per_second),
            Rival(self.client, self.confirmed_per_second, judged=False),
        ]

    def called_per_second(self) -> float:
        """Messages of callers who await each one's confirmation, in batches that Google's publisher makes of them."""
        with self.queue(drained=True) as variables:
            return uvloop.run(self._called(variables))

    async def _called(self, variables: Variables) -> float:
        channel = grpc.insecure_channel(variables["ASYA_PUBSUB_ENDPOINT"])
        client = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        topic, body = f"projects/{PROJECT}/topics/{_queue(variables)}", envelope().encode()

        async def send() -> int:
            await asyncio.wrap_future(client.publish(topic, body))
            return 1

        try:
            return await self._repeated(send, CONNECTIONS)
        finally:
            client.stop()
            channel.close()

    @override
    def _drain(self, variables: Variables) -> None:
        self._stage.pubsub.drain(_queue(variables))

    @override
    def _variables(self) -> dict[str, str]:
        return {"ASYA_PUBSUB_PROJECT_ID": PROJECT, "ASYA_PUBSUB_ENDPOINT": self._stage.pubsub.endpoint}

    @override
    @contextlib.asynccontextmanager
    async def _requests(self, variables: Variables) -> AsyncIterator[tuple[Request, Request]]:
        name = _queue(variables)
        topic, subscription = (f"projects/{PROJECT}/{kind}/{name}" for kind in ("topics", "subscriptions"))
        messages = [types.PubsubMessage(data=envelope().encode())] * PUBSUB_BATCH
        async with grpc.aio.insecure_channel(variables["ASYA_PUBSUB_ENDPOINT"]) as channel:
            publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=channel))
            subscriber = SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(channel=channel))

            async def send() -> int:
                answer = await publisher.publish(topic=topic, messages=messages)
                return len(answer.message_ids)

            async def take() -> int:
                answer = await subscriber.pull(subscription=subscription, max_messages=PUBSUB_BATCH)
                ids = [received.ack_id for received in answer.received_messages]
                if ids:
                    await subscriber.acknowledge(subscription=subscription, ack_ids=ids)
                return len(ids)

            yield send, take


CLOUDS: Mapping[str, type[Cloud]] = {each.transport: each for each in (Sqs, PubSub)}


def _queue(variables: Variables) -> str:
    """The name of the entry actor's queue."""
    return queue_name(variables["ASYA_NAMESPACE"], ENTRYPOINT)


async def _declare(variables: Variables) -> None:
    transport = open_transport(transport_settings(variables), variables["ASYA_NAMESPACE"])
    try:
        await transport.declare(Queue(ENTRYPOINT))
    finally:
        await transport.close()
