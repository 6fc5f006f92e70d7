"""The task API's part of /openapi.json."""

from asya_crds.call_messages import AnswerJson, CallJson, CancelJson, RetryJson
from asya_crds.message import schema_of
from asya_gateway.protocols.http.openapi import (
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
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

_HANDLE = ref("CallResult")
_APPLIED: Json = {"headers": {"Preference-Applied": {"schema": {"type": "string"}, "required": False}}}

PATHS: Paths = {
    "/tools/call": {
        "post": {
            "operationId": "callTool",
            "summary": "Call a flow: returns a handle at once, or the finished task with `Prefer: wait=N`.",
            "parameters": [header("Prefer", "`wait=N` waits up to N seconds, at most 60 (RFC 7240)."), IDEMPOTENCY_KEY],
            "requestBody": json_body(schema_of(CallJson)),
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
    "/flows": {
        "get": {
            "operationId": "listFlows",
            "summary": "The flows that the caller may see, by name.",
            "parameters": [
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
                    "Largest number of flows in a page.",
                ),
                query(
                    "cursor", {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, "`next_cursor` of the previous page."
                ),
            ],
            "responses": {"200": answer("A page.", ref("FlowPage")), **errors()},
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
                    "owner",
                    ref("Id"),
                    "Tasks of this owner, or everybody's (`*`); needs the scope task:any:read or task:<flow>:read.",
                ),
                query(
                    "limit",
                    {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
                    "Largest number of tasks in a page.",
                ),
                query(
                    "cursor", {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, "`next_cursor` of the previous page."
                ),
            ],
            "responses": {"200": answer("A page.", ref("TaskPage")), **errors()},
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
            "requestBody": json_body(schema_of(CancelJson), required=False),
            "responses": {"200": answer("The canceled task.", ref("Task")), **errors(404, 409, 413, 422)},
        },
    },
    "/tasks/{id}/resume": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "resumeTask",
            "summary": "Answer an input of a paused task, or decline it; the first answer wins.",
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(schema_of(AnswerJson)),
            "responses": {
                "200": answer("The task, running again, or still waiting for other inputs.", ref("Task")),
                **errors(404, 409, 413, 422),
            },
        },
    },
    "/tasks/{id}/retry": {
        "parameters": [PATH_ID],
        "post": {
            "operationId": "retryTask",
            "summary": "Run a task that has ended again, as a new one.",
            "parameters": [IDEMPOTENCY_KEY],
            "requestBody": json_body(schema_of(RetryJson), required=False),
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
