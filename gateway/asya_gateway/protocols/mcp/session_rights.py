"""What a message does to a session's calls and questions is done with the rights of the credential that sent it. A
session belongs to a caller, who may have several credentials, and some may do less than the one that made a call."""

from collections.abc import Mapping
from typing import Any

from asya_gateway.domain.identity.principals import Caller
from asya_gateway.domain.sessions.ports import CallStore, ServerRequest
from asya_gateway.domain.tasks import Tasks
from asya_gateway.protocols.http.policies import Need, check_need
from asya_gateway.protocols.mcp.session_answers import task_asking
from asya_gateway.protocols.mcp.sessions.call import RESULT_OF

FLOW = "flow"
"""The member of a stored call that names its flow while it has no task."""


async def check_cancellation(tasks: Tasks, calls: CallStore, session: bytes, request: bytes, caller: Caller) -> None:
    """Whether the caller may end this call. Raises Denied, TaskNotFound for a task that it may not see, Unavailable."""
    call = await calls.find(session, request)
    if call is not None and RESULT_OF in call.call:
        # Whoever may wait for a result may stop waiting.
        return
    check_need(caller, Need.INVOKE, "method 'notifications/cancelled'")
    if call is None:
        return
    if call.task_id is not None:
        await tasks.may_cancel(call.task_id, caller)
    else:
        _check_flow(tasks, call.call, caller)


async def check_answer(tasks: Tasks, calls: CallStore, request: ServerRequest, caller: Caller) -> None:
    """Whether the caller may answer this request of the gateway. Raises Denied, TaskNotFound for a task that it may not
    see, Unavailable."""
    check_need(caller, Need.INVOKE, "responses to requests of the gateway")
    task_id = task_asking(request)
    if task_id is not None:
        await tasks.may_answer(task_id, caller)
        return
    call = await calls.find(request.session, request.stream)
    if call is not None:
        _check_flow(tasks, call.call, caller)


def _check_flow(tasks: Tasks, call: Mapping[str, Any], caller: Caller) -> None:
    """Before its task, a call needs what a call of its flow needs. Pods of the version before do not name the flow."""
    if FLOW in call:
        tasks.may_call(call[FLOW], caller)
