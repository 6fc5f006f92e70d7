"""Each route answers with and without a last slash: clients, and people who copy addresses, add one."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler


async def without_last_slash(request: web.Request, handler: Handler) -> Handler:
    """What answers the request: of a path that is no route, what answers the same path without its last slash."""
    refusal = request._match_info.http_exception if request._match_info is not None else None
    path = request.rel_url.raw_path
    if refusal is None or refusal.status != HTTPStatus.NOT_FOUND or len(path) == 1 or not path.endswith("/"):
        return handler
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
