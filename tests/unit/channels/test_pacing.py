"""When a failed delivery is repeated, and when its destination is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asya_gateway.channels.pacing import GIVEN_UP_AFTER, LONGEST_ASKED, LONGEST_PAUSE, given_up, pause
from asya_gateway.domain.destinations import DELIVERED, DeliveryOutcome


def test_a_pause_doubles_up_to_the_longest_one() -> None:
    assert [pause(attempt, chance=1.0) for attempt in (1, 2, 3, 10, 11, 5000)] == [1, 2, 4, 512, 600, LONGEST_PAUSE]


@given(st.integers(1, 10_000), st.floats(0, 1e9), st.floats(0, 1))
def test_a_pause_is_at_least_half_of_its_length_and_what_the_receiver_asks(
    attempts: int, asked: float, chance: float
) -> None:
    found = pause(attempts, asked, chance)
    assert pause(attempts, chance=1.0) / 2 <= found <= max(LONGEST_PAUSE, LONGEST_ASKED)
    assert found >= min(asked, LONGEST_ASKED)


@pytest.mark.parametrize(
    ("outcome", "failing", "expected"),
    [
        (DELIVERED, GIVEN_UP_AFTER, None),
        (DeliveryOutcome("it answered 500"), GIVEN_UP_AFTER - 1, None),
        (
            DeliveryOutcome("it answered 500"),
            GIVEN_UP_AFTER,
            "every delivery has failed for 24 hours, the last one: it answered 500",
        ),
        (DeliveryOutcome("it answered 410", permanent=True), 0, "it answered 410"),
    ],
    ids=["delivered", "fails", "fails for a day", "permanent"],
)
def test_a_destination_is_given_up(outcome: DeliveryOutcome, failing: float, expected: str | None) -> None:
    assert given_up(outcome, failing) == expected
