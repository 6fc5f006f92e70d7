"""Routes of the HTTP+JSON binding: under /a2a for the agent, under /a2a/{flow} for one skill (its tenant); those of 0.3
below `/v1` of the same."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from aiohttp import web

from asya_gateway.domain.errors import GatewayError
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a.dialects.known import V0_3_PROTO, V1_0, Dialect, Operation, check_path_version
from asya_gateway.protocols.a2a.errors import INTERNAL, A2aError
from asya_gateway.protocols.a2a.extensions import extension_headers
from asya_gateway.protocols.a2a.http_json.refusing import refusal, refused_at_the_door
from asya_gateway.protocols.a2a.http_json.requests import Body, read_params
from asya_gateway.protocols.a2a.media_types import answered_type
from asya_gateway.protocols.a2a.operations import COUNTED, NEEDS
from asya_gateway.protocols.a2a.performing import perform
from asya_gateway.protocols.a2a.request import OF_SKILL, PATH, A2aRequest, spoken_headers, version_of
from asya_gateway.protocols.http.answers import fixed_json
from asya_gateway.protocols.http.keys import ADMISSION
from asya_gateway.protocols.http.policies import Audience, Group, RoutePolicy, add_route

log = logging.getLogger(__name__)

COLON = "{colon::|%3[Aa]}"
"""The colon before a custom verb, which some clients encode."""
TASK = "/tasks/{task}"
CONFIGS = f"{TASK}/pushNotificationConfigs"


@dataclass(frozen=True, slots=True)
class OperationRoute:
    """A route. `query` are its parameters, `ids` the params that its segments are, by the segments' names."""

    method: str
    path: str
    operation: Operation
    body: Body = Body.NONE
    query: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """The path as it is registered."""
        return self.path.replace(":", COLON)


OF_TASK = {"task": "id"}
OF_CONFIGS = {"task": "taskId"}
OF_CONFIG = {"task": "taskId", "config": "id"}
FILTERS = ("contextId", "status", "pageSize", "pageToken", "historyLength", "statusTimestampAfter", "includeArtifacts")

ROUTES = (
    OperationRoute("POST", "/message:send", Operation.SEND, Body.REQUIRED),
    OperationRoute("POST", "/message:stream", Operation.STREAM, Body.REQUIRED),
    OperationRoute("GET", "/tasks", Operation.LIST, query=FILTERS),
    OperationRoute("POST", f"{TASK}:cancel", Operation.CANCEL, Body.OPTIONAL, ids=OF_TASK),
    # GET in the proto, POST in section 11.3.2.
    OperationRoute("GET", f"{TASK}:subscribe", Operation.SUBSCRIBE, ids=OF_TASK),
    OperationRoute("POST", f"{TASK}:subscribe", Operation.SUBSCRIBE, Body.OPTIONAL, ids=OF_TASK),
    OperationRoute("GET", TASK, Operation.GET, query=("historyLength",), ids=OF_TASK),
    OperationRoute("POST", CONFIGS, Operation.SET_PUSH, Body.REQUIRED, ids=OF_CONFIGS),
    OperationRoute("GET", CONFIGS, Operation.LIST_PUSH, query=("pageSize", "pageToken"), ids=OF_CONFIGS),
    OperationRoute("GET", f"{CONFIGS}/{{config}}", Operation.GET_PUSH, ids=OF_CONFIG),
    OperationRoute("DELETE", f"{CONFIGS}/{{config}}", Operation.DELETE_PUSH, ids=OF_CONFIG),
    OperationRoute("GET", "/extendedAgentCard", Operation.EXTENDED_CARD),
)

ROUTES_0_3 = tuple(
    replace(route, path="/card") if route.operation is Operation.EXTENDED_CARD else route for route in ROUTES
)
"""The same in 0.3, except for the card."""


def register(app: web.Application) -> None:
    """Add the routes. Those without a tenant come first: no flow is looked for that is called `v1` or `tasks`."""
    for prefix in (PATH, OF_SKILL):
        for path, routes, dialect in ((f"{prefix}/v1", ROUTES_0_3, V0_3_PROTO), (prefix, ROUTES, V1_0)):
            for route in routes:
                policy = policy_of(route, dialect)
                add_route(app, route.method, f"{path}{route.pattern}", _handler(route, dialect), policy)


def policy_of(route: OperationRoute, dialect: Dialect) -> RoutePolicy:
    """What the route asks is what its operation asks."""
    return RoutePolicy(
        Audience.CALLERS,
        group=Group.A2A,
        need=NEEDS[route.operation],
        counted=route.operation in COUNTED,
        resource=PATH,
        refuse=partial(refused_at_the_door, spoken=spoken_headers(dialect)),
    )


def _handler(route: OperationRoute, dialect: Dialect) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(http: web.Request) -> web.StreamResponse:
        try:
            check_path_version(version_of(http), dialect)
            request = A2aRequest.of(http, dialect)
            form = _Form.of(http, request)
            params = await read_params(http, route.body, route.query, route.ids)
            return await perform(request, route.operation, params, form)
        except A2aError as error:
            return refusal(http, error, spoken_headers(dialect))
        except GatewayError as error:
            http.app[ADMISSION].refused(error)
            return refusal(http, A2aError.of(error), spoken_headers(dialect))
        except ConnectionError:
            raise
        except Exception:
            log.exception("a2a request failed")
            return refusal(http, A2aError(INTERNAL, "Internal error"), spoken_headers(dialect))

    return handle


@dataclass(frozen=True, slots=True)
class _Form:
    """Results as they are. Implements Form."""

    headers: dict[str, str]
    content_type: str

    @classmethod
    def of(cls, http: web.Request, request: A2aRequest) -> "_Form":
        """Raises A2aError if an extension is missing that the request must name."""
        headers = spoken_headers(request.dialect) | extension_headers(http, request.settings, request.dialect)
        return cls(headers, answered_type(http))

    def answer(self, result: JsonText) -> web.Response:
        return fixed_json(result, {**self.headers, "Content-Type": self.content_type})

    def item(self, event: JsonText) -> JsonText:
        return event
