"""Any delay is served by twelve queues: never early, at most a third late."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_transports.rabbitmq.delays import RUNGS, Wait


def passed(milliseconds: int) -> list[int]:
    """The rungs of a delay, through the header that carries the rest of it."""
    rungs: list[int] = []
    wait: Wait | None = Wait.of(milliseconds)
    while wait is not None:
        rungs.append(wait.rung)
        after = wait.after
        wait = None if after is None else Wait.read(after.write())
        assert wait == after
    return rungs


@given(st.integers(1, 400 * 86_400_000))
def test_a_delay_is_never_early_and_at_most_a_third_late(milliseconds: int) -> None:
    waited = sum(passed(milliseconds))
    assert 0 <= waited - milliseconds <= max(milliseconds / 3, RUNGS[0])


def test_retries_of_every_kind_make_no_more_than_twelve_queues() -> None:
    assert len(RUNGS) == 12
    assert set(chain.from_iterable(passed(milliseconds) for milliseconds in range(1, 700_000, 997))) <= set(RUNGS)


@pytest.mark.parametrize(
    ("seconds", "rungs"), [(1, [1000]), (5, [4000, 1000]), (30, [32_000]), (300, [256_000, 64_000])]
)
def test_usual_delays_pass_one_queue_or_two(seconds: int, rungs: list[int]) -> None:
    assert passed(seconds * 1000) == rungs


@pytest.mark.parametrize("value", [None, 7, "", "5", "5,x", "0,5", "-1,5", "5,5,5", "9" * 20 + ",1"])
def test_a_foreign_delay_header_delays_nothing(value: object) -> None:
    assert Wait.read(value) is None
