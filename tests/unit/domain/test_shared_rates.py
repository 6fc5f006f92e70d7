"""Limits that pods share."""

import pytest

from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.shared_rates import SharedRates


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(limit: SharedRates, name: str) -> int:
    """How many fit now."""
    count = 0
    while True:
        try:
            limit.take(name)
        except TooManyRequests:
            return count
        count += 1


def test_a_pod_allows_the_whole_burst_then_its_share_and_at_least_one_a_second() -> None:
    clock, pods = Clock(), 4
    limit = SharedRates("calls", 8, lambda: pods, Rates(8, 8, monotonic=clock))
    assert taken(limit, "a") == 8
    clock.now += 1
    assert taken(limit, "a") == 2
    pods = 100
    clock.now += 3
    assert taken(limit, "a") == 3


def test_a_refusal_counts_nothing_and_says_when_the_next_one_fits() -> None:
    clock = Clock()
    limit = SharedRates("calls", 1, lambda: 1, Rates(1, 1, monotonic=clock))
    limit.take("a")
    for _ in range(5):
        with pytest.raises(TooManyRequests, match="at most 1 calls a second") as caught:
            limit.take("a")
        assert caught.value.retry_after == 1
    clock.now += 1
    limit.take("a")
