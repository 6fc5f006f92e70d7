"""What is sealed for callers: who can open it, how long, and with which of the keys."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.domain.errors import Unavailable
from asya_gateway.identity.seal_ring import REFRESH, RETRY, SealRing

ABOUT = b"about"
OLD, NEW = "o" * 32, "n" * 32


class Shared:
    """Keys of the database; `away` while it cannot be asked."""

    def __init__(self, *keys: bytes) -> None:
        self.keys: list[bytes] = list(keys)
        self.reads = 0
        self.away = False

    async def read(self) -> Sequence[bytes]:
        if self.away:
            raise Unavailable("the database is not available")
        self.reads += 1
        return list(self.keys)


class Times:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ring(*secrets: str, shared: Shared | None = None, clock: Times | None = None) -> SealRing:
    clock = clock or Times()
    return SealRing(secrets, shared or Shared(), clock, now=clock)


async def test_only_the_same_keys_about_the_same_thing_open_it() -> None:
    sealed = await ring(OLD).seal("text \ud800", ABOUT, 60)
    assert await ring(OLD).unseal(sealed, ABOUT) == "text \ud800"
    assert await ring(OLD).unseal(sealed, b"other") is None
    assert await ring(NEW).unseal(sealed, ABOUT) is None


async def test_the_first_key_seals_and_all_open() -> None:
    before, both, after = ring(OLD), ring(NEW, OLD), ring(NEW)
    assert await both.unseal(await before.seal("a", ABOUT, 60), ABOUT) == "a"
    assert await after.unseal(await both.seal("b", ABOUT, 60), ABOUT) == "b"
    assert await before.unseal(await both.seal("b", ABOUT, 60), ABOUT) is None


async def test_its_time_ends() -> None:
    clock = Times()
    made = ring(OLD, clock=clock)
    sealed = await made.seal("a", ABOUT, 60)
    clock.now += 59.9
    assert await made.unseal(sealed, ABOUT) == "a"
    clock.now += 0.1
    assert await made.unseal(sealed, ABOUT) is None


async def test_two_seals_of_one_text_differ() -> None:
    made = ring(OLD)
    assert await made.seal("a", ABOUT, 60) != await made.seal("a", ABOUT, 60)


async def test_every_changed_character_is_noticed() -> None:
    made = ring(OLD)
    sealed = await made.seal("a", ABOUT, 60)
    for place in range(len(sealed)):
        other = "A" if sealed[place] != "A" else "B"
        assert await made.unseal(sealed[:place] + other + sealed[place + 1 :], ABOUT) is None


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.hex())))
async def test_nothing_else_opens(text: str) -> None:
    assert await ring(OLD).unseal(text, ABOUT) is None


async def test_a_key_of_another_replica_is_read_when_it_is_first_met() -> None:
    clock, shared = Times(), Shared(b"1" * 32)
    one, other = ring(shared=shared, clock=clock), ring(shared=shared, clock=clock)
    await one.seal("a", ABOUT, 600)
    shared.keys.insert(0, b"2" * 32)
    sealed = await other.seal("b", ABOUT, 600)
    assert await one.unseal(sealed, ABOUT) is None
    clock.now += RETRY
    assert await one.unseal(sealed, ABOUT) == "b"


async def test_made_up_key_ids_do_not_read_the_keys_each_time() -> None:
    shared = Shared(b"1" * 32)
    made = ring(shared=shared)
    foreign = await ring(OLD).seal("a", ABOUT, 60)
    for _ in range(100):
        assert await made.unseal(foreign, ABOUT) is None
    assert shared.reads == 1


async def test_a_removed_key_opens_nothing_after_a_while() -> None:
    clock, shared = Times(), Shared(b"1" * 32)
    made = ring(shared=shared, clock=clock)
    sealed = await made.seal("a", ABOUT, 600)
    shared.keys = [b"2" * 32]
    clock.now += REFRESH
    assert await made.unseal(sealed, ABOUT) is None


async def test_known_keys_work_while_the_database_is_away() -> None:
    clock, shared = Times(), Shared(b"1" * 32)
    made = ring(shared=shared, clock=clock)
    sealed = await made.seal("a", ABOUT, 600)
    shared.away = True
    clock.now += REFRESH
    assert await made.unseal(sealed, ABOUT) == "a"
    fresh = ring(shared=shared)
    with pytest.raises(Unavailable):
        await fresh.unseal(sealed, ABOUT)
    with pytest.raises(Unavailable):
        await fresh.seal("a", ABOUT, 60)
