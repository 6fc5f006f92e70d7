"""What goes together in one request to SQS: ten entries, and a mebibyte of them in all."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from asya_transports.port import TransportError
from asya_transports.sqs.batches import LARGEST_BATCH, RequestBatches
from asya_transports.sqs.settings import LARGEST_MESSAGE, read_settings
from asya_transports.sqs.transport import SqsTransport


async def batches_of(sizes: Sequence[int]) -> list[list[int]]:
    """The requests in which entries of these sizes are sent, in the order in which they begin."""
    sent: list[list[int]] = []

    async def send(_: str, entries: Sequence[int]) -> list[TransportError | None]:
        sent.append(list(entries))
        return [None] * len(entries)

    batches = RequestBatches(send, LARGEST_MESSAGE)
    assert await asyncio.gather(*(batches.enter("url", size, size) for size in sizes)) == [None] * len(sizes)
    return sent


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1] * 23, [[1] * 10, [1] * 10, [1] * 3]),
        ([LARGEST_MESSAGE] * 3, [[LARGEST_MESSAGE]] * 3),
        ([LARGEST_MESSAGE - 1, 1, 1], [[LARGEST_MESSAGE - 1, 1], [1]]),
        ([300_000] * 7, [[300_000] * 3, [300_000] * 3, [300_000]]),
    ],
)
async def test_a_request_has_ten_entries_and_one_mebibyte_at_most(sizes: list[int], expected: list[list[int]]) -> None:
    """SQS Developer Guide, "Message quotas": the total size of all messages of a batch is that of one message."""
    assert await batches_of(sizes) == expected
    assert all(len(each) <= LARGEST_BATCH for each in expected)


@pytest.mark.parametrize(("seconds", "warned"), [("", False), ("60", False), ("61", True), ("300", True)])
def test_a_long_visibility_timeout_is_honoured_and_warned_of(
    seconds: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    settings = read_settings({"ASYA_SQS_VISIBILITY_TIMEOUT": seconds})
    assert settings.visibility_timeout == int(seconds or 30)
    with caplog.at_level(logging.WARNING):
        SqsTransport(settings, "n")
    assert ("ASYA_SQS_VISIBILITY_TIMEOUT is" in caplog.text) is warned
