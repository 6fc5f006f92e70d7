"""Errors of the HTTP+JSON binding: a google.rpc.Status in the form of AIP-193 (section 11.6)."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_gateway.domain.errors import GatewayError
from asya_gateway.protocols.a2a.envelopes import violations_of, with_reason
from asya_gateway.protocols.a2a.errors import A2aError
from asya_gateway.protocols.a2a.media_types import answered_type
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.keys import ADMISSION
from asya_gateway.protocols.http.policies import Group


def refusal(http: web.Request, error: A2aError, spoken: Mapping[str, str]) -> web.Response:
    """The response for an error. `spoken` are the headers that tell the version."""
    challenge = {} if error.cause is None else http.app[ADMISSION].challenges.headers(error.cause, Group.A2A)
    return _response(http, error, {**spoken, **challenge})


def refused_at_the_door(
    http: web.Request, error: GatewayError, headers: Mapping[str, str], spoken: Mapping[str, str]
) -> web.Response:
    """The response for an error found before the handler runs, with its challenge in `headers`."""
    return _response(http, A2aError.of(error), {**spoken, **headers})


def _response(http: web.Request, error: A2aError, headers: dict[str, str]) -> web.Response:
    headers["Content-Type"] = answered_type(http)
    if error.cause is not None and error.cause.retry_after is not None:
        headers["Retry-After"] = str(error.cause.retry_after)
    return json_response(jsontext.dumps({"error": status_of(error)}), status=error.kind.status, headers=headers)


def status_of(error: A2aError) -> dict[str, Any]:
    """{code, status, message, details}: the HTTP status, its gRPC name, and google.rpc messages, first the reason."""
    kind = error.kind
    return {
        "code": int(kind.status),
        "status": kind.grpc,
        "message": error.message,
        "details": [with_reason(error), *violations_of(error)],
    }
