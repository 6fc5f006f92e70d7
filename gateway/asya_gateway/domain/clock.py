"""The clock of deadlines: the database's time, which each process knows by a measured offset."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""The time now, UTC."""


def own_time() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)
