"""What no stand-in for SQS shows: throttling, denied access, the end of a lease after twelve hours, failed entries of a
batch that was answered with 200."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiobotocore.session import get_session
from aiobotocore.stub import AioStubber

from asya_transports.port import (
    Forbidden,
    LeaseLost,
    MessageRefused,
    MessageTooLarge,
    OutboundMessage,
    Queue,
    TransportUnavailable,
    Unroutable,
)
from asya_transports.sqs import client as sqs_client
from asya_transports.sqs.errors import meaning
from asya_transports.sqs.leases import Lease
from asya_transports.sqs.receipts import Receipts
from asya_transports.sqs.settings import LONGEST_VISIBILITY, SqsSettings
from asya_transports.sqs.transport import SqsTransport

SETTINGS = SqsSettings(endpoint="http://127.0.0.1:9")
URL = "https://sqs.us-east-1.amazonaws.com/123456789012/asya-n-worker"
DEAD_LETTERS = "https://sqs.us-east-1.amazonaws.com/123456789012/asya-n-dlq"


@pytest.fixture
async def stubber(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AioStubber]:
    """The driver's own stub: it checks the parameters of each request, and each answer, with SQS's description."""
    session = get_session()
    session.set_credentials("key", "secret")
    async with session.create_client("sqs", region_name="us-east-1") as client:

        async def opened(_: object) -> Any:
            return client

        monkeypatch.setattr(sqs_client.SqsClient, "_opened", opened)
        with AioStubber(client) as stubber:
            yield stubber


@pytest.fixture
def transport(stubber: AioStubber) -> SqsTransport:
    stubber.add_response("get_queue_url", {"QueueUrl": URL}, {"QueueName": "asya-n-worker"})
    return SqsTransport(SETTINGS, "n")


@pytest.fixture
def receipts(stubber: AioStubber) -> Receipts:
    return Receipts(sqs_client.SqsClient(SETTINGS))


def said(number: int, code: str, *, fault: bool = False) -> dict[str, Any]:
    return {"Id": str(number), "Code": code, "SenderFault": fault, "Message": f"because of {code}"}


def taken(number: int) -> dict[str, Any]:
    return {"Id": str(number), "MessageId": "m", "MD5OfMessageBody": "d"}


async def test_each_failed_entry_of_a_batch_is_answered_by_its_own_code(
    transport: SqsTransport, stubber: AioStubber
) -> None:
    """SendMessageBatch, "Because the batch request can result in a combination of successful and unsuccessful actions,
    you should check for batch errors even when the call returns an HTTP status code of 200"."""
    failed = [
        said(1, "InvalidMessageContents", fault=True),
        said(2, "InternalError"),
        said(3, "KmsThrottled", fault=True),
        said(4, "KmsAccessDenied", fault=True),
    ]
    stubber.add_response("send_message_batch", {"Successful": [taken(0)], "Failed": failed})
    answers = await transport.publish([OutboundMessage("worker", b"{}") for _ in range(6)])
    kinds = [type(answer) for answer in answers]
    assert kinds == [
        type(None), MessageRefused, TransportUnavailable, TransportUnavailable, Forbidden, TransportUnavailable,
    ]  # fmt: skip
    assert "did not answer" in str(answers[5])


@pytest.mark.parametrize(
    "code", ["RequestThrottled", "ThrottlingException", "OverLimit", "ExpiredToken", "KmsThrottled"]
)
async def test_throttling_is_unavailable_and_says_so(transport: SqsTransport, stubber: AioStubber, code: str) -> None:
    stubber.add_client_error("send_message_batch", code, "Rate exceeded", 400)
    [answer] = await transport.publish([OutboundMessage("worker", b"{}")])
    assert type(answer) is TransportUnavailable
    assert str(answer) == f"SQS: Rate exceeded ({code})"


async def test_who_waits_behind_a_throttled_request_is_answered_with_it(
    transport: SqsTransport, stubber: AioStubber
) -> None:
    """The stub has no answer for a ninth request: eight are under way at a time, and nothing follows them."""
    for _ in range(8):
        stubber.add_client_error("send_message_batch", "RequestThrottled", "Rate exceeded", 400)
    answers = await transport.publish([OutboundMessage("worker", b"{}") for _ in range(200)])
    assert {str(answer) for answer in answers} == {"SQS: Rate exceeded (RequestThrottled)"}


