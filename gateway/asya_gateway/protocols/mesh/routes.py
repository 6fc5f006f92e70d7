"""The mesh's route table."""

from aiohttp import web

from asya_crds.hop_reports import CREWS_PATH, REPORTS_PATH
from asya_gateway.protocols.http.paths import ID
from asya_gateway.protocols.http.policies import MESH_ONLY, add_get, add_route
from asya_gateway.protocols.mesh import crews, handlers, unified_events
from asya_gateway.protocols.mesh.reports import Reports
from asya_gateway.protocols.mesh.standing import HOP, standing


def register(app: web.Application) -> None:
    """Add the routes of the API document, the older dialect and the unified alias.

    Routes with a fixed word in place of an id (/mesh/config-reload, /mesh/registry) are registered elsewhere, before
    these.
    """
    add_route(app, "POST", "/mesh", handlers.create_child, MESH_ONLY)
    add_route(app, "POST", "/tasks", handlers.create_child, MESH_ONLY)
    add_route(app, "POST", REPORTS_PATH, Reports(app).take, MESH_ONLY)
    add_route(app, "POST", CREWS_PATH, crews.heartbeat, MESH_ONLY)
    # The router tries them one by one, so the most frequent ones come first.
    add_route(app, "POST", f"/mesh/{ID}/progress", handlers.progress, MESH_ONLY)
    add_route(app, "POST", f"/mesh/{ID}/fly", handlers.fly, MESH_ONLY)
    add_get(app, f"/mesh/{ID}/active", handlers.active, MESH_ONLY)
    add_route(app, "POST", f"/mesh/{ID}/final", handlers.final, MESH_ONLY)
    add_get(app, f"/mesh/{ID}/hops/{HOP}", standing, MESH_ONLY)
    # The same routes below /tasks, for sidecars of the older dialect.
    add_route(app, "POST", f"/tasks/{ID}/progress", handlers.progress, MESH_ONLY)
    add_route(app, "POST", f"/tasks/{ID}/final", handlers.final, MESH_ONLY)
    add_route(app, "POST", f"/tasks/{ID}/partial", handlers.fly, MESH_ONLY)
    add_route(app, "POST", f"/tasks/{ID}/upstream", handlers.fly, MESH_ONLY)
    add_route(app, "GET", f"/mesh/{ID}/stream", handlers.stream, MESH_ONLY)
    add_get(app, f"/mesh/{ID}", handlers.get_task, MESH_ONLY)
    for root in ("/api/v1/mesh", "/api/v1/mesh/"):
        add_get(app, root, unified_events.list_tasks, MESH_ONLY)
        add_route(app, "POST", root, unified_events.create, MESH_ONLY)
    unified = f"/api/v1/mesh/{ID}"
    add_get(app, unified, handlers.get_task, MESH_ONLY)
    add_route(app, "DELETE", unified, unified_events.cancel, MESH_ONLY)
    add_route(app, "GET", f"{unified}/events", unified_events.events, MESH_ONLY)
    add_route(app, "POST", f"{unified}/events", unified_events.post_event, MESH_ONLY)
