"""The caller of a request, as its admission found it."""

from collections.abc import Callable, Iterable

from aiohttp import web
from aiohttp.web import AppKey

from asya_gateway.domain.identity.faults import Unauthenticated
from asya_gateway.domain.identity.principals import Caller, Principal

CALLER: web.RequestKey[Caller] = web.RequestKey("CALLER", object)  # type: ignore[arg-type] # a union is no class
REVOKED: AppKey[Callable[[Iterable[str]], bool]] = AppKey("REVOKED")
"""Whether one of a principal's `revocables` has been revoked."""


def caller_of(request: web.Request) -> Caller:
    """The caller of a request on a route for callers. Every handler of such a route asks here, once it has read the
    body. There is no caller on other routes: asking there is a mistake, and raises KeyError.

    Raises Unauthenticated if the caller's credential was revoked since the request was admitted: a body may take a
    minute to arrive.
    """
    caller = request[CALLER]
    if isinstance(caller, Principal) and caller.revocables and request.app[REVOKED](caller.revocables):
        raise Unauthenticated("the credential was revoked")
    return caller
