"""A task's log as an event stream: stored updates first, then updates and live events as they arrive."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from aiohttp import web

from asya_gateway.domain.budget import Budget
from asya_gateway.domain.identity.principals import Asker
from asya_gateway.domain.task import FlyEvent, JsonText, Snapshot, TaskUpdate
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.answers import NO_STORE
from asya_gateway.protocols.http.keys import BUDGET, HELD, SETTINGS, STREAMS, TASKS
from asya_gateway.protocols.http.paths import last_event_id
from asya_gateway.protocols.http.rendering import update_json
from asya_gateway.protocols.http.sse import EventStream, event_bytes

CHUNK_BYTES = 64 * 1024
"""Items that arrive together are written together, up to about this many bytes."""

SHORT = 1024
"""Most characters of a live event whose bytes are cached."""


@dataclass(frozen=True, slots=True)
class EventNames:
    """The names of events: `update` for updates, `fly` for live events (None keeps each event's own name)."""

    update: str = "update"
    fly: str | None = None


TASK_EVENTS = EventNames()
UNIFIED_EVENTS = EventNames(update="status", fly="fly")


async def stream_task(
    request: web.Request, task_id: str, caller: Asker, names: EventNames = TASK_EVENTS
) -> web.StreamResponse:
    """Stream the task's events until its end. A reader that has seen the end gets 204, which makes it stop reconnecting
    (HTML standard, "Server-sent events", 9.2.3). Raises TaskNotFound, Unavailable, StreamsExhausted.
    """
    app = request.app
    keepalive = app[SETTINGS].keepalive_interval
    tasks, budget = app[TASKS], app[BUDGET]
    groups = tasks.follow_groups(task_id, caller, after=last_event_id(request), keepalive=keepalive)
    with app[HELD].slot(request):
        async with aclosing(groups):
            snapshot = await anext(groups)
            assert isinstance(snapshot, Snapshot)
            if snapshot.task.status.terminal and not snapshot.updates and snapshot.reached >= snapshot.task.last_seq:
                return web.Response(status=HTTPStatus.NO_CONTENT, headers=NO_STORE)
            items: Sequence[TaskUpdate | FlyEvent] = snapshot.updates
            # Written items are not kept in memory while the stream waits for more.
            del snapshot
            async with app[STREAMS].open(request) as stream:
                await _write(stream, tasks, budget, items, names)
                items = ()
                async for group in groups:
                    assert not isinstance(group, Snapshot)  # there is one, the first
                    if not group:
                        await stream.keep_alive()
                    await _write(stream, tasks, budget, group, names)
                    group = ()
        return stream.response


async def _write(
    stream: EventStream,
    tasks: Tasks,
    budget: Budget,
    items: Sequence[TaskUpdate | FlyEvent],
    names: EventNames,
) -> None:
    """Write items that arrived together as one chunk, or several if they are long. A body too large to come with its
    entry is fetched here and dropped at once. If it cannot be fetched, the stream ends before its entry."""
    chunk = b""
    for item in items:
        if isinstance(item, FlyEvent):
            chunk += _live_event(item.payload, names.fly or item.name)
        elif item.whole:
            chunk += _event(item, names)
        else:
            if chunk:
                await stream.write(chunk)
                chunk = b""
            with budget.scope():
                await stream.write(_event(await tasks.whole(item), names))
        if len(chunk) >= CHUNK_BYTES:
            await stream.write(chunk)
            chunk = b""
    if chunk:
        await stream.write(chunk)


def _event(update: TaskUpdate, names: EventNames) -> bytes:
    return event_bytes(update_json(update), event=names.update, id=update.seq)


def _live_event(payload: JsonText, name: str) -> bytes:
    """A live event. It has no id, because it cannot be requested again."""
    return _short_event(payload, name) if len(payload) <= SHORT else event_bytes(payload, event=name)


@lru_cache(maxsize=1024)
def _short_event(payload: JsonText, name: str) -> bytes:
    """Cached, because all readers of a task get the same events one after the other, several at a time."""
    return event_bytes(payload, event=name)
