"""Answers with receipts, many in one request: deleting, hiding and showing messages."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from asya_transports.port import LeaseLost, MessageRefused, TransportError, Unroutable
from asya_transports.sqs.batches import RequestBatches
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.errors import answers_of
from asya_transports.sqs.leases import Lease

LATE = "the lease has expired, SQS delivers the message again"


class Visibility(NamedTuple):
    """Hide the message with this receipt for so many seconds."""

    receipt: str
    seconds: int


class Receipts:
    """Belongs to the event loop of its client. Methods raise LeaseLost, TransportUnavailable."""

    def __init__(self, client: SqsClient) -> None:
        self._client = client
        self._deletes: RequestBatches[str] = RequestBatches(self._delete, 0)
        self._changes: RequestBatches[Visibility] = RequestBatches(self._change, 0)

    async def delete(self, lease: Lease) -> None:
        """The message is processed."""
        with _answering(lease):
            _done(lease, await self._deletes.add(lease.url, lease.receipt))

    async def show(self, lease: Lease, seconds: int) -> None:
        """Give it back: it is delivered again after so many seconds."""
        with _answering(lease):
            # SQS may take a renewal later than what is sent after it, and would hide the message again.
            await lease.renewals_end()
            _done(lease, await self._changes.add(lease.url, Visibility(lease.receipt, seconds)))

    async def renew(self, lease: Lease) -> None:
        """Hold it for another visibility timeout, or for what is left of the twelve hours. Does nothing for a message
        whose answer is under way."""
        if lease.expired():
            raise LeaseLost(LATE)
        await lease.renewals_end()
        if not lease.begin_renewal():
            return
        try:
            seconds, since = min(lease.visibility, lease.longest()), time.monotonic()
            if seconds == 0:
                raise LeaseLost("SQS lets nobody hold a message for longer than twelve hours")
            _done(lease, await self._changes.add(lease.url, Visibility(lease.receipt, seconds)))
            if lease.expired():  # another consumer may have had the message before SQS took the renewal
                raise LeaseLost(LATE)
            lease.renewed(since, seconds)
        finally:
            lease.end_renewal()

    async def finish(self) -> None:
        """Wait for what is under way."""
        await self._deletes.finish()
        await self._changes.finish()

    async def _delete(self, url: str, receipts: Sequence[str]) -> list[TransportError | None]:
        entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
        answer = await self._client.call("delete_message_batch", QueueUrl=url, Entries=entries)
        return answers_of(answer, len(receipts))

    async def _change(self, url: str, changes: Sequence[Visibility]) -> list[TransportError | None]:
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for number, (receipt, seconds) in enumerate(changes)
        ]
        answer = await self._client.call("change_message_visibility_batch", QueueUrl=url, Entries=entries)
        return answers_of(answer, len(changes))


@contextmanager
def _answering(lease: Lease) -> Iterator[None]:
    """Sends an answer in the block, after which the message is not ours. Raises LeaseLost where it is not before."""
    if lease.expired():
        raise LeaseLost(LATE)
    taken = False
    lease.begin_answer()
    try:
        yield
        taken = True
    finally:
        lease.end_answer(taken=taken)


def _done(lease: Lease, answer: TransportError | None) -> None:
    """Raise what SQS answered. A refused receipt, or a queue that is gone, means that the message is not ours. SQS says
    InvalidParameterValue when the visibility of a message is changed that is gone."""
    match answer:
        case None:
            return
        case LeaseLost() | Unroutable() | MessageRefused():
            lease.lost = True
            raise LeaseLost(str(answer)) from answer
        case _:
            raise answer
