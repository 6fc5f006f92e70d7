"""The task API's route table."""

from aiohttp import web

from asya_gateway.protocols.http.paths import ID
from asya_gateway.protocols.rest import calls, tasks


def register(app: web.Application) -> None:
    """Add the routes of the plain task API."""
    router = app.router
    router.add_post("/tools/call", calls.call_tool)
    router.add_get("/tasks", tasks.list_tasks)
    router.add_get(f"/tasks/{ID}", tasks.get_task)
    router.add_post(f"/tasks/{ID}/cancel", tasks.cancel)
    router.add_post(f"/tasks/{ID}/resume", tasks.resume)
    router.add_post(f"/tasks/{ID}/retry", tasks.retry)
    router.add_get(f"/stream/{ID}", tasks.stream, allow_head=False)
