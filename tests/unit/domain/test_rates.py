"""Token buckets, with a clock that a test moves."""

import sys
import tracemalloc

from asya_gateway.domain.rates import BUCKET, Rates
from asya_gateway.domain.weighed import weight_of


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_admitted_and_then_the_rate() -> None:
    clock = Clock()
    rates = Rates(0.5, 3, monotonic=clock)
    assert [rates.wait("a") for _ in range(3)] == [0, 0, 0]
    assert rates.wait("a") == 2.0
    clock.now = 1.5
    assert rates.wait("a") == 0.5
    clock.now = 2.0
    assert rates.wait("a") == 0
    assert rates.wait("a") == 2.0


def test_keys_do_not_share_a_bucket() -> None:
    rates = Rates(1, 1, monotonic=Clock())
    assert rates.wait("a") == rates.wait("b") == 0
    assert rates.wait("a") > 0


def test_a_full_bucket_does_not_overflow() -> None:
    clock = Clock()
    rates = Rates(1, 2, monotonic=clock)
    clock.now = 1000.0
    assert [rates.wait("a") > 0 for _ in range(3)] == [False, False, True]


def test_no_rate_is_no_limit() -> None:
    rates = Rates(0, 0)
    assert not any(rates.wait("a") for _ in range(100))


def test_the_bucket_that_was_used_least_recently_is_forgotten_first() -> None:
    rates = Rates(1, 1, most_bytes=2 * (BUCKET + weight_of("a")), monotonic=Clock())
    for key in ("a", "b", "a", "c"):
        rates.wait(key)
    assert rates.wait("a") > 0
    assert rates.wait("b") == 0


def test_long_names_take_the_place_of_more_short_ones() -> None:
    rates = Rates(1, 1, most_bytes=10 * (BUCKET + weight_of("a")), monotonic=Clock())
    for key in "abcdefghij":
        rates.wait(key)
    assert rates.wait("a") > 0
    rates.wait("x" * 3 * BUCKET)
    assert rates.bytes <= rates.most_bytes
    assert [rates.wait(key) > 0 for key in "aj"] == [True, True]
    assert rates.wait("b") == 0


def test_the_name_in_use_is_counted_however_long_it_is() -> None:
    rates = Rates(1, 1, most_bytes=BUCKET, monotonic=Clock())
    name = "x" * 10_000
    assert rates.wait(name) == 0
    assert rates.wait(name) > 0
    assert rates.wait("a") == 0
    assert rates.bytes == BUCKET + sys.getsizeof("a")


def test_any_number_of_callers_costs_no_more_memory_than_was_given() -> None:
    """What is measured has the tables around the buckets, too."""
    most = 2 * 1024 * 1024
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        rates = Rates(1, 10, most_bytes=most)
        for number in range(30_000):
            rates.wait(("token", f"2001:db8:0:{number:x}::/64"))
        assert tracemalloc.get_traced_memory()[0] - before < most
    finally:
        tracemalloc.stop()
    assert most - 1_000 < rates.bytes <= most
