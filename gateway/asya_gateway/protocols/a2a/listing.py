"""ListTasks: the caller's tasks of the flows that are skills, in the order of their statuses' times (section 3.1.4)."""

from collections.abc import Iterator, Sequence
from itertools import islice

from asya_crds.status import TaskStatus
from asya_gateway.domain.conversation_lists import ConversationFilter, Listed, Places, Position, Rejection
from asya_gateway.domain.errors import TaskNotFound
from asya_gateway.protocols.a2a.contexts import inner_context_id
from asya_gateway.protocols.a2a.large_contents import written_messages
from asya_gateway.protocols.a2a.model import ListRequest, Page, State, TaskView, Verbatim
from asya_gateway.protocols.a2a.outputs import STATES
from asya_gateway.protocols.a2a.page_tokens import page_token, read_page_token
from asya_gateway.protocols.a2a.request import A2aRequest
from asya_gateway.protocols.a2a.skills import listed
from asya_gateway.protocols.a2a.viewing import view, view_of

STATUS_OF = {state: status for status, state in STATES.items()} | {State.REJECTED: TaskStatus.FAILED}
REJECTION_OF = {State.REJECTED: Rejection.ONLY, State.FAILED: Rejection.NONE}


async def page(request: A2aRequest, asked: ListRequest) -> Page:
    """The page. Raises InvalidInput for a token that is none of ours, FlowNotFound for an unknown tenant."""
    query = _filter(request, asked)
    total = await request.lists.count(query)
    places = await request.lists.places(query)
    views, after = await _views(request, asked, places) if places.found else ((), None)
    after = after or places.next
    token = page_token(after) if after is not None else ""
    return Page(views, token, asked.page_size, total)


def _filter(request: A2aRequest, asked: ListRequest) -> ConversationFilter:
    names = frozenset({asked.context_id, inner_context_id(request.caller, asked.context_id)})
    return ConversationFilter(
        owner=request.caller.owner,
        flows=listed(request.flows, request.caller, request.skill or asked.tenant),
        status=None if asked.state is None else STATUS_OF[asked.state],
        rejection=Rejection.ANY if asked.state is None else REJECTION_OF.get(asked.state, Rejection.ANY),
        context_id=asked.context_id or None,
        context_names=names if asked.context_id else frozenset(),
        since=asked.changed_since,
        after=read_page_token(asked.page_token) if asked.page_token else None,
        limit=asked.page_size,
    )


async def _views(
    request: A2aRequest, asked: ListRequest, places: Places
) -> tuple[tuple[TaskView, ...], Position | None]:
    """The views of the first tasks at these places, and where the list continues if not all of them are there, because
    together they are too large."""
    found = await request.lists.contents(
        request.caller.owner, places.found, messages=asked.history_length, results=asked.artifacts
    )
    histories = await _histories(request, found)
    views = [await _view(request, asked, *each) for each in zip(found, histories, strict=True)]
    ids = [task_id for _, task_id in places.found]
    last = places.found[ids.index(found[-1].task.id)] if found else places.found[-1]
    behind = None if last == places.found[-1] else places.behind(last)
    return tuple(each for each in views if each is not None), behind


async def _histories(request: A2aRequest, found: Sequence[Listed]) -> Iterator[tuple[Verbatim, ...]]:
    """The messages of each task, those of all tasks written together. Raises Overloaded."""
    texts = [text for each in found for text in each.messages]
    written = iter(await written_messages(texts, request.dialect, request.offload))
    return (tuple(islice(written, len(each.messages))) for each in found)


async def _view(
    request: A2aRequest, asked: ListRequest, each: Listed, history: tuple[Verbatim, ...]
) -> TaskView | None:
    if each.whole:
        return view_of(each.task, each.conversation, history, artifacts=asked.artifacts, disabled=each.disabled)
    try:
        task = await request.tasks.get(each.task.id, request.caller, payload=False)
    except TaskNotFound:
        # It was removed meanwhile.
        return None
    return await view(request, task, each.conversation, asked.history_length, artifacts=asked.artifacts)
