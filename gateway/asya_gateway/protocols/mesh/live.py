"""Decoding live (FLY) events."""

from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.task import FlyEvent

NAMED = ("artifact_update", "status_update", "message")
"""Keys of a payload that name its SSE event (docs/protocols/mesh.md)."""


def decode_fly(task_id: str, body: Any) -> FlyEvent:
    """Any JSON value, bare or wrapped as {"payload": {...}}, as existing sidecars send it."""
    payload = body
    if isinstance(body, dict) and body.keys() == {"payload"} and isinstance(body["payload"], dict):
        payload = body["payload"]
    return FlyEvent(task_id, *_piece(payload))


def pieces(body: Any) -> list[tuple[str, str]]:
    """Name and JSON text of one event as in decode_fly, or of several from our worker in one request, in order:
    {"payloads": [{...}, ...]} without other members."""
    if isinstance(body, dict) and body.keys() == {"payloads"}:
        payloads = body["payloads"]
        if isinstance(payloads, list) and payloads and all(isinstance(payload, dict) for payload in payloads):
            return [_piece(payload) for payload in payloads]
    event = decode_fly("", body)
    return [(event.name, event.payload)]


def _piece(payload: Any) -> tuple[str, str]:
    return event_name(payload), jsontext.dumps(payload)


def event_name(payload: Any) -> str:
    """The name of a payload's SSE event; the field `type` does not define it."""
    if isinstance(payload, dict):
        for name in NAMED:
            if name in payload:
                return name
    return "partial"
