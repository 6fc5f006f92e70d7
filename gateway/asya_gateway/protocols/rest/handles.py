"""The handle that a caller gets at once: the task's id, and where to read and stream it."""

import secrets
from functools import lru_cache

from asya_crds import jsontext
from asya_crds.call_messages import CallResultJson, HandleJson
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.links import Links

CREATED_MESSAGE = "Task created successfully"
WAITING_MESSAGE = "Task waits for an answer"


def handle_json(task_id: str, public_url: str, message: str = CREATED_MESSAGE) -> JsonText:
    """An MCP CallToolResult whose text is the JSON {task_id, message, status_url, stream_url}; the URLs are absolute if
    the gateway knows its public one."""
    if task_id.isascii() and task_id.replace("-", "").isalnum():
        return task_id.join(_around(public_url, message))
    return _handle(task_id, public_url, message)


@lru_cache(maxsize=16)
def _around(public_url: str, message: str) -> list[str]:
    """The parts of a handle before and after the id. Our ids need no escaping."""
    stand_in = secrets.token_hex(16)
    return _handle(stand_in, public_url, message).split(stand_in)


def _handle(task_id: str, public_url: str, message: str) -> JsonText:
    links = Links(task_id, public_url)
    handle: HandleJson = {
        "task_id": task_id,
        "message": message,
        "status_url": links.status,
        "stream_url": links.stream,
    }
    result: CallResultJson = {"content": [{"type": "text", "text": jsontext.dumps(handle)}], "isError": False}
    return jsontext.dumps(result)
