"""What /openapi.json says of the plain task API."""

from asya_gateway.protocols.http.openapi import (
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    NULLABLE_ID,
    PATH_ID,
    STREAM,
    Json,
    Paths,
    answer,
    errors,
    header,
    json_body,
    query,
    ref,
)

_HANDLE: Json = {
    "description": "An MCP CallToolResult; its text is the JSON {task_id, message, status_url, stream_url}.",
    "type": "object",
    "required": ["content", "isError"],
    "properties": {
        "content": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "text"],
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
            },
        },
        "isError": {"type": "boolean"},
    },
}
_CALL: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "description": "A flow with an `mcp` block."},
        "arguments": {"type": ["object", "null"], "description": "Checked against the flow's inputSchema."},
    },
}
_ANSWER: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["answer"],
    "properties": {
        "answer": {"description": "Checked against the pause's schema."},
        "pause_id": {
            **NULLABLE_ID,
            "description": "Rejects the answer if another pause is open.",
        },
    },
}
_REASON: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reason": {"type": ["string", "null"]}},
}
_RETRY: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"payload": {"description": "Replaces the task's payload; checked against the flow's schema."}},
}
_PAGE: Json = {
    "type": "object",
    "required": ["tasks", "next_cursor"],
    "properties": {
        "tasks": {"type": "array", "items": ref("TaskSummary")},
        "next_cursor": {"type": ["string", "null"]},
    },
}
_APPLIED: Json = {"headers": {"Preference-Applied": {"schema": {"type": "string"}, "required": False}}}

PATHS: Paths = {
    "/tools/call": {
        "post": {
            "operationId": "callTool",
            "summary": "Call a flow: returns a handle at once, or the finished task with `Prefer: wait=N`.",
            "parameters": [header("Prefer", "`wait=N` waits up to N seconds, at most 60 (RFC 7240)."), IDEMPOTENCY_KEY],
            "requestBody": json_body(_CALL),
            "responses": {
                "200": answer(
                    "The handle; with `Prefer: wait=N` the finished task.",
                    {"anyOf": [_HANDLE, ref("Task")]},
                    **_APPLIED,
                ),
                "202": answer("The handle: the task has not ended in time.", _HANDLE, **_APPLIED),
                **errors(404, 413, 422, 429),
            },
        }
    },
    "/tasks": {
        "get": {
            "operationId": "listTasks",
            "summary": "Tasks, newest first.",
            "parameters": [
                query("status", ref("Status"), "Tasks of this status."),
                query("flow", ref("Id"), "Tasks of this flow."),
                query("context_id", ref("Id"), "Tasks of this conversation."),
                query("parent_id", ref("Id"), "Children of this task."),
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    "Largest number of tasks in a page.",
                ),
                query(
                    "cursor", {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, "`next_cursor` of the previous page."
                ),
            ],
            "responses": {"200": answer("A page.", _PAGE), **errors()},
        }
    },
    "/tasks/{id}": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "getTask",
            "summary": "A task with its payload and result.",
            "responses": {"200": answer("The task.", ref("Task")), **errors(404)},
        },
    },
    "/tasks/{id}/cancel": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "cancelTask",
            "summary": "End a task that has not ended, and its children.",
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(_REASON, required=False),
            "responses": {"200": answer("The canceled task.", ref("Task")), **errors(404, 409, 413, 422)},
        },
    },
    "/tasks/{id}/resume": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "resumeTask",
            "summary": "Answer the question of a paused task; the first answer wins.",
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(_ANSWER),
            "responses": {"200": answer("The task, running again.", ref("Task")), **errors(404, 409, 413, 422)},
        },
    },
    "/tasks/{id}/retry": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "retryTask",
            "summary": "Run a task that has ended again, as a new one.",
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(_RETRY, required=False),
            "responses": {
                "201": answer(
                    "The new task; its `retry_of` is the old one.",
                    ref("Task"),
                    headers={"Location": {"schema": {"type": "string"}, "required": True}},
                ),
                **errors(404, 409, 413, 422, 429),
            },
        },
    },
    "/stream/{id}": {
        "parameters": [PATH_ID],
        "get": {
            "operationId": "streamTask",
            "summary": "A task's updates and live events.",
            "parameters": [LAST_EVENT_ID],
            "responses": {**STREAM, **errors(404)},
        },
    },
}
