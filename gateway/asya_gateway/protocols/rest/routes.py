"""The task API's route table."""

from aiohttp import web

from asya_gateway.protocols.http.paths import ID
from asya_gateway.protocols.http.policies import REST_CALL, REST_INVOKE, REST_READ, REST_TASK, add_get, add_route
from asya_gateway.protocols.rest import calls, flows, tasks


def register(app: web.Application) -> None:
    """Add the routes of the plain task API."""
    add_route(app, "POST", "/tools/call", calls.call_tool, REST_CALL)
    add_get(app, "/flows", flows.list_flows, REST_READ)
    add_get(app, "/tasks", tasks.list_tasks, REST_READ)
    add_get(app, f"/tasks/{ID}", tasks.get_task, REST_TASK)
    add_route(app, "POST", f"/tasks/{ID}/cancel", tasks.cancel, REST_INVOKE)
    add_route(app, "POST", f"/tasks/{ID}/resume", tasks.resume, REST_INVOKE)
    add_route(app, "POST", f"/tasks/{ID}/retry", tasks.retry, REST_INVOKE)
    add_route(app, "GET", f"/stream/{ID}", tasks.stream, REST_TASK)
