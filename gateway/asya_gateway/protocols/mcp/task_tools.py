"""The tools that stand for tasks at clients without MCP tasks, as tools/list shows them."""

from typing import Any

from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.versions import Revision

TASK_GET, TASK_ANSWER, TASK_CANCEL = "task_get", "task_answer", "task_cancel"
LONGEST_WAIT = 60
"""Seconds that task_get may wait for a task's end."""

_TASK_ID = {"type": "string", "minLength": 1, "maxLength": 255, "description": "The id of the task"}

SCHEMAS: dict[str, dict[str, Any]] = {
    TASK_GET: {
        "type": "object",
        "properties": {
            "task_id": _TASK_ID,
            "wait": {
                "type": "integer",
                "minimum": 0,
                "maximum": LONGEST_WAIT,
                "description": "Seconds to wait if the task has not ended; 0 without it",
            },
        },
        "required": ["task_id"],
        "additionalProperties": False,
    },
    TASK_ANSWER: {
        "type": "object",
        "properties": {
            "task_id": _TASK_ID,
            "answer": {"description": "The answer, as the question's schema says; not with another action than accept"},
            "key": {"type": "string", "description": "Which question is answered, if the task asks several"},
            "action": {"enum": ["accept", "decline", "cancel"], "description": "accept without it"},
        },
        "required": ["task_id"],
        "additionalProperties": False,
    },
    TASK_CANCEL: {
        "type": "object",
        "properties": {"task_id": _TASK_ID, "reason": {"type": "string", "maxLength": 1000}},
        "required": ["task_id"],
        "additionalProperties": False,
    },
}
"""The inputSchema of each tool."""

_TEXTS = {
    TASK_GET: (
        "Get a task",
        "Returns the result of a task that a tool call has started, or how the task stands and what it asks.",
        {"readOnlyHint": True, "openWorldHint": False},
    ),
    TASK_ANSWER: (
        "Answer a task's question",
        "Answers, or declines, a question on which a task waits. Ask the person before you answer for them.",
        {"readOnlyHint": False, "openWorldHint": False},
    ),
    TASK_CANCEL: (
        "Cancel a task",
        "Ends a task that has not ended.",
        {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": False},
    ),
}


def is_task_tool(context: RequestContext, name: str) -> bool:
    """Whether this name is one of them here. A flow of the same name is not a tool then."""
    return context.settings.mcp_task_tools and name in SCHEMAS


def task_tools(revision: Revision) -> list[dict[str, Any]]:
    """Their Tool objects, by name."""
    tools = []
    for name in sorted(SCHEMAS):
        title, description, annotations = _TEXTS[name]
        tool = {"name": name, "description": description, "inputSchema": SCHEMAS[name], "annotations": annotations}
        tools.append(tool | ({"title": title} if revision.structured else {}))
    return tools
