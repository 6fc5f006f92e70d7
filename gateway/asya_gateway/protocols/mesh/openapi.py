"""What /openapi.json says of the routes of sidecars, workers and crew."""

from asya_crds.mesh_messages import (
    FINAL_STATUSES,
    ChildMessage,
    FinalMessage,
    ProgressAnswerMessage,
    ProgressMessage,
    schema_of,
)
from asya_crds.status import HopState
from asya_gateway.protocols.http.openapi import (
    LAST_EVENT_ID,
    NAMES,
    NULLABLE_ID,
    NULLABLE_TEXT,
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
from asya_gateway.protocols.mesh.registry_openapi import REGISTRY_PATHS
from asya_gateway.protocols.mesh.unified_events import SILENT_PHASES, UNIFIED_ENDS

_STATUS_OK: Json = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
_REPORT = schema_of(ProgressMessage)
_CLAIM: Json = _REPORT["properties"]["claim"]


def _report(status: Json, **more: Json) -> Json:
    """A progress report with these statuses, and more fields."""
    properties = {**_REPORT["properties"], "status": status, **more}
    return {**_REPORT, "allOf": [ref("RouteFields")], "properties": properties}


_PAUSE_FIELD: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "type": {"enum": ["string", "boolean", "number", "integer", "array", "object"]},
    },
}
_PAUSE_METADATA: Json = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "fields": {"type": ["array", "null"], "items": _PAUSE_FIELD},
        "pause_id": NULLABLE_ID,
        "data": {},
    },
}
_WAITING_STATUS: Json = {"enum": ["paused", "auth_required"]}
_PAUSE: Json = {
    "allOf": [ref("RouteFields")],
    "description": "A pause, with the envelope to continue from.",
    "type": "object",
    "properties": {
        "status": NULLABLE_TEXT,
        "pause_id": NULLABLE_ID,
        "pause_metadata": {"anyOf": [_PAUSE_METADATA, {"type": "null"}]},
        "checkpoint": {"type": ["object", "null"]},
        "claim": _CLAIM,
    },
}
_PROGRESS: Json = {
    "description": "A report of one hop, with {prev, curr, next}. A "
    "report with `pause_metadata` is a pause, whatever its status is. In the older dialect the route is "
    "{actors, current_actor_idx}.",
    "anyOf": [
        _report({"enum": [state.value for state in HopState if state is not HopState.PROCESSED]}),
        {
            **_report({"const": "processed"}, frames={"type": ["array", "null"], "items": {"type": "object"}}),
            "description": "The handler has ended; these are the envelopes that it will send on.",
        },
        {**_PAUSE, "required": ["status"], "properties": {**_PAUSE["properties"], "status": _WAITING_STATUS}},
        {
            **_PAUSE,
            "required": ["pause_metadata"],
            "properties": {**_PAUSE["properties"], "pause_metadata": _PAUSE_METADATA},
        },
    ],
}
_ANSWER = schema_of(ProgressAnswerMessage)
_PROGRESS_ANSWER: Json = {
    **_ANSWER,
    "required": ["status", "progress_percent"],
    "properties": {**_ANSWER["properties"], "frames": {"type": "array", "items": {"type": "object"}}},
}
_END = schema_of(FinalMessage)
_FINAL: Json = {
    **_END,
    "description": "How the task ended. An `id`, where there is one, must be the path's.",
    "required": ["status"],
    "properties": {
        # Which id would be right no schema can say.
        **{name: schema for name, schema in _END["properties"].items() if name != "id"},
        "status": {"enum": [*FINAL_STATUSES]},
        "result": {},
    },
}
_CHILD: Json = {**schema_of(ChildMessage), "allOf": [ref("RouteFields")]}
_OLDER_CHILD: Json = {
    "description": "`current` is the index of the current actor, 0 where it is absent.",
    "type": "object",
    "required": ["id", "parent_id"],
    "properties": {
        "id": ref("Id"),
        "parent_id": ref("Id"),
        "actors": NAMES,
    },
}
_CREATED: Json = {
    "type": "object",
    "required": ["status", "id"],
    "properties": {"status": {"const": "created"}, "id": {"type": "string"}},
}
_ACTIVE: Json = {"type": "object", "required": ["active"], "properties": {"active": {"type": "boolean"}}}
_EVENT: Json = {
    "anyOf": [
        {
            "type": "object",
            "required": ["type", "status"],
            "properties": {
                "type": {"const": "status"},
                "status": {
                    "enum": [
                        *(state.value for state in HopState),
                        "paused",
                        "auth_required",
                        *UNIFIED_ENDS,
                        *SILENT_PHASES,
                    ]
                },
                "data": {"type": ["object", "null"], "description": "The rest of a progress or a final report."},
            },
        },
        {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"const": "fly"}, "data": {"description": "The live event."}},
        },
    ]
}
_ONE_ACTOR: Json = {
    "type": "object",
    "properties": {
        "payload": {},
        "headers": {"type": ["object", "null"]},
        "timeout": {
            "description": "Seconds, or a text such as 10s, 5m.",
            "anyOf": [
                {"type": "null"},
                {"type": "number", "minimum": 0, "maximum": 10 * 365 * 86400},
                {"type": "string", "pattern": "^[0-9]{1,4}(ms|s|m|h)$"},
            ],
        },
    },
}
_LIST: Json = {
    "type": "object",
    "required": ["messages", "total"],
    "properties": {
        "messages": {"type": "array", "items": ref("TaskSummary")},
        "total": {"type": "integer", "description": "Tasks up to the end of this page, and one more if there is one."},
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
        "responses": {"201": answer("Stored, or stored before.", _CREATED), **errors(409, 413)},
    }


def _unified(suffix: str) -> Json:
    return {
        "get": {
            "operationId": f"listMessages{suffix}",
            "summary": "Tasks, newest first.",
            "parameters": [
                query("status", ref("Status"), "Tasks of this status."),
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    "Largest number of tasks in a page.",
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


def _report_progress(suffix: str) -> Json:
    return {
        "operationId": f"reportProgress{suffix}",
        "summary": "A report of a hop, or a pause; unknown ids are ignored with the same response.",
        "requestBody": json_body(_PROGRESS),
        "responses": {"200": answer("Taken.", _PROGRESS_ANSWER), **errors(413)},
    }


def _report_final(suffix: str) -> Json:
    return {
        "operationId": f"reportFinal{suffix}",
        "summary": "Ends a task; the first report wins.",
        "requestBody": json_body(_FINAL),
        "responses": {"200": answer("Taken.", _STATUS_OK), **errors(413)},
    }


def _send_live_event(suffix: str) -> Json:
    return {
        "operationId": f"sendLiveEvent{suffix}",
        "summary": "A live event for open streams: any JSON, bare or as {payload: {...}}.",
        "requestBody": json_body({}),
        "responses": {"200": answer("Accepted."), **errors(413)},
    }


_OLDER = "InOlderWords"

PATHS: Paths = {
    **REGISTRY_PATHS,
    "/mesh": {
        "post": _child("announceChild", _CHILD, "Announce a child of a fan-out, which the caller publishes itself.")
    },
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
            "summary": "Whether the task is still open; unknown ids count as active.",
            "responses": {
                "200": answer("It does.", _ACTIVE),
                "410": answer("The task is paused, ended or overdue.", _ACTIVE),
                **errors(),
            },
        },
    },
    "/mesh/{id}/progress": {"parameters": [PATH_ID], "post": _report_progress("")},
    "/mesh/{id}/final": {"parameters": [PATH_ID], "post": _report_final("")},
    "/mesh/{id}/fly": {"parameters": [PATH_ID], "post": _send_live_event("")},
    "/tasks": {"post": _child("announceChildInOlderWords", _OLDER_CHILD, "The older dialect of POST /mesh.")},
    "/tasks/{id}/progress": {"parameters": [PATH_ID], "post": _report_progress(_OLDER)},
    "/tasks/{id}/final": {"parameters": [PATH_ID], "post": _report_final(_OLDER)},
    "/tasks/{id}/partial": {"parameters": [PATH_ID], "post": _send_live_event(_OLDER)},
    "/tasks/{id}/upstream": {"parameters": [PATH_ID], "post": _send_live_event("Upstream")},
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
            "summary": "A report or a live event; unknown ids are ignored with the same response.",
            "requestBody": json_body(_EVENT),
            "responses": {"204": answer("Taken."), **errors(413)},
        },
    },
}
