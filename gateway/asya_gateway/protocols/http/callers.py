"""Who calls. Until identity is built everybody is the anonymous caller of an open gateway."""

from aiohttp import web

from asya_gateway.domain.task import Caller

ANONYMOUS = Caller("")


def caller_of(request: web.BaseRequest) -> Caller:
    """The caller of a request on the API routes.

    Every handler asks here and nowhere else, so that identity has one place to come in. Mesh routes do not ask:
    actors see every task.
    """
    return ANONYMOUS
