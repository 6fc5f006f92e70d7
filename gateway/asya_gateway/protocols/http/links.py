"""URLs at which a caller reads, streams and answers a task."""

from urllib.parse import quote


def task_path(task_id: str) -> str:
    """The path at which a task is read."""
    return f"/tasks/{quote(task_id, safe='')}"


def stream_path(task_id: str) -> str:
    """The path at which a task is streamed."""
    return f"/stream/{quote(task_id, safe='')}"


class Links:
    """The URLs of one task; absolute if the gateway knows its public URL."""

    def __init__(self, task_id: str, public_url: str) -> None:
        base = public_url.rstrip("/")
        self.status = base + task_path(task_id)
        self.stream = base + stream_path(task_id)
        self.resume = f"{self.status}/resume"
