"""The mesh's route table."""

from aiohttp import web

from asya_gateway.protocols.http.paths import ID
from asya_gateway.protocols.mesh import handlers, unified_events


def register(app: web.Application) -> None:
    """Add the routes of the API document, the older dialect and the unified alias.

    Routes with a fixed word in place of an id (/mesh/config-reload, /mesh/registry) are registered elsewhere, before
    these.
    """
    router = app.router
    router.add_post("/mesh", handlers.create_child)
    router.add_post("/tasks", handlers.create_child)
    # The router tries them one by one, so the most frequent ones come first.
    router.add_post(f"/mesh/{ID}/progress", handlers.progress)
    router.add_post(f"/mesh/{ID}/fly", handlers.fly)
    router.add_get(f"/mesh/{ID}/active", handlers.active)
    router.add_post(f"/mesh/{ID}/final", handlers.final)
    # The same routes below /tasks, for sidecars of the older dialect.
    router.add_post(f"/tasks/{ID}/progress", handlers.progress)
    router.add_post(f"/tasks/{ID}/final", handlers.final)
    router.add_post(f"/tasks/{ID}/partial", handlers.fly)
    router.add_post(f"/tasks/{ID}/upstream", handlers.fly)
    router.add_get(f"/mesh/{ID}/stream", handlers.stream, allow_head=False)
    router.add_get(f"/mesh/{ID}", handlers.get_task)
    for root in ("/api/v1/mesh", "/api/v1/mesh/"):
        router.add_get(root, unified_events.list_tasks)
        router.add_post(root, unified_events.create)
    unified = f"/api/v1/mesh/{ID}"
    router.add_get(unified, handlers.get_task)
    router.add_delete(unified, unified_events.cancel)
    router.add_get(f"{unified}/events", unified_events.events, allow_head=False)
    router.add_post(f"{unified}/events", unified_events.post_event)
