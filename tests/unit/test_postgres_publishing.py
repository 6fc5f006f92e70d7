"""How the publishes of several callers become batches."""

import asyncio
from collections.abc import Sequence

import pytest

from asya_transports.port import MessageRefused, OutboundMessage, TransportError
from asya_transports.postgres.publishing import SMALL, Publishes


async def test_while_one_batch_is_committed_the_next_is_collected_and_each_caller_gets_its_own_answers() -> None:
    committed, batches = asyncio.Event(), list[list[bytes]]()
    refused = MessageRefused("no")

    async def publish(messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        batches.append([message.body for message in messages])
        await committed.wait()
        return [refused if message.body == b"bad" else None for message in messages]

    publishes = Publishes(publish)
    first = asyncio.create_task(publishes.add([OutboundMessage("a", b"1")]))
    while not batches:
        await asyncio.sleep(0)
    second = asyncio.create_task(publishes.add([OutboundMessage("a", b"2"), OutboundMessage("a", b"bad")]))
    third = asyncio.create_task(publishes.add([OutboundMessage("a", b"3")]))
    large = asyncio.create_task(publishes.add([OutboundMessage("a", bytes(SMALL + 1))]))
    while len(batches) < 2:
        await asyncio.sleep(0)
    committed.set()
    assert list(await asyncio.gather(first, second, third, large)) == [[None], [None, refused], [None], [None]]
    assert batches == [[b"1"], [bytes(SMALL + 1)], [b"2", b"bad", b"3"]]


async def test_an_error_of_a_batch_reaches_every_caller_and_not_the_next() -> None:
    async def publish(messages: Sequence[OutboundMessage]) -> list[TransportError | None]:
        if messages[0].body == b"1":
            raise RuntimeError("broken")
        return [None] * len(messages)

    publishes = Publishes(publish)
    with pytest.raises(RuntimeError, match="broken"):
        await publishes.add([OutboundMessage("a", b"1")])
    assert await publishes.add([OutboundMessage("a", b"2")]) == [None]
