"""GET /openapi.json: an OpenAPI 3.1 description, assembled from each protocol folder's description of its routes."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from aiohttp import web

from asya_crds import jsontext
from asya_crds.call_messages import CallResultJson, ErrorJson
from asya_crds.envelope import Envelope
from asya_crds.flows_json import FlowPageJson, FlowsJson
from asya_crds.mesh_messages import RouteMessage
from asya_crds.message import named_schemas, schema_of
from asya_crds.message_fields import ID_SCHEMA
from asya_crds.status import HopState
from asya_crds.task_json import STATUS_SCHEMA, MessageListJson, TaskJson, TaskPageJson, UpdateJson
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.answers import json_response
from asya_gateway.protocols.http.policies import Audience, RoutePolicy, add_get

Json = dict[str, Any]
Paths = Mapping[str, Json]
"""OpenAPI path items by path."""


REFERENCE = "#/components/schemas/"


def ref(name: str) -> Json:
    """A reference to a schema of the description."""
    return {"$ref": REFERENCE + name}


def json_body(schema: Json, *, required: bool = True) -> Json:
    """A request body in JSON."""
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def answer(description: str, schema: Json | None = None, *, media: str = "application/json", **more: Any) -> Json:
    """A response; without a schema its body is empty."""
    content = {} if schema is None else {"content": {media: {"schema": schema}}}
    return {"description": description, **content, **more}


def errors(*statuses: int) -> Json:
    """Responses for these error statuses and those of every route for callers, in both forms."""
    described = {}
    for status in sorted({*statuses, 400, 401, 403, 421, 503}):
        described[str(status)] = {
            "description": _ERRORS[status],
            "content": {"text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": ref("Error")}},
        }
    return described


def text_answer(description: str) -> Json:
    """A response in plain text."""
    return answer(description, {"type": "string"}, media="text/plain")


def query(name: str, schema: Json, description: str) -> Json:
    """An optional query parameter."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def header(name: str, description: str, schema: Json | None = None) -> Json:
    """An optional request header."""
    schema = schema or {"type": "string"}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": description}


PATH_ID: Json = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "A task's id: opaque, 1 to 255 printable characters.",
    "schema": ref("Id"),
}
LAST_EVENT_ID = header(
    "Last-Event-ID", "The seq of the last update that the reader has; a value that is not a number counts as absent."
)
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "1 to 255 visible characters: a repeated request with the same key has no further effect.",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
)
STREAM = {
    "200": answer(
        "`update` events (stored ones first; `id:` is their seq), live events, and comments that keep the "
        "connection alive. Ends after the terminal update. The schema is that of one event.",
        {
            "type": "object",
            "required": ["event", "data"],
            "properties": {
                "event": {"type": "string"},
                "id": {"type": "string"},
                "data": {"type": "string", "description": "JSON; of an `update` event an Update."},
            },
        },
        media="text/event-stream",
    ),
    "204": answer("The reader already has the terminal update."),
}

_ERRORS = {
    400: "The request is invalid or violates a schema; the field is named.",
    401: "The gateway is closed, and the request has no good credential; WWW-Authenticate says which is expected.",
    403: "The caller lacks scopes (`data.required_scopes`), or pages of this origin may not call.",
    404: "Not found; for a flow, `data.available_agents` names some that the caller sees.",
    409: "The task is not in a state that allows this.",
    413: "The body is too large.",
    422: "The Idempotency-Key was used for another request.",
    429: "The cap on open tasks is reached; nothing was stored.",
    421: "The Host header is not a host of this gateway.",
    503: "Too many requests wait, or the database is unavailable; `outcome` says whether a write may have been done.",
}

NULLABLE_ID: Json = {"anyOf": [ref("Id"), {"type": "null"}]}
NULLABLE_TEXT: Json = {"type": ["string", "null"]}

_SENT = (ErrorJson, TaskJson, TaskPageJson, MessageListJson, UpdateJson, CallResultJson, FlowsJson, FlowPageJson)
SCHEMAS: dict[str, Json] = {
    "Id": ID_SCHEMA,
    "Status": STATUS_SCHEMA,
    "ActorState": {"enum": [state.value for state in HopState]},
    "RouteFields": schema_of(RouteMessage),
    "Envelope": schema_of(Envelope),
    **named_schemas(
        (ErrorJson, TaskJson, TaskPageJson, MessageListJson, UpdateJson, CallResultJson, FlowsJson, FlowPageJson),
        REFERENCE,
    ),
}


def description(paths: Paths) -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Asya gateway",
            "version": version("asya"),
            "description": "Flows of asynchronous actors as tasks: call, read, stream, cancel, answer.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(paths),
        "components": {"schemas": SCHEMAS},
    }


def merged(*parts: Paths) -> Paths:
    """Path items of several folders. If two describe one path, their operations are combined."""
    found: dict[str, Json] = {}
    for part in parts:
        for path, item in part.items():
            found[path] = {**found.get(path, {}), **item}
    return found


HEALTH_PATHS: Paths = {
    "/": {
        "get": {
            "operationId": "front_page",
            "summary": "Three lines of text for browsers: what this service is, and where it is documented.",
            "responses": {"200": text_answer("The lines."), **errors()},
        }
    },
    "/health": {
        "get": {
            "operationId": "health",
            "summary": "Whether the process is alive; independent of the database.",
            "responses": {"200": text_answer("It lives.")},
        }
    },
    "/health/ready": {
        "get": {
            "operationId": "ready",
            "summary": "Whether the process accepts requests.",
            "responses": {"200": text_answer("It does."), "503": text_answer("It is starting or draining.")},
        }
    },
    "/health/flows": {
        "get": {
            "operationId": "flows",
            "summary": "Which flows this process serves, which it leaves out, and why.",
            "responses": {"200": answer("The flows.", ref("Flows")), **errors()},
        }
    },
    "/openapi.json": {
        "get": {
            "operationId": "openapi",
            "summary": "This description.",
            "responses": {"200": answer("An OpenAPI 3.1 document.", {"type": "object"}), **errors()},
        }
    },
}


def register(app: web.Application, paths: Paths) -> None:
    """Serve the description of the paths that this process routes. Call it after all routes are added."""
    document: list[JsonText] = []

    async def openapi(_request: web.Request) -> web.Response:
        if not document:
            document.append(jsontext.dumps(description(routed(app, merged(HEALTH_PATHS, paths)))))
        return json_response(document[0])

    add_get(app, "/openapi.json", openapi, RoutePolicy(Audience.CALLERS, resource="/mcp"))


def routed(app: web.Application, paths: Paths) -> Paths:
    """The items of paths that the application has a route for."""
    known = {re.sub(r"\{(\w+):[^}]*\}", r"{\1}", resource.canonical) for resource in app.router.resources()}
    return {path: item for path, item in paths.items() if path in known}
