"""The database's time, known without asking for it each time: the monotonic clock, and a measured offset."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from asya_gateway.domain.clock import own_time
from asya_gateway.storage.database import Database

MEASURE_EVERY = 10.0
"""Seconds between two measurements."""
DRIFT = 1e-4
"""Seconds that two clocks may part in a second (100 ppm, twice what common crystals do)."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The database's time minus the monotonic clock's, measured `at`; it may be wrong by `error`. Seconds."""

    seconds: float
    error: float
    at: float

    def error_at(self, moment: float) -> float:
        """By how much it may be wrong later."""
        return self.error + DRIFT * (moment - self.at)


class DatabaseClock:
    """Nothing that anybody does to this machine's clock changes it. The machine's own time before the first
    measurement."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._offset: Offset | None = None

    def __call__(self) -> datetime:
        """The database's time now."""
        if self._offset is None:
            return own_time()
        return datetime.fromtimestamp(self._monotonic() + self._offset.seconds, UTC)

    async def measure(self) -> None:
        """Ask the database once. Raises Unavailable."""
        async with self._database.connection() as connection:
            asked = self._monotonic()
            told: float = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
            heard = self._monotonic()
        self.take(Offset(told - (asked + heard) / 2, (heard - asked) / 2, heard))

    def take(self, measured: Offset) -> None:
        """Believe a measurement that is better than what is believed now, or says that the database's clock was set
        (another server has taken over): then both cannot be right."""
        believed = self._offset
        if believed is not None:
            error = believed.error_at(measured.at)
            agrees = abs(measured.seconds - believed.seconds) <= error + measured.error
            if agrees and measured.error > error:
                return
        self._offset = measured
