"""The envelope that says how another one failed, for x-sump: workers make it, and mesh where it publishes for them."""

import time
from collections.abc import Mapping
from typing import Any

from asya_crds.envelope import Envelope, format_seconds

HEADER_FIRST_ATTEMPT = "x-asya-first-attempt"
FAILED = "failed"
"""The phase of such an envelope."""
PLAIN_BYTES = 1024
"""Longest header that an envelope without its payload keeps."""


def failed(
    envelope: Envelope, error: Mapping[str, Any], actor: str, *, reason: str = "RuntimeError", most_attempts: int = 1
) -> Envelope:
    """The unchanged route, the error in `status.error`, the payload as `original_payload`.

    `error` is {message, type, mro, traceback, class, code?}.
    """
    status = hop_status(envelope, FAILED, actor, reason=reason) | {
        "attempt": envelope.attempt,
        "max_attempts": max(most_attempts, envelope.attempt),
        "error": error,
    }
    payload = {
        "error": "processing_error" if error.get("class") == "business" else "runtime_error",
        "details": error,
        "original_payload": envelope.payload,
    }
    return envelope.with_(payload=payload, status=status, headers=hop_headers(envelope.headers))


def slim(envelope: Envelope) -> Envelope:
    """A failure without its payload and large headers, for where the whole cannot be sent."""
    headers = {
        key: value for key, value in envelope.headers.items() if isinstance(value, str) and len(value) < PLAIN_BYTES
    }
    return envelope.with_(payload={"error": "runtime_error"}, headers=headers)


def undeliverable(body: bytes, kind: str, actor: str, why: str, code: str | None = None) -> str:
    """The JSON text of the failure of an envelope that could not be sent to the actor. `kind` and `code`:
    those of the task's error, which may have no code. Raises ValueError if the body is not an envelope."""
    message = f"{actor} cannot be sent to: {why}"
    error: dict[str, Any] = {"message": message, "type": kind, "mro": [], "traceback": "", "class": "runtime"}
    if code is not None:
        error["code"] = code
    return failed(Envelope.from_json(body), error, actor).to_json()


def slim_text(body: bytes) -> str:
    """The JSON text of `slim`. Raises ValueError if the body is not an envelope."""
    return slim(Envelope.from_json(body)).to_json()


def hop_headers(headers: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The headers of an envelope that leaves its hop. `extra` override its own."""
    return {key: value for key, value in headers.items() if key != HEADER_FIRST_ATTEMPT} | dict(extra or {})


def hop_status(envelope: Envelope, phase: str, actor: str, *, reason: str | None) -> dict[str, Any]:
    """The status of an envelope that leaves its hop in this phase."""
    now = format_seconds(time.time())  # noqa: TID251 # shown, and compared with nothing
    status: dict[str, Any] = {
        "phase": phase,
        "actor": actor,
        "attempt": 1,
        "max_attempts": 1,
        "created_at": envelope.status.get("created_at", now),
        "updated_at": now,
    }
    if reason is not None:
        status["reason"] = reason
    if envelope.status.get("deadline_at") is not None:
        status["deadline_at"] = envelope.status["deadline_at"]
    return status
