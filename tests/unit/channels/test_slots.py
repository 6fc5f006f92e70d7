"""How much is leased and sent at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from asya_gateway.channels import slots as module
from asya_gateway.channels.slots import AT_ONCE, LEASED, LEASED_PER_HOST, LEASED_PER_OWNER, DeliverySlots
from asya_gateway.domain.destinations import DeliveryCapacity, Destination, Lagging
from tests.support.waiting import rounds


def at(host: str = "h", owner: str = "o", task: str = "t") -> Destination:
    return Destination(task, "a2a", "x", owner, f"https://{host}/", host, {})


def leased(slots: DeliverySlots, number: int, host: str = "h", owner: str = "o") -> None:
    slots.take([Lagging(at(host, owner), "l", 0, "") for _ in range(number)], slots.busy, LEASED)


def test_a_host_has_more_leased_once_it_answers_well() -> None:
    slots = DeliverySlots()
    leased(slots, 1)
    assert slots.busy.hosts == {"h": AT_ONCE - 1}
    slots.answered("h", well=True)
    assert (slots.busy.hosts, slots.busy.owners) == ({"h": LEASED_PER_HOST - 1}, {"o": LEASED_PER_OWNER - 1})
    slots.answered("h", well=False)
    assert slots.busy.hosts == {"h": 0}
    slots.give_back(at())
    # The next one waits until it has failed or succeeded, also when nothing is under way.
    assert slots.busy.hosts == {"h": 1}
    slots.answered("h", well=True)
    assert slots.busy.hosts == {}


def test_what_was_left_behind_is_leased_when_half_of_the_places_are_free() -> None:
    slots = DeliverySlots()
    leased(slots, AT_ONCE)
    assert [slots.give_back(at()) for _ in range(AT_ONCE)] == [False] * 3 + [True] + [False] * 4
    leased(slots, AT_ONCE - 1)
    assert not any(slots.give_back(at()) for _ in range(AT_ONCE - 1))


def test_what_was_left_behind_is_known_although_places_became_free_meanwhile() -> None:
    slots = DeliverySlots()
    leased(slots, AT_ONCE - 1)
    busy = slots.busy
    slots.give_back(at())
    slots.take([Lagging(at(), "l", 0, "")], busy, LEASED)
    assert any(slots.give_back(at()) for _ in range(AT_ONCE - 1))


def test_what_did_not_fit_at_all_is_leased_when_half_of_all_is_free() -> None:
    slots = DeliverySlots()
    slots.take(
        [Lagging(at(f"h{number}", f"o{number}"), "l", 0, "") for number in range(LEASED)], DeliveryCapacity(), LEASED
    )
    assert slots.free == 0
    found = [slots.give_back(at(f"h{number}", f"o{number}")) for number in range(LEASED)]
    assert found.index(True) == LEASED // 2 - 1
    assert sum(found) == 1
    slots.left_behind()
    leased(slots, 1)
    assert slots.give_back(at())


def test_hosts_that_fail_are_forgotten_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    slots = DeliverySlots()
    for host in ("a", "b", "a", "c"):
        slots.answered(host, well=False)
    assert slots.busy.hosts == {"a": 1, "c": 1}


async def test_turns_come_in_order_and_a_failing_host_has_one() -> None:
    slots, began, leaves = DeliverySlots(), [], [asyncio.Event() for _ in range(12)]

    async def work(number: int) -> None:
        async with slots.turn("h") as granted:
            assert granted
            began.append(number)
            await leaves[number].wait()

    tasks = [asyncio.create_task(work(number)) for number in range(12)]
    await rounds()
    assert began == list(range(AT_ONCE))
    slots.answered("h", well=False)
    for leave in leaves[: AT_ONCE - 1]:
        leave.set()
    await rounds()
    assert began == list(range(AT_ONCE))
    leaves[AT_ONCE - 1].set()
    await rounds()
    assert began == list(range(AT_ONCE + 1))
    slots.answered("h", well=True)
    await rounds()
    assert began == list(range(12))
    for leave in leaves:
        leave.set()
    await asyncio.gather(*tasks)
    assert (slots._active, slots._lines) == ({}, {})


async def test_a_turn_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_TURN", 0.01)
    slots = DeliverySlots()
    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE):
            assert await stack.enter_async_context(slots.turn("h"))
        async with slots.turn("h") as granted:
            assert not granted
        async with slots.turn("other") as granted:
            assert granted
    async with slots.turn("h") as granted:
        assert granted
    assert (slots._active, slots._lines) == ({}, {})
