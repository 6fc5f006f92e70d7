"""A receiver of SQS over a stub of the driver: errors that no stand-in shows, and what becomes of the places."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from asya_transports.port import TransportUnavailable
from asya_transports.sqs import receiver as sqs_receiver
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.settings import SqsSettings
from asya_transports.sqs.transport import SqsTransport

SETTINGS = SqsSettings(endpoint="http://127.0.0.1:9", wait_time=1)
OURS = [RuntimeError("credentials were not refreshed"), ResponseParserError("no XML"), OSError(), KeyError("Error")]
"""What the driver raises beside its own BotoCoreError and ClientError."""


class Driver:
    """The driver's client. Each poll takes the next of `polls`: messages, or an error; after them there are none."""

    def __init__(self) -> None:
        self.polls: list[list[dict[str, Any]] | Exception] = []
        self.deleted: list[str] = []

    async def get_queue_url(self, QueueName: str) -> dict[str, Any]:  # noqa: N803 # a parameter of SQS
        return {"QueueUrl": f"url/{QueueName}"}

    async def receive_message(self, **_: object) -> dict[str, Any]:
        answer = self.polls.pop(0) if self.polls else []
        if isinstance(answer, Exception):
            raise answer
        return {"Messages": answer}

    async def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()

    async def opened(_: object) -> Driver:
        return driver

    monkeypatch.setattr(SqsClient, "_opened", opened)
    monkeypatch.setattr(sqs_receiver, "FIRST_PAUSE", 0.01)
    return driver


@pytest.fixture
async def transport(driver: Driver) -> AsyncIterator[SqsTransport]:
    transport = SqsTransport(SETTINGS, "n")
    yield transport
    await transport.close()


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
async def test_every_error_of_the_driver_is_unavailable_and_says_what_it_was(
    driver: Driver, transport: SqsTransport, error: Exception
) -> None:
    driver.polls = [error]
    with pytest.raises(TransportUnavailable, match=str(error) or "OSError"):
        await SqsClient(SETTINGS).poll("url", 1, 1)


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
async def test_a_receiver_goes_on_after_every_error_of_the_driver(
    driver: Driver, transport: SqsTransport, error: Exception
) -> None:
    driver.polls = [error, [{"ReceiptHandle": "receipt", "Body": "{}"}]]
    async with transport.receive("worker") as stream:
        async with asyncio.timeout(5):
            delivery = await anext(stream)
        await delivery.ack()
    assert driver.deleted == ["receipt"]
