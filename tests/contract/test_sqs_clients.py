"""SQS as other programs use it: with botocore, as existing sidecars and consoles do by their own drivers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import boto3
import pytest

from asya_transports.port import OutboundMessage, Queue
from asya_transports.sqs.transport import SqsTransport
from servers.sqs import CREDENTIALS
from tests.contract.brokers import Moto
from tests.contract.transport_harness import ENVELOPE, Harness, next_of, publish, taken_twice


class Peer(NamedTuple):
    """Another program's client, which blocks, and the namespace in which it is used."""

    client: Any
    namespace: str

    async def ask(self, operation: str, **parameters: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, operation), **parameters)

    async def url(self, actor: str) -> str:
        """As sidecars find it: by its name."""
        return str((await self.ask("get_queue_url", QueueName=f"asya-{self.namespace}-{actor}"))["QueueUrl"])

    async def take(self, actor: str) -> dict[str, Any]:
        """The next message, as a sidecar takes it; it is hidden afterwards."""
        url = await self.url(actor)
        answer = await self.ask("receive_message", QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=1)
        [found] = answer["Messages"]
        return dict(found)


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    harness = Harness(Moto(request).settings())
    yield harness
    await harness.close()


@pytest.fixture
def peer(harness: Harness) -> Peer:
    client = boto3.client(
        "sqs",
        endpoint_url=harness.settings.endpoint,  # type: ignore[attr-defined]
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    return Peer(client, harness.namespace)


async def test_what_another_client_puts_on_the_queue_arrives_as_it_was(harness: Harness, peer: Peer) -> None:
    """The text of the envelope, with no attribute of ours."""
    transport = await harness.declared()
    text = json.dumps(ENVELOPE, ensure_ascii=False)
    await peer.ask("send_message", QueueUrl=await peer.url("worker"), MessageBody=text)
    await taken_twice(transport, text)


async def test_another_client_reads_the_envelope_as_the_whole_body_and_deletes_it(harness: Harness, peer: Peer) -> None:
    transport = await harness.declared()
    body = json.dumps(ENVELOPE, ensure_ascii=False).encode()
    assert await transport.publish([OutboundMessage("worker", body, "t-1")]) == [None]
    found = await peer.take("worker")
    assert json.loads(found["Body"]) == ENVELOPE
    await peer.ask("delete_message", QueueUrl=await peer.url("worker"), ReceiptHandle=found["ReceiptHandle"])
    assert await transport.depth("worker") == 0


async def test_a_sidecar_finds_the_queue_that_we_made_for_it_as_it_expects_it(harness: Harness, peer: Peer) -> None:
    transport = harness.open()
    await transport.declare(Queue("worker", foreign=True))
    answer = await peer.ask("get_queue_attributes", QueueUrl=await peer.url("worker"), AttributeNames=["All"])
    found = answer["Attributes"]
    assert (found["VisibilityTimeout"], found["ReceiveMessageWaitTimeSeconds"]) == ("30", "20")
    policy = json.loads(found["RedrivePolicy"])
    assert int(policy["maxReceiveCount"]) == 3
    assert policy["deadLetterTargetArn"].rpartition(":")[2] == f"asya-{harness.namespace}-dlq"


@pytest.mark.parametrize("receives", [1, 3, 4])
async def test_a_dead_letter_of_a_sidecar_has_the_deliveries_that_its_queue_allows(
    harness: Harness, peer: Peer, receives: int
) -> None:
    """The reader of dead letters has not declared that queue; SQS has moved the message by the queue's own policy."""
    declaring = harness.open()
    await declaring.declare(Queue("worker", foreign=True))
    url, dead = await peer.url("worker"), await peer.ask("get_queue_attributes", **await _arn(peer))
    policy = {"deadLetterTargetArn": dead["Attributes"]["QueueArn"], "maxReceiveCount": receives}
    attributes = {"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "0"}
    await peer.ask("set_queue_attributes", QueueUrl=url, Attributes=attributes)
    await publish(declaring, json.dumps(ENVELOPE))
    for _ in range(receives):
        await peer.take("worker")
    await peer.ask("receive_message", QueueUrl=url)  # the one that finds it used up
    async with harness.open().receive_dead_letters() as dead_letters:
        delivery = await next_of(dead_letters)
        assert (delivery.actor, delivery.deliveries) == ("worker", receives)
        await delivery.ack()


async def test_a_dead_letter_whose_queue_is_gone_has_the_deliveries_of_ours(
    harness: Harness, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    transport = harness.open()
    await transport.declare(Queue("worker", foreign=True))
    assert isinstance(transport, SqsTransport)
    await transport.delete("worker")
    body = json.dumps(ENVELOPE)
    await peer.ask("send_message", QueueUrl=await peer.url("dlq"), MessageBody=body)
    async with transport.receive_dead_letters() as dead_letters:
        delivery = await next_of(dead_letters)
        assert (delivery.actor, delivery.body.decode(), delivery.deliveries) == ("worker", body, 5)
        await delivery.ack()
    assert "is not known" in caplog.text


async def _arn(peer: Peer) -> dict[str, Any]:
    return {"QueueUrl": await peer.url("dlq"), "AttributeNames": ["QueueArn"]}
