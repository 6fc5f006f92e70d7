"""A task's log as events: the task first, then what changes, in the order of the log."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.task import FlyEvent, Snapshot, TaskUpdate
from asya_gateway.protocols.a2a.dialects.known import V0_1, Dialect
from asya_gateway.protocols.a2a.large_contents import LiveParts, parts_of_live
from asya_gateway.protocols.a2a.model import (
    Artifact,
    ArtifactUpdate,
    Event,
    State,
    Status,
    StatusUpdate,
    TaskView,
)
from asya_gateway.protocols.a2a.outputs import RESULT, question, result_artifact, spoken, state_of
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.viewing import as_seen, named_context, named_task, view

Numbered = tuple[str, Event | None]
"""An event with its id; None when nothing has happened for a while."""
Group = Sequence[Numbered]
"""Events that are there together; none when nothing has happened for a while."""
FIRST = 1
"""The entry of a log with which it begins."""
QUIET = 4.0
"""Most seconds without a comment on a stream: clients on httpx, as the Python SDK is by default, give up after five."""


def quiet_for(request: A2aRequest) -> float:
    """Seconds after which a stream without an event gets a comment."""
    return min(request.settings.keepalive_interval, QUIET)


class LogEvents:
    """Renders the log of one task, which its reader calls by these names."""

    def __init__(self, task_id: str, context_id: str, *, closes_at_question: bool) -> None:
        self._task_id = task_id
        self._context_id = context_id
        self._closes_at_question = closes_at_question
        self._streamed = False
        """Whether a chunk of the result was sent."""

    def closes_at(self, status: TaskStatus) -> bool:
        """Whether nothing is sent after an entry with this status, although the task goes on."""
        return self._closes_at_question and status is TaskStatus.PAUSED

    def live(self, found: LiveParts) -> ArtifactUpdate | None:
        """The parts of a live event as a chunk of the result's artifact. The durable result replaces all chunks, so
        that a lost one does no harm."""
        parts, written = found
        if not parts and not written:
            return None
        append, self._streamed = self._streamed, True
        made = Artifact(RESULT, parts, written=written)
        return ArtifactUpdate(self._task_id, self._context_id, made, append=append)

    def entry(self, update: TaskUpdate) -> list[Numbered]:
        """The events of a log entry: two for a success, at most one for any other."""
        error = getattr(update.entry, "error", None)
        state = state_of(update.status, error)
        ends = state.terminal or (self._closes_at_question and state is State.INPUT_REQUIRED)
        status = StatusUpdate(self._task_id, self._context_id, self._status(update, state), ends_stream=ends)
        if update.kind is UpdateKind.FINAL and state is State.COMPLETED:
            made = ArtifactUpdate(self._task_id, self._context_id, result_artifact(update.result), last_chunk=True)
            return [(f"{update.seq}.1", made), (f"{update.seq}.2", status)]
        return [(str(update.seq), status)]

    def _status(self, update: TaskUpdate, state: State) -> Status:
        pause = getattr(update.entry, "pause", None)
        if state.interrupted and pause is not None:
            return Status(state, update.at, question(self._task_id, self._context_id, pause))
        error = getattr(update.entry, "error", None)
        text = error.told if error is not None else update.entry.message
        if state is State.COMPLETED or not text:
            return Status(state, update.at)
        return Status(state, update.at, spoken(self._task_id, self._context_id, f"{self._task_id}-{update.seq}", text))


async def event_groups(
    request: A2aRequest,
    task_id: str,
    *,
    after: int | None,
    closes_at_question: bool,
    history_length: int | None = None,
    keepalive: float | None = None,
    dialect: Dialect | None = None,
) -> AsyncGenerator[Group]:
    """The task, then its events until it ends, those together that are there together. `after`: only the events beyond
    this entry of the log, if it has that entry; `keepalive`: seconds without an event after which there is an empty
    group; `dialect`: the stream's, if not the request's. Raises TaskNotFound before the first."""
    tasks, caller, dialect = request.tasks, request.caller, dialect or request.dialect
    begin = (await tasks.head(task_id, caller)).last_seq if after is None else after
    # Live events are heard from here on, so that none is missed while the task is read and sent.
    interval = keepalive or quiet_for(request)
    groups = tasks.follow_groups(task_id, caller, after=begin, keepalive=interval)
    async with aclosing(groups):
        snapshot = await anext(groups)
        assert isinstance(snapshot, Snapshot)
        if after is not None and after > snapshot.task.last_seq:
            # It is the entry of another log, and says nothing about what this reader has seen.
            after = None
        seen, items = begin, snapshot.updates
        task = await tasks.get(task_id, caller, payload=False)
        conversation = as_seen(await request.conversations.of_task(task_id), request)
        names = named_task(task, conversation), named_context(task, conversation)
        if after is None:
            shown = await view(request, task, conversation, history_length, dialect=dialect)
            closes = task.status.terminal or (closes_at_question and task.status is TaskStatus.PAUSED)
            yield [(str(task.last_seq), shown), *(_last(shown, task.last_seq, dialect) if closes else ())]
            if closes:
                return
            del shown
            seen = task.last_seq
        else:
            # The reader may have seen everything, and waits for the stream to be opened all the same.
            yield []
        del task
        del snapshot
        rendered = LogEvents(*names, closes_at_question=closes_at_question)
        async for group in _rendered(request, dialect, rendered, groups, items, seen):
            yield group


async def new_groups(request: A2aRequest, task_id: str, new: TaskView) -> AsyncGenerator[Group]:
    """The same of a task that this request has just created, `new`, up to its end or its question. Nothing is read for
    the first event."""
    groups = request.tasks.follow_new(task_id, seen=FIRST, keepalive=quiet_for(request))
    async with aclosing(groups):
        # Live events are heard from here on.
        await anext(groups)
        rendered = LogEvents(new.id, new.context_id, closes_at_question=True)
        yield [(str(FIRST), new)]
        del new
        async for group in _rendered(request, request.dialect, rendered, groups, (), FIRST):
            yield group


def _last(shown: TaskView, seq: int, dialect: Dialect) -> list[Numbered]:
    """The end of a stream that ends with the task it begins with. Before 1.0 the last event says that it is (`final`),
    and the oldest dialect shows a task as its status alone."""
    if dialect.newest:
        return []
    names, id = (shown.id, shown.context_id), str(seq)
    made = (shown.artifacts or ()) if dialect is V0_1 else ()
    found: list[Numbered] = [(id, ArtifactUpdate(*names, each, last_chunk=True)) for each in made]
    return [*found, (id, StatusUpdate(*names, shown.status, ends_stream=True))]


async def _rendered(
    request: A2aRequest,
    dialect: Dialect,
    rendered: "LogEvents",
    groups: AsyncGenerator[Snapshot | Sequence[TaskUpdate | FlyEvent]]
    | AsyncGenerator[Sequence[TaskUpdate | FlyEvent]],
    items: Sequence[TaskUpdate | FlyEvent],
    seen: int,
) -> AsyncGenerator[Group]:
    """What is beyond the entry `seen`, first of these items, then of the groups."""
    while True:
        ready: list[Numbered] = []
        for item in items:
            if isinstance(item, FlyEvent):
                made = rendered.live(await parts_of_live(item.payload, dialect, request.offload))
                ready += [] if made is None else [("", made)]
                continue
            if item.seq <= seen:
                continue
            if not item.whole and ready:
                # A large body is read when what stands before it is sent, and sent before anything else is read.
                yield ready
                ready = []
            ready += rendered.entry(await request.tasks.whole(item))
            if not item.whole or rendered.closes_at(item.status):
                yield ready
                ready = []
            if rendered.closes_at(item.status):
                return
        if ready:
            yield ready
        del ready
        items = ()
        try:
            group = await anext(groups)
        except StopAsyncIteration:
            return
        assert not isinstance(group, Snapshot)  # there is one, the first
        items = group
        if not items:
            yield []


async def events(
    request: A2aRequest,
    task_id: str,
    *,
    after: int | None,
    closes_at_question: bool,
    history_length: int | None = None,
    keepalive: float | None = None,
) -> AsyncGenerator[Numbered]:
    """The same one at a time; None when nothing has happened for a while."""
    groups = event_groups(
        request,
        task_id,
        after=after,
        closes_at_question=closes_at_question,
        history_length=history_length,
        keepalive=keepalive,
    )
    async with aclosing(groups):
        async for group in groups:
            for numbered in group or [("", None)]:
                yield numbered
