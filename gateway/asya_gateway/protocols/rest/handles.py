"""What a caller gets at once: the task's id and where to read and stream it."""

from urllib.parse import quote

from asya_crds import jsontext
from asya_gateway.domain.task import JsonText

CREATED_MESSAGE = "Task created successfully"
WAITING_MESSAGE = "Task waits for an answer"


def task_path(task_id: str) -> str:
    """Where a task is read."""
    return f"/tasks/{quote(task_id, safe='')}"


def stream_path(task_id: str) -> str:
    """Where a task is streamed."""
    return f"/stream/{quote(task_id, safe='')}"


def handle_json(task_id: str, public_url: str, message: str = CREATED_MESSAGE) -> JsonText:
    """An MCP CallToolResult whose text is the JSON {task_id, message, status_url, stream_url}; the URLs are
    absolute where the gateway knows its public one."""
    base = public_url.rstrip("/")
    inner = jsontext.dumps(
        {
            "task_id": task_id,
            "message": message,
            "status_url": base + task_path(task_id),
            "stream_url": base + stream_path(task_id),
        }
    )
    return jsontext.dumps({"content": [{"type": "text", "text": inner}], "isError": False})
