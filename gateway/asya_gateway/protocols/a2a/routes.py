"""POST /a2a/, /a2a, /a2a/v1 and /a2a/{flow}: JSON-RPC of every dialect; the HTTP+JSON binding, and the cards."""

import logging
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from asya_gateway.domain.errors import GatewayError, InvalidInput
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.a2a import card_routes
from asya_gateway.protocols.a2a.dialects.known import V0_3, V1_0, Dialect, named_by, spoken
from asya_gateway.protocols.a2a.envelopes import (
    Id,
    InvalidRpcRequest,
    RpcRequest,
    before_result,
    error_text,
    read_envelope,
)
from asya_gateway.protocols.a2a.errors import INTERNAL, PARSE_ERROR, A2aError
from asya_gateway.protocols.a2a.extensions import extension_headers
from asya_gateway.protocols.a2a.http_json import routes as http_json
from asya_gateway.protocols.a2a.media_types import check_media_type
from asya_gateway.protocols.a2a.operations import COUNTED, NEEDS
from asya_gateway.protocols.a2a.performing import perform
from asya_gateway.protocols.a2a.request import OF_SKILL, PATH, A2aRequest, spoken_headers, version_of
from asya_gateway.protocols.http.answers import fixed_json, json_response
from asya_gateway.protocols.http.bodies import read_json
from asya_gateway.protocols.http.keys import ADMISSION, LIMITER, SETTINGS
from asya_gateway.protocols.http.policies import Audience, Group, RoutePolicy, add_route, check_need

log = logging.getLogger(__name__)

POLICY = RoutePolicy(Audience.CALLERS, group=Group.A2A, resource=PATH)
"""What a message needs beyond an identity, its operation says (operations.py)."""


def register(app: web.Application) -> None:
    """Add the endpoint, the HTTP+JSON binding and the cards. The endpoint is looked for first, because most requests
    are for it; that of a flow last, because a flow has no name of the other routes."""
    for path in (PATH, f"{PATH}/v1"):
        _add(app, path)
    http_json.register(app)
    _add(app, OF_SKILL)
    card_routes.register(app)


def _add(app: web.Application, path: str) -> None:
    add_route(app, "POST", path, handle, POLICY)
    add_route(app, "POST", f"{path}/", handle, POLICY)


async def handle(http: web.Request) -> web.StreamResponse:
    """One request. Errors are answers with status 200, except those that the transport tells."""
    dialect, id = _by_version(http), None
    try:
        envelope = await _read(http)
        id = envelope.id
        if version_of(http) is None:
            dialect = named_by(envelope.method) or dialect
        dialect, operation = spoken(envelope.method, version_of(http))
        request = A2aRequest.of(http, dialect)
        check_need(request.caller, NEEDS[operation], f"method '{envelope.method}'")
        if operation in COUNTED:
            http.app[LIMITER].count(http)
        headers = spoken_headers(dialect) | extension_headers(http, request.settings, dialect)
        return await perform(request, operation, envelope.params, _Form.of(id, headers))
    except InvalidRpcRequest as error:
        return refusal(http, error, error.id, dialect)
    except A2aError as error:
        return refusal(http, error, id, dialect)
    except GatewayError as error:
        http.app[ADMISSION].refused(error)
        return refusal(http, A2aError.of(error), id, dialect)
    except ConnectionError:
        raise
    except Exception:
        log.exception("a2a request failed")
        return refusal(http, A2aError(INTERNAL, "Internal error"), id, dialect)


@dataclass(frozen=True, slots=True)
class _Form:
    """Results as responses of JSON-RPC. Implements Form."""

    before: JsonText
    headers: dict[str, str]

    @classmethod
    def of(cls, id: Id, headers: dict[str, str]) -> "_Form":
        """For the request with this id."""
        return cls(before_result(id), headers)

    def answer(self, result: JsonText) -> web.Response:
        return fixed_json(self.item(result), self.headers)

    def item(self, event: JsonText) -> JsonText:
        return f"{self.before}{event}}}"


async def _read(http: web.Request) -> RpcRequest:
    check_media_type(http)
    try:
        value: Any = await read_json(http, http.app[SETTINGS].max_call_bytes)
    except InvalidInput as error:
        raise A2aError(PARSE_ERROR, f"Parse error: {error.message}") from None
    return read_envelope(value)


def _by_version(http: web.BaseRequest) -> Dialect:
    """The dialect of an error for a request that cannot be read. Without a version it is 0.3 (section 3.6.2)."""
    return V0_3 if (version_of(http) or "0").startswith("0") else V1_0


def refusal(http: web.Request, error: A2aError, id: Id, dialect: Dialect) -> web.Response:
    """An error as an answer. Its HTTP status is 200, except where the transport itself refuses: no credential, no
    right, too many requests, or a gateway that cannot work now."""
    status, headers = 200, spoken_headers(dialect)
    if error.cause is not None:
        headers |= http.app[ADMISSION].challenges.headers(error.cause, Group.A2A)
        if error.cause.retry_after is not None:
            headers["Retry-After"] = str(error.cause.retry_after)
        if error.kind.status in (401, 403, 408, 413, 421, 429, 503):
            status = error.kind.status
    return json_response(error_text(id, error, newest=dialect.newest), status=status, headers=headers)
