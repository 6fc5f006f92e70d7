"""Decoding live (FLY) events."""

from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import FlyEvent

NAMED = ("artifact_update", "status_update", "message")
"""Keys of a payload that name its SSE event (API seed, GET /mesh/{id}/stream)."""


def decode_fly(task_id: str, body: Any) -> FlyEvent:
    """Any JSON value; sidecars really send it wrapped, as {"payload": {...}}, and the seed shows it bare."""
    payload = body
    if isinstance(body, dict) and body.keys() == {"payload"} and isinstance(body["payload"], dict):
        payload = body["payload"]
    return FlyEvent(task_id, event_name(payload), jsontext.dumps(payload))


def event_name(payload: Any) -> str:
    """The SSE event that a payload becomes; its `type` field does not name it."""
    if isinstance(payload, dict):
        for name in NAMED:
            if name in payload:
                return name
    return "partial"