async def test_one_message_that_makes_sqs_refuse_a_request_is_found_by_sending_each_alone(
    transport: SqsTransport, stubber: AioStubber
) -> None:
    stubber.add_client_error("send_message_batch", "InvalidParameterValue", "too long", 400)
    stubber.add_response("send_message_batch", {"Successful": [taken(0)], "Failed": []})
    stubber.add_client_error("send_message_batch", "InvalidParameterValue", "too long", 400)
    answers = await transport.publish([OutboundMessage("worker", b"{}")] * 2)
    assert [type(answer) for answer in answers] == [type(None), MessageRefused]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "InvalidParameterValue",
            "Reason: Message must be shorter than 262144 bytes.",
        ),
        ("InvalidParameterValue", "MessageTooLong"),
        ("BatchRequestTooLong", "Batch requests cannot be longer than 262144 bytes."),
        ("AWS.SimpleQueueService.BatchRequestTooLong", "Batch requests cannot be longer than 262144 bytes."),
    ],
)
async def test_a_message_that_a_region_with_a_lower_limit_refuses_is_too_large(
    transport: SqsTransport, stubber: AioStubber, code: str, text: str
) -> None:
    """Its task fails with `envelope_too_large`; the other message of the request arrives."""
    stubber.add_client_error("send_message_batch", code, text, 400)
    stubber.add_client_error("send_message_batch", code, text, 400)
    stubber.add_response("send_message_batch", {"Successful": [taken(0)], "Failed": []})
    answers = await transport.publish([OutboundMessage("worker", b"{}")] * 2)
    assert [type(answer) for answer in answers] == [MessageTooLarge, type(None)]
    assert text in str(answers[0])


async def test_a_queue_that_vanished_is_unroutable_and_asked_for_again(
    transport: SqsTransport, stubber: AioStubber
) -> None:
    stubber.add_client_error("send_message_batch", "AWS.SimpleQueueService.NonExistentQueue", "gone", 400)
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "gone", 400)
    for _ in range(2):
        [answer] = await transport.publish([OutboundMessage("worker", b"{}")])
        assert isinstance(answer, Unroutable)
    stubber.assert_no_pending_responses()


async def test_a_worker_that_may_not_create_queues_is_told_so(stubber: AioStubber) -> None:
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_client_error("create_queue", "AccessDenied", "not authorized to perform: sqs:createqueue", 403)
    with pytest.raises(Forbidden, match="sqs:createqueue"):
        await SqsTransport(SETTINGS, "n").declare(Queue("worker"))


async def test_a_queue_is_created_with_its_dead_letters_and_the_longest_retention(stubber: AioStubber) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:asya-n-dlq"
    stubber.add_client_error(
        "get_queue_url", "QueueDoesNotExist", "none", 400, expected_params={"QueueName": "asya-n-worker"}
    )
    stubber.add_response("get_queue_url", {"QueueUrl": DEAD_LETTERS}, {"QueueName": "asya-n-dlq"})
    stubber.add_response(
        "get_queue_attributes",
        {"Attributes": {"QueueArn": arn}},
        {"QueueUrl": DEAD_LETTERS, "AttributeNames": ["QueueArn"]},
    )
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
    attributes = {"MessageRetentionPeriod": "1209600", "VisibilityTimeout": "30", "RedrivePolicy": redrive}
    stubber.add_response("create_queue", {"QueueUrl": URL}, {"QueueName": "asya-n-worker", "Attributes": attributes})
    transport = SqsTransport(SETTINGS, "n")
    await transport.declare(Queue("worker"))
    assert await transport.address("worker") == URL
    stubber.assert_no_pending_responses()


async def test_a_queue_of_an_actor_with_another_sidecar_is_as_that_sidecar_expects(stubber: AioStubber) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:asya-n-dlq"
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_response("get_queue_url", {"QueueUrl": DEAD_LETTERS})
    stubber.add_response("get_queue_attributes", {"Attributes": {"QueueArn": arn}})
    attributes = {
        "MessageRetentionPeriod": "1209600",
        "VisibilityTimeout": "30",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "3"}),
        "ReceiveMessageWaitTimeSeconds": "20",
    }
    stubber.add_response("create_queue", {"QueueUrl": URL}, {"QueueName": "asya-n-worker", "Attributes": attributes})
    await SqsTransport(SETTINGS, "n").declare(Queue("worker", foreign=True))
    stubber.assert_no_pending_responses()


async def test_a_queue_that_was_deleted_less_than_a_minute_ago_can_be_declared_later(stubber: AioStubber) -> None:
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_response("get_queue_url", {"QueueUrl": DEAD_LETTERS})
    stubber.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn"}})
    stubber.add_client_error("create_queue", "QueueDeletedRecently", "wait 60 seconds", 400)
    with pytest.raises(TransportUnavailable, match="wait 60 seconds"):
        await SqsTransport(SETTINGS, "n").declare(Queue("worker"))


