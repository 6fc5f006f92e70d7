"""What makes two requests the same one."""

import asyncio
import time

import pytest

from asya_crds import jsontext
from asya_gateway.domain.idempotency import digest_of, is_key, own_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": {"c": [1, 2], "d": null}}', '{"b":{"d":null,"c":[1,2]},"a":1}'),
        ('{"t": "\\u00e9\\ud83d\\ude00"}', '{"t": "é😀"}'),
        ('{"n": 1e2}', '{"n": 100.0}'),
        ("[123456789012345678901234567890]", "[ 123456789012345678901234567890 ]"),
        ('"\\ud800"', '"\\uD800"'),
    ],
)
async def test_equal_values_have_one_digest(one: str, other: str) -> None:
    assert await digest_of(jsontext.loads(one)) == await digest_of(jsontext.loads(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [([1, 2], [2, 1]), ({"a": 1}, {"a": "1"}), ({}, []), (None, False), (["a", "b"], ["ab"]), (1, 1.0)],
)
async def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert await digest_of(one) != await digest_of(other)


async def test_a_large_value_lets_the_loop_go_on() -> None:
    latest, longest = time.perf_counter(), 0.0

    async def tick() -> None:
        nonlocal latest, longest
        while True:
            await asyncio.sleep(0)
            longest, latest = max(longest, time.perf_counter() - latest), time.perf_counter()

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    await digest_of(list(range(300_000)))
    took = time.perf_counter() - began
    ticking.cancel()
    assert longest < took / 4


def test_keys_of_our_own_are_none_that_a_caller_may_use() -> None:
    assert is_key("!" + "~" * 254)
    for text in (own_key(), "", "a" * 256, "é", "a\tb"):
        assert not is_key(text)
