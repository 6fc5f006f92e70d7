"""The database's time without a query for each use: the monotonic clock plus a measured offset."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from asya_gateway.domain.clock import own_time
from asya_gateway.storage.database import AnyConnection, Database

MEASURE_EVERY = 10.0
"""Seconds between two measurements."""
DRIFT = 1e-4
"""Assumed drift between two clocks, in seconds per second (100 ppm, twice that of common crystals)."""


async def database_time(connection: AnyConnection) -> float:
    """The database's time now, in POSIX seconds."""
    told: float = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    return told


@dataclass(frozen=True, slots=True)
class Offset:
    """The database's time minus the monotonic clock's in seconds, measured at time `at`. It may be wrong by `error`."""

    seconds: float
    error: float
    at: float

    def error_at(self, moment: float) -> float:
        """The possible error at a later time."""
        return self.error + DRIFT * (moment - self.at)


class DatabaseClock:
    """The database's clock. Changes of this machine's clock do not affect it. Before the first measurement, it is the
    machine's own time."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._offset: Offset | None = None

    def __call__(self) -> float:
        """The database's time now, in POSIX seconds."""
        if self._offset is None:
            return own_time()
        return self._monotonic() + self._offset.seconds

    async def measure(self) -> None:
        """Ask the database once. Raises Unavailable."""
        async with self._database.connection() as connection:
            asked = self._monotonic()
            told = await database_time(connection)
            heard = self._monotonic()
        self.take(Offset(told - (asked + heard) / 2, (heard - asked) / 2, heard))

    def take(self, measured: Offset) -> None:
        """Use a measurement if it is more exact than the current one, or if it contradicts it. In that case the
        database's clock was set, for example because another server has taken over."""
        believed = self._offset
        if believed is not None:
            error = believed.error_at(measured.at)
            agrees = abs(measured.seconds - believed.seconds) <= error + measured.error
            if agrees and measured.error > error:
                return
        self._offset = measured