async def test_a_renewal_asks_for_no_more_than_is_left_of_twelve_hours(
    receipts: Receipts, stubber: AioStubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ChangeMessageVisibility: "The maximum allowed timeout value is 12 hours", from the time of the reception."""
    began = time.monotonic()
    lease = Lease(URL, "receipt", 30)
    now = began + LONGEST_VISIBILITY - 15
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lease.until = now + 5
    entry = {"Id": "0", "ReceiptHandle": "receipt"}
    stubber.add_response(
        "change_message_visibility_batch",
        {"Successful": [{"Id": "0"}], "Failed": []},
        {"QueueUrl": URL, "Entries": [{**entry, "VisibilityTimeout": lease.longest()}]},
    )
    assert 5 <= lease.longest() <= 10
    await receipts.renew(lease)
    now = began + LONGEST_VISIBILITY - 5
    with pytest.raises(LeaseLost):
        await receipts.renew(lease)
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    "code", ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight", "InvalidParameterValue"]
)
async def test_a_receipt_that_sqs_refuses_is_a_lost_lease(receipts: Receipts, stubber: AioStubber, code: str) -> None:
    """The last is the answer for a message that was deleted: "Value ... for parameter ReceiptHandle is invalid. Reason:
    Message does not exist or is not available for visibility timeout change"."""
    lease = Lease(URL, "receipt", 30)
    answer = {"Successful": [], "Failed": [said(0, code, fault=True)]}
    stubber.add_response("change_message_visibility_batch", answer)
    with pytest.raises(LeaseLost):
        await receipts.show(lease, 0)
    with pytest.raises(LeaseLost):  # and nothing is sent any more
        await receipts.delete(lease)


async def test_an_answer_that_could_not_be_sent_may_be_repeated_while_the_lease_is_ours(
    receipts: Receipts, stubber: AioStubber
) -> None:
    lease = Lease(URL, "receipt", 30)
    stubber.add_client_error("delete_message_batch", "ServiceUnavailable", "later", 503)
    with pytest.raises(TransportUnavailable):
        await receipts.delete(lease)
    stubber.add_response("delete_message_batch", {"Successful": [{"Id": "0"}], "Failed": []})
    await receipts.delete(lease)
    assert lease.expired()


async def test_dead_letters_that_vanished_make_a_declaration_unavailable_and_are_created_by_the_next(
    stubber: AioStubber,
) -> None:
    """CreateQueue, "After you create a queue, you must wait at least one second after the queue is created to be able
    to use the queue": the same answer as for one that was deleted."""
    transport = SqsTransport(SETTINGS, "n")
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_response("get_queue_url", {"QueueUrl": DEAD_LETTERS}, {"QueueName": "asya-n-dlq"})
    stubber.add_client_error("get_queue_attributes", "QueueDoesNotExist", "gone", 400)
    with pytest.raises(TransportUnavailable, match="asya-n-dlq"):
        await transport.declare(Queue("worker"))
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "gone", 400)
    stubber.add_response("create_queue", {"QueueUrl": DEAD_LETTERS})
    stubber.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn"}})
    stubber.add_response("create_queue", {"QueueUrl": URL})
    await transport.declare(Queue("worker"))
    stubber.assert_no_pending_responses()


async def test_a_queue_that_another_program_has_just_created_is_unavailable_until_it_is_found(
    stubber: AioStubber,
) -> None:
    transport = SqsTransport(SETTINGS, "n")
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    stubber.add_response("get_queue_url", {"QueueUrl": DEAD_LETTERS})
    stubber.add_response("get_queue_attributes", {"Attributes": {"QueueArn": "arn"}})
    stubber.add_client_error("create_queue", "QueueNameExists", "other attributes", 400)
    stubber.add_client_error("get_queue_url", "QueueDoesNotExist", "none", 400)
    with pytest.raises(TransportUnavailable, match="asya-n-worker"):
        await transport.declare(Queue("worker"))


def test_an_error_does_not_quote_the_sessions_token() -> None:
    said = (
        "The request signature we calculated does not match the signature you provided.\n\nThe Canonical String for "
        "this request should have been\n'POST\n/\n\nx-amz-security-token:secret\n'"
    )
    error = meaning("SignatureDoesNotMatch", said)
    assert isinstance(error, Forbidden)
    assert str(error) == (
        "SQS: The request signature we calculated does not match the signature you provided. (SignatureDoesNotMatch)"
    )
