"""A2A 0.3 for a client that thinks in 1.0: requests in the older form, and answers back in the newer one."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

METHODS = {
    "SendMessage": "message/send",
    "SendStreamingMessage": "message/stream",
    "GetTask": "tasks/get",
    "ListTasks": "tasks/list",
    "CancelTask": "tasks/cancel",
    "SubscribeToTask": "tasks/resubscribe",
    "GetExtendedAgentCard": "agent/getAuthenticatedExtendedCard",
}
_EVENTS = {
    "task": "task",
    "message": "message",
    "status-update": "statusUpdate",
    "artifact-update": "artifactUpdate",
}
_ROLES = {"user": "ROLE_USER", "agent": "ROLE_AGENT"}


def older_params(params: Mapping[str, Any]) -> Json:
    """The params of a request of 1.0 as 0.3 has them."""
    found = dict(params)
    if "message" in found:
        message = dict(found["message"])
        message |= {"kind": "message", "role": "user", "parts": [_older_part(part) for part in message["parts"]]}
        found["message"] = message
        waits = not found.pop("configuration", {}).get("returnImmediately", False)
        found["configuration"] = {"blocking": waits}
    if "status" in found:
        found["status"] = found["status"].removeprefix("TASK_STATE_").lower().replace("_", "-")
    return found


def _older_part(part: Mapping[str, Any]) -> Json:
    kind = "text" if "text" in part else "data"
    data = part[kind]
    if kind == "data" and not isinstance(data, dict):
        return {"kind": "data", "data": {"value": data}, "metadata": {"data_part_compat": True}}
    return {"kind": kind, kind: data}


def newer_result(method: str, value: Mapping[str, Any]) -> Json:
    """The result of a method, or an event of its stream, as 1.0 has it. Raises KeyError, TypeError, AttributeError."""
    match method:
        case "GetExtendedAgentCard":
            return dict(value)
        case "GetTask" | "CancelTask":
            return newer_task(value)
        case "ListTasks":
            return {**value, "tasks": [newer_task(task) for task in value["tasks"]]}
        case _:
            return newer_event(value)


def newer_event(value: Mapping[str, Any]) -> Json:
    """A Task, Message or event of 0.3 as a StreamResponse of 1.0. Raises KeyError, TypeError, AttributeError."""
    return {_EVENTS[value["kind"]]: _newer(value)}


def newer_task(value: Mapping[str, Any]) -> Json:
    """A Task of 0.3 as one of 1.0. Raises KeyError, TypeError, AttributeError."""
    return _newer(value)


def _newer(value: Mapping[str, Any]) -> Json:
    found = {name: item for name, item in value.items() if name not in ("kind", "final")}
    if "role" in found:
        found["role"] = _ROLES[found["role"]]
    if "parts" in found:
        found["parts"] = [_newer_part(part) for part in found["parts"]]
    if isinstance(found.get("status"), dict):
        found["status"] = _newer_status(found["status"])
    if "artifact" in found:
        found["artifact"] = _newer(found["artifact"])
    for name in ("history", "artifacts"):
        if name in found:
            found[name] = [_newer(item) for item in found[name] or ()]
    return found


def _newer_status(status: Mapping[str, Any]) -> Json:
    state = "TASK_STATE_" + str(status["state"]).upper().replace("-", "_")
    message = status.get("message")
    return {**status, "state": state, **({"message": _newer(message)} if message else {})}


def _newer_part(part: Mapping[str, Any]) -> Json:
    metadata = part.get("metadata") or {}
    kept = {"metadata": metadata} if metadata else {}
    match part["kind"]:
        case "text":
            return {"text": part["text"], **kept}
        case "data":
            return (
                {"data": part["data"]["value"]} if metadata.get("data_part_compat") else {"data": part["data"], **kept}
            )
        case _:
            file = part["file"]
            content = {"raw": file["bytes"]} if file.get("bytes") else {"url": file["uri"]}
            named = {"filename": file.get("name"), "mediaType": file.get("mimeType")}
            return {**content, **{name: item for name, item in named.items() if item}, **kept}
