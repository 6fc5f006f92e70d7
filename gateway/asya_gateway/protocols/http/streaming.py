"""A task's log as an event stream: stored updates first, then updates and live events as they come."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from asya_gateway.domain.task import Caller, FlyEvent, Snapshot, TaskUpdate
from asya_gateway.protocols.http.answers import NO_STORE
from asya_gateway.protocols.http.keys import SETTINGS, STREAMS, TASKS
from asya_gateway.protocols.http.paths import last_event_id
from asya_gateway.protocols.http.rendering import update_json
from asya_gateway.protocols.http.sse import event_bytes


@dataclass(frozen=True, slots=True)
class EventNames:
    """What events are called: `update` names updates; `fly` names live events, None leaves them their own name."""

    update: str = "update"
    fly: str | None = None


TASK_EVENTS = EventNames()
UNIFIED_EVENTS = EventNames(update="status", fly="fly")


async def stream_task(
    request: web.Request, task_id: str, caller: Caller | None, names: EventNames = TASK_EVENTS
) -> web.StreamResponse:
    """Answer with the task's events until its end; 204 to a reader that has seen the end, which stops its
    reconnecting (HTML standard, "Server-sent events", 9.2.3). Raises TaskNotFound, Unavailable, StreamsExhausted.
    """
    app = request.app
    keepalive = app[SETTINGS].keepalive_interval
    items = app[TASKS].follow(task_id, caller, after=last_event_id(request), keepalive=keepalive)
    async with aclosing(items):
        snapshot = await anext(items)
        assert isinstance(snapshot, Snapshot)
        if snapshot.task.status.terminal and not snapshot.updates:
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=NO_STORE)
        async with app[STREAMS].open(request) as stream:
            if snapshot.updates:
                await stream.write(_chunk(snapshot.updates, names))
            async for item in items:
                match item:
                    case None:
                        await stream.keep_alive()
                    case TaskUpdate() | FlyEvent():
                        await stream.write(_chunk((item,), names))
                    case Snapshot():
                        await stream.write(_chunk(item.updates, names))
    return stream.response


def _chunk(items: Sequence[TaskUpdate | FlyEvent], names: EventNames) -> bytes:
    """Several events as one write. Only updates carry an id: live events cannot be asked for again."""
    return b"".join(
        event_bytes(update_json(item), event=names.update, id=item.seq)
        if isinstance(item, TaskUpdate)
        else event_bytes(item.payload, event=names.fly or item.name)
        for item in items
    )
