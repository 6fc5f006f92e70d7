"""What a running task asks a client that has no tasks (2026-07-28, patterns/mrtr): the request is answered with the
open questions and a state that names the task; the retry brings the answers, and waits on for the same task."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from asya_crds import jsontext
from asya_gateway.domain.errors import Overloaded, TaskNotFound
from asya_gateway.domain.task import TaskHead
from asya_gateway.protocols.http.links import Links
from asya_gateway.protocols.mcp.forms import asks_of
from asya_gateway.protocols.mcp.mrtr.asking import with_note
from asya_gateway.protocols.mcp.mrtr.responses import responses_of
from asya_gateway.protocols.mcp.mrtr.state import ADDED, LIFETIME, LONGEST_STATE, InvalidState
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.tasks.inputs import SURFACE, give_responses
from asya_gateway.protocols.mcp.tool_results import TASK_KEY

_PURPOSE = "mcp task state 1"


class TaskState(NamedTuple):
    """The task of a request that was answered with questions, and the seq up to which its client was told of it."""

    task_id: str
    seq: int


class TaskAsks:
    """Asks the client of one request what its task waits for. The state is bound to the principal, the method and the
    parameters without what retries add."""

    def __init__(self, context: RequestContext, about: bytes) -> None:
        self._context = context
        self._about = about
        self._unfit: Mapping[str, str] = {}
        self.seen = 0
        """The seq up to which the client of a retry was told of its task."""
        self.at_url: str | None = None
        """The pause whose person has gone to its URL, so that the retry waits for what comes after it."""

    @classmethod
    async def of(cls, context: RequestContext) -> "TaskAsks | None":
        """None if nothing can be asked, and the request brings no state. Must be called while the context has its
        parameters. Raises Overloaded for a retry."""
        brings = "requestState" in context.params
        if not context.revision.stateless or not (context.client.askable or brings):
            return None
        params = {name: value for name, value in context.params.items() if name not in ADDED}
        try:
            return cls(context, await context.tasks.digest(_PURPOSE, context.caller.owner, context.method, params))
        except Overloaded:
            if brings:
                raise
            # A call of large arguments goes on; if its flow asks something, a text says where that is answered.
            return None

    async def continued(self, *, live: bool) -> str | None:
        """The task with which a retry goes on, after its answers were given to it; None if this request is none.
        `live`: whether its client is told of the live events that come after the answers. Raises
        InvalidParams for a response of the wrong type before anything is answered, InvalidState for a task that is
        gone, Denied, Unavailable."""
        state, context = await self._state(), self._context
        if state is None:
            return None
        responses = responses_of(context.params)
        try:
            task = await context.tasks.get(state.task_id, context.caller, payload=False)
        except TaskNotFound:
            raise InvalidState from None
        if live:
            await context.tasks.expect(task.id)
        taken = await give_responses(context, task, responses)
        self._unfit, self.seen = taken.unfit, state.seq
        self.at_url = task.pause.id if taken.consented and task.pause is not None else None
        return task.id

    async def asked(self, task: TaskHead) -> Result | None:
        """The questions of a waiting task, with the state for the retry; None if this client can be asked none of them.
        Raises Unavailable."""
        context = self._context
        public_url = context.settings.public_url
        asks = asks_of(task, SURFACE, context.revision, context.client, public_url)
        if not asks.requests:
            return None
        requests = {key: with_note(request, self._unfit.get(key, "")) for key, request in asks.requests.items()}
        text = jsontext.dumps({"task": task.id, "seq": task.last_seq})
        state = await context.sealing.seal(text, self._about, LIFETIME)
        links = Links(task.id, public_url)
        details = {
            "task_id": task.id,
            "status": task.status.value,
            "status_url": links.status,
            "answer_url": links.resume,
        }
        fields: dict[str, Any] = {"resultType": "input_required", "inputRequests": requests, "requestState": state}
        return Result({**fields, "_meta": {TASK_KEY: details}})

    async def _state(self) -> TaskState | None:
        sealed = self._context.params.get("requestState")
        if not isinstance(sealed, str) or len(sealed) > LONGEST_STATE:
            return None
        text = await self._context.sealing.unseal(sealed, self._about)
        if text is None:
            return None
        value = jsontext.loads(text)
        return TaskState(value["task"], value["seq"])
