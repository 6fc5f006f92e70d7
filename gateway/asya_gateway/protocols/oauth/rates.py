"""Requests of one source to the authorization server are limited: everybody may send them."""

import math
from collections.abc import Callable

from aiohttp import web

from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.weighed import CACHE_BYTES
from asya_gateway.protocols.http.sources import network_of

SourceOf = Callable[[web.Request], str]
"""The address that a request comes from."""


class SourceRates:
    """A limit for each endpoint and source. An IPv6 source is its network: a subscriber has at least a /64. At most
    `most_bytes` of sources are remembered."""

    def __init__(self, per_minute: float, source_of: SourceOf, *, most_bytes: int = CACHE_BYTES) -> None:
        self._rates = Rates(per_minute / 60.0, per_minute, most_bytes=most_bytes)
        self._source_of = source_of

    def check(self, request: web.Request, endpoint: str) -> str:
        """The source of an admitted request. Raises TooManyRequests."""
        source = self._source_of(request)
        wait = self._rates.wait((endpoint, network_of(source)))
        if wait:
            raise TooManyRequests("too many requests of this source", math.ceil(wait))
        return source
