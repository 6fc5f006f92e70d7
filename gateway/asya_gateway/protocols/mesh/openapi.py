"""What /openapi.json says of the routes of sidecars, workers and crew."""

from asya_gateway.domain.status import ActorState
from asya_gateway.protocols.http.openapi import (
    LAST_EVENT_ID,
    PATH_ID,
    STREAM,
    Json,
    Paths,
    answer,
    errors,
    json_body,
    query,
    ref,
)

_STATUS_OK: Json = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
_MEASURE: Json = {"type": ["number", "null"], "minimum": 0, "maximum": 1e15}
_CLAIM: Json = {
    "type": "object",
    "description": "A worker's hold on this hop.",
    "required": ["hop", "attempt", "claimant"],
    "properties": {
        "hop": {"anyOf": [ref("Id"), {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}]},
        "attempt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
        "claimant": ref("Id"),
    },
}
_PROGRESS: Json = {
    "allOf": [ref("RouteFields")],
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"enum": [*(state.value for state in ActorState), "paused", "auth_required"]},
        "message": {"type": ["string", "null"]},
        "duration_ms": _MEASURE,
        "message_size_kb": _MEASURE,
        "claim": {"anyOf": [_CLAIM, {"type": "null"}]},
        "frames": {"description": "Only with the status processed: the envelopes that the hop will send on."},
        "pause_id": {"anyOf": [ref("Id"), {"type": "null"}]},
        "pause_metadata": {"description": "Present: the task is paused, whatever the status says. {prompt, fields[]}."},
        "checkpoint": {"description": "The envelope to go on from, with a pause."},
    },
}
_PROGRESS_ANSWER: Json = {
    "type": "object",
    "required": ["status", "progress_percent"],
    "properties": {
        "status": {"const": "ok"},
        "progress_percent": {"type": "number", "minimum": 0, "maximum": 100},
        "action": {"enum": ["go", "busy", "done"], "description": "Only where a claim was sent."},
        "lease_seconds": {"type": "number"},
        "frames": {"type": "array", "items": {"type": "object"}},
    },
}
_FINAL: Json = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "id": {"description": "The id of the path, or absent."},
        "status": {"enum": ["succeeded", "failed"]},
        "result": {},
        "error": {"type": ["string", "object", "null"]},
        "error_details": {"type": ["object", "null"]},
        "current_actor_name": {"anyOf": [ref("Id"), {"type": "null"}]},
        "attempts": {"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1},
        "class": {"enum": ["business", "runtime", "canceled", "deadline", None]},
        "metadata": {"type": ["object", "null"]},
        "message": {"type": ["string", "null"]},
    },
}
_CHILD: Json = {
    "allOf": [ref("RouteFields")],
    "type": "object",
    "required": ["id", "parent_id"],
    "properties": {"id": ref("Id"), "parent_id": ref("Id"), "ends_itself": {"type": "boolean"}},
}
_OLDER_CHILD: Json = {
    "type": "object",
    "required": ["id", "parent_id"],
    "properties": {
        "id": ref("Id"),
        "parent_id": ref("Id"),
        "actors": {"type": ["array", "null"], "items": ref("Id"), "maxItems": 1024},
        "current": {"description": "Index of the current actor."},
    },
}
_CREATED: Json = {
    "type": "object",
    "required": ["status", "id"],
    "properties": {"status": {"const": "created"}, "id": {"type": "string"}},
}
_ACTIVE: Json = {"type": "object", "required": ["active"], "properties": {"active": {"type": "boolean"}}}
_EVENT: Json = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["status", "fly"]},
        "status": {"description": "What a progress or a final report says."},
        "data": {"description": "The rest of that report, or the live event."},
    },
}
_ONE_ACTOR: Json = {
    "type": "object",
    "properties": {
        "payload": {},
        "headers": {"type": ["object", "null"]},
        "timeout": {"description": "10s, 5m, or seconds."},
    },
}
_LIST: Json = {
    "type": "object",
    "required": ["messages", "total"],
    "properties": {
        "messages": {"type": "array", "items": ref("TaskSummary")},
        "total": {"type": "integer", "description": "What exists up to this page's end and one further."},
    },
}
_ID_ANSWER: Json = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
_ACTOR: Json = {
    "name": "actor",
    "in": "query",
    "required": True,
    "description": "The actor's name.",
    "schema": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
}


