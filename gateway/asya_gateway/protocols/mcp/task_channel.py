"""The wait for the task of a held request, with everything that its client is told meanwhile."""

from asya_crds.flow import Flow
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.task_wait import TaskWait, Tell
from asya_gateway.protocols.mcp.log_messages import LogMessages
from asya_gateway.protocols.mcp.progress import beating
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.tasks.asking import TaskAsks
from asya_gateway.protocols.mcp.telling import Telling


def hears_live(context: RequestContext, flow: Flow) -> bool:
    """Whether the client of a call that is held is told of live events: as progress, or as log messages."""
    shown = context.progress_token is not None and flow.mcp is not None and flow.mcp.progress
    return shown or LogMessages.of(context) is not None


def wait_of(
    context: RequestContext, flow: Flow, task_id: str, channel: ClientConnection, asks: TaskAsks | None
) -> tuple[TaskWait, ClientConnection]:
    """The wait, and the channel that keeps its client waiting. In a session it begins where the stream broke, and says
    where it stands; in a retry with answers it begins after the question."""
    exposure, session = flow.mcp, context.session
    place = None if session is None else session.resumed_at
    last = None if place is None else place.progress
    channel, progress = beating(channel, context.progress_token, context.settings.mcp_progress_interval, last=last)
    shown = progress if exposure is not None and exposure.progress else None
    logs = LogMessages.of(context)
    told: Tell | None = None
    if shown is not None or logs is not None:
        channel = telling = Telling(channel, context.offload, shown, logs)
        told = telling.tell
    wait = TaskWait(
        context.tasks,
        task_id,
        context.caller,
        live=told is not None,
        tell=told,
        after=place.seq if place is not None else 0 if asks is None else asks.seen,
        past=None if asks is None else asks.at_url,
    )
    if session is not None:
        session.where = lambda: (wait.seen, None if progress is None else progress.last)
    return wait, channel
