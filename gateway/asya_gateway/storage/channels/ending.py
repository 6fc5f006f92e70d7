"""Disables what was registered with credentials that are revoked."""

import asyncio
import logging

from asya_gateway.domain.destinations import Destinations
from asya_gateway.domain.errors import Unavailable

log = logging.getLogger(__name__)


class Ending:
    """Every replica does it. To what it misses while the database is away nothing is sent, and deliveries give it
    up as what fails."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._ending: set[asyncio.Task[None]] = set()

    def revoke(self, subjects: frozenset[str]) -> None:
        """Disable the destinations of these subjects. Returns at once."""
        task = asyncio.create_task(self._disable_of(subjects), name="revoked destinations")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """Complete what has begun."""
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _disable_of(self, subjects: frozenset[str]) -> None:
        try:
            await self._destinations.disable_of(subjects)
        except Unavailable as error:
            log.info("revoked destinations: %s; nothing is sent to them", error.message)
