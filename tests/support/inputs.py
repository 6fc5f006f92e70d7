"""Pauses with several inputs, as a worker reports them."""

from typing import Any

NAME: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {
        "mode": "form",
        "message": "Who are you?",
        "requestedSchema": {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 1}},
            "required": ["name"],
        },
    },
}
SUMMARY: dict[str, Any] = {
    "method": "sampling/createMessage",
    "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "Sum it up"}}], "maxTokens": 100},
}
FOLDERS: dict[str, Any] = {"method": "roots/list"}
CONSENT_AT: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {
        "mode": "url",
        "message": "Please sign in",
        "url": "https://login.example.com/start",
        "elicitationId": "e",
    },
}
AT_A_URL: dict[str, Any] = {
    "prompt": "Approve it",
    "url": "https://approvals.example/1",
    "schema": {"type": "object", "properties": {"lines": {"type": "array", "items": {"type": "object"}}}},
}
"""A plain question that no form can carry."""
ALL_KINDS = {"name": NAME, "summary": SUMMARY, "folders": FOLDERS, "sign_in": CONSENT_AT}

SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "short"}, "model": "m", "stopReason": "endTurn"}
LISTED = {"roots": [{"uri": "file:///home/ada", "name": "home"}]}


def pause_body(task_id: str, question: dict[str, Any], payload: Any = None, **changes: Any) -> dict[str, Any]:
    """The report of a pause at the first hop, with its checkpoint, as our worker sends it."""
    checkpoint = {
        "id": task_id,
        "route": {"prev": ["first"], "curr": "second", "next": []},
        "payload": {} if payload is None else payload,
    }
    return {
        "prev": ["first"],
        "curr": "second",
        "next": [],
        "status": "paused",
        "pause_metadata": question,
        "checkpoint": checkpoint,
        **changes,
    }
