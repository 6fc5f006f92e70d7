"""When a receiver of RabbitMQ opens its channel again."""

import pytest

from asya_transports.rabbitmq import reopening
from asya_transports.rabbitmq.reopening import FIRST_PAUSE, LONGEST_PAUSE, SHORT_LIVED, Reopening


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reopening, "time", clock)
    return clock


def test_the_first_channel_and_the_one_after_a_long_lived_one_are_opened_at_once(clock: Clock) -> None:
    opening = Reopening()
    assert opening.pause() == 0
    opening.opened()
    clock.now += SHORT_LIVED
    assert opening.pause() == 0
    assert opening.pause() == 0  # that one could not be opened


def test_channels_that_are_lost_soon_are_opened_later_and_later(clock: Clock) -> None:
    opening = Reopening()
    longest = FIRST_PAUSE
    for _ in range(8):
        opening.opened()
        clock.now += SHORT_LIVED / 2
        pause = opening.pause()
        assert longest / 2 <= pause <= longest
        assert opening.pause() == 0  # once for each
        longest = min(LONGEST_PAUSE, longest * 2)
    assert longest == LONGEST_PAUSE
    opening.opened()
    clock.now += SHORT_LIVED
    assert opening.pause() == 0
    opening.opened()
    clock.now += 1
    assert opening.pause() <= FIRST_PAUSE
