"""Lets each route answer with and without a trailing slash, because clients and users often add one."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler


def has_needless_slash(request: web.Request) -> bool:
    """Whether the path is not a route and ends with a slash that may be superfluous."""
    refusal = request._match_info.http_exception if request._match_info is not None else None
    if refusal is None or refusal.status != HTTPStatus.NOT_FOUND:
        return False
    path = request.rel_url.raw_path
    return len(path) > 1 and path.endswith("/")


async def without_last_slash(request: web.Request, handler: Handler) -> Handler:
    """The handler of the same path without its trailing slash; `handler` if that is not a route either."""
    path = request.rel_url.raw_path
    url = request.rel_url.with_path(path[:-1], encoded=True, keep_query=True)
    found = await request.app.router.resolve(request.clone(rel_url=url))
    if found.http_exception is not None and found.http_exception.status == HTTPStatus.NOT_FOUND:
        return handler
    found.add_app(request.app)
    found.freeze()
    request._match_info = found
    # aiohttp has read `match_info` before our middleware, and the request caches it.
    request._cache.pop("match_info", None)
    return found.handler
