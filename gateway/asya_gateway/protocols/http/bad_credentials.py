"""Slows down whoever tries many bad credentials. Nobody is locked out: a stranger could lock out everybody behind the
same address, and a good credential is never delayed."""

import asyncio

from aiohttp import web

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.protocols.http.keys import HELD
from asya_gateway.protocols.http.sources import network_of, source_of

FREE = 10
"""Bad credentials of one source that are answered at once."""
REFILL = FREE / 60.0
"""How many of them come back each second."""
LONGEST_DELAY = 2.0
MOST_DELAYED = 200
"""Requests that are delayed at a time. They count as held requests, and must leave room for those of good callers."""


class BadCredentials:
    """Delays the answers to bad credentials. `most_bytes` of sources are remembered."""

    def __init__(
        self, rates: Rates | None = None, longest: float = LONGEST_DELAY, *, most_bytes: int = CACHE_BYTES
    ) -> None:
        self._rates = rates or Rates(REFILL, FREE, most_bytes=most_bytes)
        self._longest = longest
        self._delayed = 0

    async def delay(self, request: web.Request) -> None:
        """Wait before a request with a bad credential is answered, if its source has sent many. The wait counts as a
        held request; if there are too many of those, the answer comes at once."""
        wait = self._rates.wait(network_of(source_of(request)))
        if not wait or self._delayed >= MOST_DELAYED:
            return
        self._delayed += 1
        try:
            with request.app[HELD].slot(request):
                await asyncio.sleep(min(wait, self._longest))
        except GatewayError:
            return
        finally:
            self._delayed -= 1
