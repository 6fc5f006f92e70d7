"""Decoding live (FLY) events."""

from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import FlyEvent

NAMED = ("artifact_update", "status_update", "message")
"""Keys of a payload that name its SSE event (docs/protocols/mesh.md)."""


def decode_fly(task_id: str, body: Any) -> FlyEvent:
    """Any JSON value; existing sidecars send it wrapped, as {"payload": {...}}; bare is taken, too."""
    payload = body
    if isinstance(body, dict) and body.keys() == {"payload"} and isinstance(body["payload"], dict):
        payload = body["payload"]
    return FlyEvent(task_id, event_name(payload), jsontext.dumps(payload))


def decode_flies(task_id: str, body: Any) -> list[FlyEvent]:
    """One event as decode_fly reads it, or the several that our worker sends in one request, in order:
    {"payloads": [{...}, ...]}, and nothing beside it."""
    if isinstance(body, dict) and body.keys() == {"payloads"}:
        payloads = body["payloads"]
        if isinstance(payloads, list) and payloads and all(isinstance(payload, dict) for payload in payloads):
            return [FlyEvent(task_id, event_name(payload), jsontext.dumps(payload)) for payload in payloads]
    return [decode_fly(task_id, body)]


def event_name(payload: Any) -> str:
    """The SSE event that a payload becomes; its `type` field does not name it."""
    if isinstance(payload, dict):
        for name in NAMED:
            if name in payload:
                return name
    return "partial"
