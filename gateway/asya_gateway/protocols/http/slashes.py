"""Each route answers with and without a last slash: clients, and people who copy addresses, add one."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler


def has_needless_slash(request: web.Request) -> bool:
    """Whether the path is no route, and ends with a slash that may be too many."""
    refusal = request._match_info.http_exception if request._match_info is not None else None
    if refusal is None or refusal.status != HTTPStatus.NOT_FOUND:
        return False
    path = request.rel_url.raw_path
    return len(path) > 1 and path.endswith("/")


async def without_last_slash(request: web.Request, handler: Handler) -> Handler:
    """What answers the same path without its last slash; `handler` where that is no route either."""
    path = request.rel_url.raw_path
    url = request.rel_url.with_path(path[:-1], encoded=True, keep_query=True)
    found = await request.app.router.resolve(request.clone(rel_url=url))
    if found.http_exception is not None and found.http_exception.status == HTTPStatus.NOT_FOUND:
        return handler
    found.add_app(request.app)
    found.freeze()
    request._match_info = found
    # aiohttp has looked at `match_info` before any middleware of ours, and the request remembers what it saw.
    request._cache.pop("match_info", None)
    return found.handler
