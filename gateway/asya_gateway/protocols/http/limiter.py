"""How many messages one caller may send."""

from aiohttp import web

from asya_gateway.domain.identity.principals import ANONYMOUS, Caller, Principal
from asya_gateway.domain.shared_rates import SharedRates
from asya_gateway.protocols.http.callers import CALLER
from asya_gateway.protocols.http.policies import Policies
from asya_gateway.protocols.http.sources import network_of, source_of


class Limiter:
    """Counts messages of callers. Without rates there is no limit."""

    def __init__(self, rates: SharedRates | None = None) -> None:
        self._rates = rates

    def count(self, request: web.Request) -> None:
        """Count one message of the request's caller. Raises TooManyRequests."""
        if self._rates is not None:
            self._rates.take(name_of(request, request.get(CALLER)))

    def at_the_door(self, request: web.Request, policies: Policies) -> None:
        """Count a request whose route says that it is one message. Raises TooManyRequests."""
        if self._rates is not None:
            policy = policies.get(request.match_info.route)
            if policy is not None and policy.counted:
                self.count(request)


def name_of(request: web.Request, caller: Caller | None) -> str:
    """By what a caller is counted: its id, or the address of one without a credential."""
    if isinstance(caller, Principal) and caller is not ANONYMOUS:
        return caller.owner
    return f"address:{network_of(source_of(request))}"
