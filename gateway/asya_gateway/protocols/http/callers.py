"""The caller of a request. Until identity is implemented, it is always the anonymous caller of an open gateway."""

from aiohttp import web

from asya_gateway.domain.task import Caller

ANONYMOUS = Caller("")


def caller_of(request: web.BaseRequest) -> Caller:
    """The caller of a request on the API routes.

    Every handler gets its caller here, so that identity can be added in one place. Mesh routes do not use it: actors
    see every task.
    """
    return ANONYMOUS
