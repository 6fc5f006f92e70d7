"""The queue systems of clouds, on their stand-ins: queues for the runs, and the peers, which are the clouds' own
clients: they send batches, each awaited to its confirmation, and receive and delete them."""

import asyncio
import contextlib
import math
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, ClassVar

import grpc
import grpc.aio
import uvloop
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from google.pubsub_v1 import types
from google.pubsub_v1.services.publisher import PublisherAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber import SubscriberAsyncClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from typing_extensions import override

from asya_crds.naming import queue_name
from asya_transports.known import transport_settings
from asya_transports.opening import open_transport
from asya_transports.port import Queue
from bench.rows import envelope
from bench.stage import ENTRYPOINT, Stage
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


class Cloud(ABC):
    """One queue system of the stage."""

    transport: ClassVar[str]
    client: ClassVar[str]
    """The peer's name."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @contextlib.contextmanager
    def queue(self) -> Iterator[dict[str, str]]:
        """The variables of a namespace of its own, whose entry actor has a queue as our worker declares it."""
        variables = {**self._variables(), "ASYA_TRANSPORT": self.transport}
        variables["ASYA_NAMESPACE"] = f"bench-{uuid.uuid4().hex[:8]}"
        asyncio.run(_declare(variables))
        yield variables

    @abstractmethod
    def depth(self, variables: Variables) -> int:
        """Messages in the entry actor's queue."""

    def confirmed_per_second(self) -> float:
        """Messages that the peer sends in batches, each awaited to its confirmation."""
        effort = self._stage.effort
        with self.queue() as variables:
            return uvloop.run(self._sent(variables, effort.warm_up, effort.seconds))

    def worked_per_second(self, tasks: int) -> float:
        """Messages that the peer receives and deletes, batch by batch, and does nothing with."""
        with self.queue() as variables:
            return uvloop.run(self._emptied(variables, tasks))

    @abstractmethod
    def _variables(self) -> dict[str, str]:
        """Where the stand-in is."""

    @abstractmethod
    def _requests(self, variables: Variables) -> contextlib.AbstractAsyncContextManager[tuple[Request, Request]]:
        """Two kinds of requests of the peer: one sends a batch, one receives and deletes what is there."""

    async def _sent(self, variables: Variables, warm_up: float, seconds: float) -> float:
        begin = time.monotonic() + warm_up
        end = begin + seconds
        confirmed = 0

        async def sender(send: Request) -> None:
            nonlocal confirmed
            while (now := time.monotonic()) < end:
                count = await send()
                confirmed += count if now >= begin else 0

        async with self._requests(variables) as (send, _):
            await asyncio.gather(*(sender(send) for _ in range(AT_A_TIME)))
        return confirmed / seconds

    async def _emptied(self, variables: Variables, tasks: int) -> float:
        async with self._requests(variables) as (send, take):
            filled = 0
            while filled < tasks:
                filled += sum(await asyncio.gather(*(send() for _ in range(AT_A_TIME))))
            taken, first, last = 0, 0.0, time.monotonic()

            async def taker() -> None:
                nonlocal taken, first, last
                while taken < filled and time.monotonic() < last + NOTHING_FOR:
                    count = await take()
                    if count:
                        last = time.monotonic()
                        first = first or last
                        taken += count

            await asyncio.gather(*(taker() for _ in range(AT_A_TIME)))
        return taken / (last - first) if last > first else math.nan


class Sqs(Cloud):
    """ElasticMQ, or else moto."""

    transport = "sqs"
    client = "aiobotocore, batches of 10"

    @override
    def depth(self, variables: Variables) -> int:
        name = queue_name(variables["ASYA_NAMESPACE"], ENTRYPOINT)
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
            name = queue_name(variables["ASYA_NAMESPACE"], ENTRYPOINT)
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
    client = f"google-cloud-pubsub, batches of {PUBSUB_BATCH}"

    @override
    def depth(self, variables: Variables) -> int:
        return self._stage.pubsub.waiting(queue_name(variables["ASYA_NAMESPACE"], ENTRYPOINT))

    @override
    def _variables(self) -> dict[str, str]:
        return {"ASYA_PUBSUB_PROJECT_ID": PROJECT, "ASYA_PUBSUB_ENDPOINT": self._stage.pubsub.endpoint}

    @override
    @contextlib.asynccontextmanager
    async def _requests(self, variables: Variables) -> AsyncIterator[tuple[Request, Request]]:
        name = queue_name(variables["ASYA_NAMESPACE"], ENTRYPOINT)
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


async def _declare(variables: Variables) -> None:
    transport = open_transport(transport_settings(variables), variables["ASYA_NAMESPACE"])
    try:
        await transport.declare(Queue(ENTRYPOINT))
    finally:
        await transport.close()
