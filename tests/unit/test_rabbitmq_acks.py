"""How acknowledgements of one channel become frames."""

import asyncio

import pytest
from typing_extensions import override

from asya_transports.rabbitmq.acks import Acks


class Channel:
    def __init__(self) -> None:
        self.frames: list[tuple[int, bool]] = []
        self.error: Exception | None = None

    async def basic_ack(self, delivery_tag: int, multiple: bool = False, wait: bool = True) -> None:
        if self.error is not None:
            raise self.error
        self.frames.append((delivery_tag, multiple))


async def acknowledged(acks: Acks, *tags: int) -> None:
    await asyncio.gather(*map(acks.add, tags))


async def test_the_oldest_take_one_frame_and_each_of_the_rest_one() -> None:
    channel = Channel()
    acks = Acks(channel)
    for tag in range(1, 10):
        acks.arrived(tag)
    await acknowledged(acks, 3, 1, 2, 5, 8)
    assert channel.frames == [(3, True), (5, False), (8, False)]
    acks.rejected(6)
    await acknowledged(acks, 7, 4)
    assert channel.frames[3:] == [(7, True)]  # 6 is not with the broker any more, and 5 is done
    await acks.add(9)
    assert channel.frames[4:] == [(9, False)]


async def test_what_is_unanswered_is_never_acknowledged_with_others() -> None:
    channel = Channel()
    acks = Acks(channel)
    for tag in range(1, 5):
        acks.arrived(tag)
    await acknowledged(acks, 2, 3, 4)
    assert channel.frames == [(2, False), (3, False), (4, False)]
    odd = Acks(channel)
    for tag in (2, 1, 3):  # one that came in another order than the broker counts may be unknown yet
        odd.arrived(tag)
    await acknowledged(odd, 1, 2, 3)
    assert channel.frames[3:] == [(1, False), (2, False), (3, False)]


async def test_an_error_of_the_channel_reaches_everyone_who_waits() -> None:
    channel = Channel()
    acks = Acks(channel)
    channel.error = RuntimeError("closed")
    for tag in (1, 2):
        acks.arrived(tag)
    answers = await asyncio.gather(acks.add(1), acks.add(2), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["closed", "closed"]
    channel.error = None
    acks.arrived(3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await acks.add(3)
    async with asyncio.timeout(5):
        while not channel.frames:
            await asyncio.sleep(0)
    assert channel.frames == [(3, False)]  # also if nobody waits any more


async def test_who_waits_for_a_write_hears_that_the_channel_is_closed() -> None:
    """The driver's queue of frames is full, and nobody takes frames from it any more."""

    class Full(Channel):
        @override
        async def basic_ack(self, delivery_tag: int, multiple: bool = False, wait: bool = True) -> None:
            waits.set()
            await asyncio.Event().wait()

    waits = asyncio.Event()
    acks = Acks(Full())
    acks.arrived(1)
    waiting = asyncio.ensure_future(acks.add(1))
    await waits.wait()
    acks.lost(None)
    await asyncio.wait([waiting], timeout=5)
    with pytest.raises(RuntimeError, match="the channel is closing"):
        waiting.result()
