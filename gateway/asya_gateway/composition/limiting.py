"""The limits of callers, which pods share without asking each other."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from asya_gateway.domain.rates import Rates
from asya_gateway.domain.shared_rates import SharedRates
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.protocols.http.limiter import Limiter
from asya_gateway.settings import Settings
from asya_gateway.storage.database import Database
from asya_gateway.storage.registry.pods import serving_callers
from asya_gateway.storage.retrying import for_ever

COUNT_EVERY = 10.0
"""Seconds between two counts of the pods."""


class Limiting:
    """The rates of this pod, and how many pods share them. `counted`: bytes of the names of each."""

    def __init__(self, settings: Settings, database: Database, *, counted: int = CACHE_BYTES) -> None:
        self._database = database
        self._counted = counted
        self._pods = 1
        self._principals = self._rates("messages of one caller", settings.rate_per_principal)
        self.flows = self._rates("calls of one flow", settings.rate_per_flow)

    def limiter(self) -> Limiter:
        """The counter of callers' messages."""
        return Limiter(self._principals)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Counts the pods, if there is anything to share. The database is open around it."""
        if self._principals is None and self.flows is None:
            yield
            return
        counting = asyncio.create_task(for_ever(self._count, COUNT_EVERY, "pods"), name="pods")
        try:
            yield
        finally:
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)

    def _rates(self, what: str, rate: int) -> SharedRates | None:
        if not rate:
            return None
        return SharedRates(what, rate, lambda: self._pods, Rates(rate, rate, most_bytes=self._counted))

    async def _count(self) -> None:
        self._pods = max(1, await serving_callers(self._database))
