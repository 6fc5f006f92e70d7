"""Token buckets, with a clock that a test moves."""

from asya_gateway.domain.rates import Rates


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
    rates = Rates(1, 1, most_keys=2, monotonic=Clock())
    for key in ("a", "b", "a", "c"):
        rates.wait(key)
    assert rates.wait("a") > 0
    assert rates.wait("b") == 0