def _child(operation_id: str, body: Json, summary: str) -> Json:
    return {
        "operationId": operation_id,
        "summary": summary,
        "requestBody": json_body(body),
        "responses": {"201": answer("Stored, or stored before.", _CREATED), **errors(413)},
    }


def _unified(suffix: str) -> Json:
    return {
        "get": {
            "operationId": f"listMessages{suffix}",
            "summary": "Tasks, newest first.",
            "parameters": [
                query("status", ref("Status"), "Tasks of this status."),
                query(
                    "limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Most tasks of a page."
                ),
                query("offset", {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 0}, "Tasks to skip."),
            ],
            "responses": {"200": answer("A page.", _LIST), **errors()},
        },
        "post": {
            "operationId": f"createMessage{suffix}",
            "summary": "A task for one actor, with its envelope.",
            "parameters": [_ACTOR],
            "requestBody": json_body(_ONE_ACTOR),
            "responses": {"201": answer("Accepted.", _ID_ANSWER), **errors(413)},
        },
    }


PATHS: Paths = {
    "/mesh": {"post": _child("announceChild", _CHILD, "Announce a fan-out's child, which the caller sends itself.")},
    "/mesh/{id}": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "getMeshTask",
            "summary": "A task with its payload and result.",
            "responses": {"200": answer("The task.", ref("Task")), **errors(404)},
        },
    },
    "/mesh/{id}/stream": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "streamMeshTask",
            "summary": "A task's updates and live events.",
            "parameters": [LAST_EVENT_ID],
            "responses": {**STREAM, **errors(404)},
        },
    },
    "/mesh/{id}/active": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "isActive",
            "summary": "Whether work on the task makes sense; unknown ids count as active.",
            "responses": {
                "200": answer("It does.", _ACTIVE),
                "410": answer("It is paused, has ended, or is overdue.", _ACTIVE),
                **errors(),
            },
        },
    },
    "/mesh/{id}/progress": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "reportProgress",
            "summary": "A hop's report, also a pause; unknown ids are answered alike.",
            "requestBody": json_body(_PROGRESS),
            "responses": {"200": answer("Taken.", _PROGRESS_ANSWER), **errors(413)},
        },
    },
    "/mesh/{id}/final": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "reportFinal",
            "summary": "How a task ends; the first report wins.",
            "requestBody": json_body(_FINAL),
            "responses": {"200": answer("Taken.", _STATUS_OK), **errors(413)},
        },
    },
    "/mesh/{id}/fly": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "sendLiveEvent",
            "summary": "A live event to whoever reads now: any JSON, bare or as {payload: {...}}.",
            "requestBody": json_body({}),
            "responses": {"200": answer("On its way."), **errors(413)},
        },
    },
    "/tasks": {"post": _child("announceChildInOlderWords", _OLDER_CHILD, "The older dialect of POST /mesh.")},
    "/api/v1/mesh": _unified(""),
    "/api/v1/mesh/": _unified("Slash"),
    "/api/v1/mesh/{id}": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "getMessage",
            "summary": "A task with its payload and result.",
            "responses": {"200": answer("The task.", ref("Task")), **errors(404)},
        },
        "delete": {
            "operationId": "cancelMessage",
            "summary": "Cancel a task.",
            "responses": {"204": answer("Canceled, now or before."), **errors(404, 409)},
        },
    },
    "/api/v1/mesh/{id}/events": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "streamMessage",
            "summary": "`status` and `fly` events of a task.",
            "parameters": [LAST_EVENT_ID],
            "responses": {**STREAM, **errors(404)},
        },
        "post": {
            "operationId": "reportEvent",
            "summary": "A report or a live event; unknown ids are answered alike.",
            "requestBody": json_body(_EVENT),
            "responses": {"204": answer("Taken."), **errors(413)},
        },
    },
}
