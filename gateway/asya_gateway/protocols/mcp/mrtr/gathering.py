"""Ask what a flow needs before it starts, then go on: for tools/call, prompts/get and resources/read alike."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds.flow import McpExposure
from asya_crds.violation import Violation
from asya_gateway.domain.errors import InvalidArguments, KeyReused
from asya_gateway.domain.flows import ServedFlow
from asya_gateway.protocols.http.holding import HeldRequest
from asya_gateway.protocols.mcp.errors import InvalidParams, MissingCapability
from asya_gateway.protocols.mcp.forms import Asker
from asya_gateway.protocols.mcp.mrtr.in_session import HeldInputs
from asya_gateway.protocols.mcp.mrtr.responses import responses_of
from asya_gateway.protocols.mcp.mrtr.rounds import Declined, Rounds, RoundState, UrlsNotOffered
from asya_gateway.protocols.mcp.mrtr.session_state import SessionState, stored_state
from asya_gateway.protocols.mcp.mrtr.state import InvalidState, RequestState, States, new_id
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the flow starts with: the arguments, and the answers under the flow's inputKey.

    `key` is the caller's idempotency key; for a call without one that came with a state it is the state's, so that the
    same retry twice makes one task.
    """

    payload: dict[str, Any]
    key: str | None = None


GoOn = Callable[[Gathered], Awaitable[Result | HeldRequest[Result]]]


def refused(error: Declined) -> Result:
    """For methods whose results have no place for an error. Raises InvalidParams."""
    raise InvalidParams(str(error))


async def with_inputs(
    context: RequestContext,
    served: ServedFlow,
    arguments: dict[str, Any],
    go_on: GoOn,
    *,
    key: str | None = None,
    declined: Callable[[Declined], Result] = refused,
) -> Result | HeldRequest[Result]:
    """Answer with what is still to be asked; once nothing is, what `go_on` makes of the answers. A flow that asks for
    nothing goes on at once.

    Raises InvalidArguments before anything is asked, InvalidParams for a wrong state or response, MissingCapability,
    UrlsNotOffered, Overloaded, Unavailable, and what `go_on` raises.
    """
    exposure = served.flow.mcp
    if not context.revision.stateless:
        session = await _in_session(context, served, arguments, go_on, key, declined)
        return await go_on(Gathered(arguments, key)) if session is None else session
    if exposure is None or not exposure.input:
        responses_of(context.params)
        if "requestState" in context.params:
            raise InvalidState
        return await go_on(Gathered(arguments, key))
    await _check_arguments(context, served, exposure, arguments)
    responses = responses_of(context.params)
    states = await States.of(context, served.flow)
    brought = await states.opened(context.params)
    rounds = Rounds(exposure, _asker(context), arguments)
    try:
        asking = rounds.next(RoundState() if brought is None else brought.standing, responses)
    except Declined as error:
        return declined(error)
    if asking.requests:
        id = new_id() if brought is None else brought.id
        state = await states.sealed(RequestState(id, asking.standing))
        return Result({"resultType": "input_required", "inputRequests": asking.requests, "requestState": state})
    payload = {**arguments, exposure.input_key: asking.standing.answers}
    if brought is None or key is not None:
        return await go_on(Gathered(payload, key))
    try:
        return await go_on(Gathered(payload, f" mrtr {brought.id}"))
    except KeyReused:
        # The state was used with other answers already.
        raise InvalidState from None


async def _in_session(
    context: RequestContext,
    served: ServedFlow,
    arguments: dict[str, Any],
    go_on: GoOn,
    key: str | None,
    declined: Callable[[Declined], Result],
) -> HeldRequest[Result] | None:
    """A held call that asks its client; None without a session, or if the client can be asked nothing, and gives the
    answers with its arguments."""
    exposure, call = served.flow.mcp, context.session
    if call is None or exposure is None or not exposure.input:
        return None
    rounds = Rounds(exposure, _asker(context), arguments)
    try:
        rounds.check_capabilities({})
    except (MissingCapability, UrlsNotOffered):
        return None
    await _check_arguments(context, served, exposure, arguments)
    state = None if call.resumed_at is None else await stored_state(call)

    async def start(answers: Mapping[str, Any], key: str) -> Result | HeldRequest[Result]:
        return await go_on(Gathered({**arguments, exposure.input_key: answers}, key))

    own = state or SessionState.new(context.params, key)
    return HeldInputs(context, call, served.flow.name, rounds, own, start, declined)


def _asker(context: RequestContext) -> Asker:
    return Asker(context.revision, context.client, urls=bool(context.settings.public_url))


async def _check_arguments(
    context: RequestContext, served: ServedFlow, exposure: McpExposure, arguments: dict[str, Any]
) -> None:
    """A wrong call is refused before anybody is asked for it. Raises InvalidArguments, Overloaded."""
    if exposure.input_key in arguments:
        # A model writes the arguments, but what is asked is for the person to answer.
        message = "expected no answers among the arguments: the client is asked for them"
        raise InvalidArguments([Violation(f"/{exposure.input_key}", message)])
    if served.check_arguments is not None:
        violations = await context.tasks.violations(served.check_arguments, arguments)
        if violations:
            raise InvalidArguments(violations)
