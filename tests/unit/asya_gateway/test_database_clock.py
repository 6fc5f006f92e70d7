"""The database's time by a measured offset."""

import pytest

from asya_gateway.domain.clock import own_time
from asya_gateway.storage.clock import DRIFT, DatabaseClock, Offset
from asya_gateway.storage.database import Database


class Monotonic:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def clock(monotonic: Monotonic) -> DatabaseClock:
    return DatabaseClock(Database("", min_size=1, max_size=2, statement_timeout=1), monotonic)


def test_it_is_the_machines_own_time_before_anything_was_measured(clock: DatabaseClock) -> None:
    assert abs(clock() - own_time()) < 5


def test_it_advances_from_the_measurement_with_the_monotonic_clock(clock: DatabaseClock, monotonic: Monotonic) -> None:
    clock.take(Offset(500.0, 0.001, 1000.0))
    monotonic.now += 60
    assert clock() == pytest.approx(1560)


def test_a_worse_measurement_that_agrees_is_not_believed(clock: DatabaseClock, monotonic: Monotonic) -> None:
    clock.take(Offset(500.0, 0.001, 1000.0))
    clock.take(Offset(500.4, 0.5, 1010.0))
    assert clock() == pytest.approx(monotonic.now + 500)


def test_a_measurement_ages(clock: DatabaseClock, monotonic: Monotonic) -> None:
    clock.take(Offset(500.0, 0.001, 1000.0))
    later = 1000.0 + 0.01 / DRIFT
    clock.take(Offset(500.005, 0.008, later))
    assert clock() == pytest.approx(monotonic.now + 500.005)


@pytest.mark.parametrize("step", [-90.0, 90.0])
def test_a_database_whose_clock_was_set_is_believed_however_vaguely_it_tells(
    clock: DatabaseClock, monotonic: Monotonic, step: float
) -> None:
    clock.take(Offset(500.0, 0.001, 1000.0))
    clock.take(Offset(500.0 + step, 1.0, 1010.0))
    assert clock() == pytest.approx(monotonic.now + 500 + step)
