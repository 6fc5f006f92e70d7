"""Places of handlers, and ends that are stored behind them."""

import asyncio

import pytest

from asya_actor.pacing import BUSY_FOR, WINDOW, PrefetchPacing
from asya_actor.slots import Slots
from tests.support.waiting import until


async def at_once(slots: Slots) -> bool:
    """Whether a place is free now."""
    taking = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if taking.done():
        taking.result().close()
        return True
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    return False


async def test_a_place_is_free_when_its_handler_has_ended_and_not_before() -> None:
    slots = Slots(1)
    slot = await slots.take()
    assert slots.full
    assert not await at_once(slots)
    slot.free(10)
    assert await at_once(slots)
    assert slots.ends == 1
    slot.close()
    assert slots.ends == 0
    first = await slots.take()
    assert not await at_once(slots), "the place was given back twice"
    first.close()
    assert await at_once(slots)


async def test_a_message_without_a_handler_call_frees_its_place_with_its_answer() -> None:
    slots = Slots(1)
    (await slots.take()).close()
    assert await at_once(slots)


@pytest.mark.parametrize(("ends", "ends_bytes"), [(2, 1000), (100, 20)])
async def test_ends_that_are_not_stored_are_bounded_in_number_and_bytes(ends: int, ends_bytes: int) -> None:
    slots = Slots(1, ends=ends, ends_bytes=ends_bytes)
    ending = []
    for _ in range(2):
        slot = await slots.take()
        slot.free(10)
        ending.append(slot)
    slot = await slots.take()
    slot.free(10)
    assert not await at_once(slots), "its place is free only when an end is stored"
    ending[0].close()
    assert await at_once(slots)
    assert slots.ends == 2
    for rest in (slot, ending[1]):
        rest.close()
    assert slots.ends == 0


async def test_an_end_over_the_limit_keeps_its_place_until_it_is_stored() -> None:
    slots = Slots(1, ends_bytes=5)
    slot = await slots.take()
    slot.free(6)
    assert not await at_once(slots)
    slot.close()
    assert await at_once(slots)


async def test_one_message_more_is_held_for_each_place_that_is_free_before_its_end_is_stored() -> None:
    slots = Slots(1)
    pace = PrefetchPacing(slots)
    assert pace.prefetch.most == 1
    slot = await slots.take()
    pace.begun(10)
    slot.free(10)
    assert pace.prefetch.most == 2
    pace.stop()


async def test_fast_handlers_hold_more_and_busy_ones_return_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("asya_actor.pacing.monotonic", lambda: now[0])
    monkeypatch.setattr("asya_actor.pacing.BUSY_FOR", 0.01)
    slots = Slots(1)
    pace = PrefetchPacing(slots)
    for _ in range(101):
        now[0] += WINDOW / 100
        slot = await slots.take()
        pace.begun(10)
        slot.close()
    assert pace.prefetch.most == pytest.approx(1 + 100 / WINDOW / 10, abs=2)
    last = await slots.take()
    pace.begun(10)
    now[0] += BUSY_FOR
    await until(lambda: pace.prefetch.most == 1, 5, "what a busy consumer holds to be returned")
    last.close()
    pace.stop()


async def test_few_large_messages_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("asya_actor.pacing.monotonic", lambda: now[0])
    slots = Slots(4)
    pace = PrefetchPacing(slots)
    for _ in range(1001):
        now[0] += WINDOW / 1000
        pace.begun(1024 * 1024)
    assert pace.prefetch.most == 4 + 4
