"""The metadata of a request in `params._meta`: version and capabilities, progress token, trace context."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_gateway.protocols.http.jsonrpc import LARGEST_ID, LONGEST_ID
from asya_gateway.protocols.http.tracing import combined_tracestate, is_traceparent, trace_headers
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.routing import Headers
from asya_gateway.protocols.mcp.versions import PREFIX

VERSION_KEY = PREFIX + "protocolVersion"
CAPABILITIES_KEY = PREFIX + "clientCapabilities"
CLIENT_KEY = PREFIX + "clientInfo"
LOG_LEVEL_KEY = PREFIX + "logLevel"
SUBSCRIPTION_KEY = PREFIX + "subscriptionId"
RELATED_TASK_KEY = PREFIX + "related-task"

LOG_LEVELS = frozenset({"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"})

ProgressToken = str | int


@dataclass(frozen=True, slots=True)
class RequestMeta:
    """The required part of a stateless request's `_meta` (2026-07-28, basic, "_meta"). Capabilities apply to this
    request only and are not remembered."""

    version: str
    capabilities: Mapping[str, Any]


def meta_of(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """`params._meta`, empty if it is absent. Raises InvalidParams."""
    meta = params.get("_meta", {})
    if not isinstance(meta, dict):
        raise InvalidParams("params._meta: expected an object")
    return meta


def read_request_meta(params: Mapping[str, Any]) -> RequestMeta:
    """Raises InvalidParams naming the key ("A request missing any required field is malformed")."""
    meta = meta_of(params)
    version, capabilities = meta.get(VERSION_KEY), meta.get(CAPABILITIES_KEY)
    if not isinstance(version, str):
        raise InvalidParams(f"params._meta: expected {VERSION_KEY}, a string")
    if not isinstance(capabilities, dict):
        raise InvalidParams(f"params._meta: expected {CAPABILITIES_KEY}, an object")
    client = meta.get(CLIENT_KEY)
    if client is not None and not is_implementation(client):
        raise InvalidParams(f"params._meta: expected {CLIENT_KEY} to be an object with the texts name and version")
    level = meta.get(LOG_LEVEL_KEY)
    if level is not None and not (isinstance(level, str) and level in LOG_LEVELS):
        raise InvalidParams(f"params._meta: expected {LOG_LEVEL_KEY} to be one of {', '.join(sorted(LOG_LEVELS))}")
    return RequestMeta(version, capabilities)


def is_implementation(value: Any) -> bool:
    """Whether this names a program, with its version (schema Implementation)."""
    return isinstance(value, Mapping) and all(isinstance(value.get(member), str) for member in ("name", "version"))


def related_task(params: Mapping[str, Any]) -> dict[str, Any]:
    """What messages about a request of ours have in common with it: the task that it belongs to (2025-11-25, tasks,
    "Associating Task-Related Messages"). Empty for a request of no such task."""
    meta = params.get("_meta")
    found = meta.get(RELATED_TASK_KEY) if isinstance(meta, Mapping) else None
    return {} if found is None else {"_meta": {RELATED_TASK_KEY: found}}


def progress_token(meta: Mapping[str, Any]) -> ProgressToken | None:
    """The token for progress notifications; None if the caller wants none. Raises InvalidParams."""
    token = meta.get("progressToken")
    match token:
        case None:
            return None
        case str() if len(token) <= LONGEST_ID:
            return token
        case int() if not isinstance(token, bool) and -LARGEST_ID <= token < LARGEST_ID:
            return token
        case _:
            raise InvalidParams(
                f"params._meta.progressToken: expected an integer, or a string of at most {LONGEST_ID} characters"
            )


def trace_context(meta: Mapping[str, Any], headers: Headers) -> dict[str, str]:
    """`traceparent` and `tracestate` of `_meta` (SEP-414), else of the HTTP request; invalid ones are dropped."""
    parent = meta.get("traceparent")
    if not isinstance(parent, str) or not is_traceparent(parent):
        return trace_headers(headers)
    state = meta.get("tracestate")
    combined = combined_tracestate([state]) if isinstance(state, str) else None
    return {"traceparent": parent, **({"tracestate": combined} if combined else {})}
