"""Finds most routes by one lookup, without aiohttp's search and its layers around each handler, which are a tenth of
the cost of an accepted call. Everything else takes aiohttp's own way, which finds the same routes."""

from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from asya_gateway.protocols.http.paths import ID_NAME

RequestHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Found = tuple[UrlMappingMatchInfo, Handler]


def exactly_routed(app: web.Application, door: Middleware, otherwise: RequestHandler) -> RequestHandler:
    """A handler of all requests of the application: `door`, its only middleware, with the handler of the route that
    ExactRoutes finds; `otherwise` where it finds none, and for a client that waits for 100 Continue (RFC 9110, section
    10.1.1)."""
    routes = ExactRoutes(app)

    def handle(request: web.Request) -> Awaitable[web.StreamResponse]:
        found = routes.find(request.method, request.raw_path)
        if found is None or hdrs.EXPECT in request.headers:
            return otherwise(request)
        request._match_info, handler = found
        return door(request, handler)

    return handle


class ExactRoutes:
    """The routes without variables, and those of the form /word/{id}/word."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._plain: dict[tuple[str, str], Found] = {}
        self._of_ids: dict[tuple[str, str, str], web.AbstractRoute] = {}
        for route in app.router.routes():
            self._add(route)

    def find(self, method: str, target: str) -> Found | None:
        """What aiohttp finds for a request's target, if it is the path of such a route as it was registered, with an id
        of letters, digits and hyphens. None for any other (a query, an escape, another host)."""
        found = self._plain.get((method, target))
        return self._with_id(method, target) if found is None else found

    def _with_id(self, method: str, target: str) -> Found | None:
        parts = target.split("/", 4)
        if len(parts) != 4 or parts[0]:
            return None
        _, before, task_id, behind = parts
        route = self._of_ids.get((method, before, behind))
        if route is None or not task_id.isascii() or not task_id.replace("-", "").isalnum():
            return None
        return _matched(self._app, route, {ID_NAME: task_id}), route.handler

    def _add(self, route: web.AbstractRoute) -> None:
        """Of two routes with the same path, aiohttp takes the one that was registered first."""
        match route.resource:
            case web.PlainResource(canonical=path):
                # It is the same for all requests of a route without variables.
                self._plain.setdefault((route.method, path), (_matched(self._app, route, {}), route.handler))
            case web.DynamicResource(canonical=path) if path.count("/") == 3:
                _, before, variable, behind = path.split("/")
                if variable == f"{{{ID_NAME}}}" and "{" not in before + behind:
                    self._of_ids.setdefault((route.method, before, behind), route)


def _matched(app: web.Application, route: web.AbstractRoute, variables: dict[str, str]) -> UrlMappingMatchInfo:
    made = UrlMappingMatchInfo(variables, route)
    made.add_app(app)
    made.freeze()
    return made
