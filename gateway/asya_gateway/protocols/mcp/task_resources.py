"""`asya://tasks/{taskId}` and `asya://tasks/{taskId}/result`: a caller's own tasks as resources."""

from urllib.parse import quote

from asya_crds import jsontext
from asya_crds.status import TaskStatus
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.domain.offers import TaskOffer
from asya_gateway.domain.task import JsonText, Task
from asya_gateway.domain.task_offers import SCHEME
from asya_gateway.protocols.http.rendering import task_json
from asya_gateway.protocols.mcp.errors import ResourceNotFound
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.resource_results import JSON, TEXT
from asya_gateway.protocols.mcp.results import Result


def task_uri(task_id: str) -> str:
    """The resource that is the task."""
    return SCHEME + quote(task_id, safe="")


def result_uri(task_id: str) -> str:
    """The resource that is the task's result."""
    return f"{task_uri(task_id)}/result"


def media_type_of(result: JsonText) -> str:
    """What the resource of a result is: a text by itself, or JSON."""
    return TEXT if result.startswith('"') else JSON


async def read_task(context: RequestContext, offer: TaskOffer, task_id: str, uri: str) -> Result:
    """The task, or its result alone, of a caller who may read it. Raises ResourceNotFound, also for the task of
    somebody else and for a task without a result; NoRoom, Unavailable."""
    try:
        task = await context.tasks.get(task_id, context.caller, payload=not offer.whole_result)
    except TaskNotFound:
        raise ResourceNotFound(uri, context.revision) from None
    text, media_type = task_json(task, context.caller), JSON
    if offer.whole_result:
        if task.status is not TaskStatus.SUCCEEDED:
            raise ResourceNotFound(uri, context.revision, f"The task has no result: its status is {task.status.value}")
        text, media_type = _result_of(task)
    content = {"uri": uri, "mimeType": media_type, "text": text}
    return Result({"contents": [content]}, cacheable=True)


def _result_of(task: Task) -> tuple[str, str]:
    result = "null" if task.result is None else task.result.strip()
    return (jsontext.loads(result) if result.startswith('"') else result), media_type_of(result)
