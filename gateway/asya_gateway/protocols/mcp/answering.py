"""From a checked request to its HTTP response: one JSON document, or an event stream that ends with the answer."""

import logging
from collections.abc import Awaitable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from asya_gateway.domain.errors import GatewayError, Overloaded
from asya_gateway.domain.identity.faults import TooManyRequests
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.accept import AcceptedForms
from asya_gateway.protocols.http.answers import NO_STORE, json_response
from asya_gateway.protocols.http.challenges import Challenges
from asya_gateway.protocols.http.errors import NotAcceptable
from asya_gateway.protocols.http.held_requests import CountedRequest
from asya_gateway.protocols.http.holding import HeldRequest, hold, stream
from asya_gateway.protocols.http.jsonrpc import INTERNAL_ERROR, Id, RpcError, error_text, result_text
from asya_gateway.protocols.http.keys import BUDGET, HELD
from asya_gateway.protocols.http.policies import check_need
from asya_gateway.protocols.http.sse import event_bytes
from asya_gateway.protocols.mcp.errors import HttpRefusal, Unanswerable, status_of
from asya_gateway.protocols.mcp.methods import COUNTED, HOLDING, NEEDS, Method
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.sessions.call import OfTask
from asya_gateway.protocols.mcp.sessions.streaming import SessionStream, stream_call

log = logging.getLogger(__name__)

CANCELED = "The client canceled its request"


@dataclass(frozen=True, slots=True)
class FinalResponse:
    """A response message, with its HTTP status and headers for the case that no stream has begun."""

    text: JsonText
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)
    good: bool = True
    """Whether it is a result."""

    @classmethod
    def failed(
        cls, error: RpcError, id: Id | None, *, stateless: bool, challenges: Challenges | None = None
    ) -> "FinalResponse":
        """An error response. `challenges` tell a caller that lacks scopes which it needs."""
        headers: dict[str, str] = {}
        if isinstance(error, Unanswerable) and challenges is not None:
            headers |= challenges.headers(error.cause)
        if isinstance(error, Unanswerable) and error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        return cls(error_text(error, id), status_of(error, stateless=stateless), headers, good=False)


async def settle(context: RequestContext, work: Awaitable[Result]) -> FinalResponse:
    """Await a result and make it a message. Any error becomes an error message, because a caller without an answer
    would have to call again."""
    settled = await settle_or_hold(context, work)
    assert isinstance(settled, FinalResponse)  # a Result is never held
    return settled


async def settle_or_hold(
    context: RequestContext, work: Awaitable[Result | HeldRequest[Result]]
) -> FinalResponse | HeldRequest[Result]:
    """The same for a method that may return a held request."""
    try:
        outcome = await work
        if not isinstance(outcome, Result):
            return outcome
        return FinalResponse(result_text(context.id, outcome.text(context.revision)))
    except RpcError as error:
        failure = error
    except GatewayError as error:
        context.refused(error)
        failure = Unanswerable(error)
    except ConnectionError:
        # The client has left; the code that holds its stream handles this.
        raise
    except Exception:
        log.exception("%s failed", context.method)
        failure = HttpRefusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error", INTERNAL_ERROR)
    return FinalResponse.failed(
        failure, context.id, stateless=context.revision.stateless, challenges=context.challenges
    )


async def answer(
    http: web.Request, context: RequestContext, method: Method, accepted: AcceptedForms
) -> web.StreamResponse:
    """Call the method and answer in a form that the client accepts. Nothing is sent before the method has checked its
    parameters, so that refusals keep their HTTP status. Raises Unanswerable."""
    with held_slot(http, context):
        outcome = await settle_or_hold(context, permitted(context, method))
        if isinstance(outcome, FinalResponse):
            return respond(outcome, accepted)
        if outcome.needs_stream and not accepted.stream:
            outcome.abandon()
            raise Unanswerable(NotAcceptable("expected text/event-stream", field="Accept"))
        context.drop_arguments()
        http.app[BUDGET].release()
        with attended(context):
            if not accepted.stream:
                settled = await hold_in(context, outcome)
                return web.Response(status=HTTPStatus.ACCEPTED) if settled is None else respond(settled, accepted)
            return await stream_in(http, context, outcome, accepted)


async def begun(context: RequestContext, held: HeldRequest[Result]) -> bool:
    """Store the open call of a session. False if it was canceled before it was stored."""
    call, task = context.session, held.task if isinstance(held, OfTask) else None
    if call is None or task is None or call.stored:
        return True
    made_of = task.call or {}
    return await call.begin(task.id, {"method": context.method, "revision": str(context.revision), **made_of})


def canceled(context: RequestContext, held: HeldRequest[Result]) -> None:
    """End the task of a call that its client canceled before the call was stored: only this process knows it."""
    task = held.task.id if isinstance(held, OfTask) else None
    if task is not None:
        context.background.start(context.tasks.abandon(task, context.caller, CANCELED))


def attended(context: RequestContext) -> AbstractContextManager[None]:
    """Hear of a request's session while the block runs."""
    return nullcontext() if context.session is None else context.session.attended()


async def hold_in(context: RequestContext, held: HeldRequest[Result]) -> FinalResponse | None:
    """The answer of a held request as one document. In a session it can be canceled from any replica; None if it was
    canceled before it was known there."""
    if not await begun(context, held):
        canceled(context, held)
        return None
    settled = await hold(held, partial(settle, context))
    if context.session is not None:
        context.session.end()
    return settled


async def stream_in(
    http: web.Request, context: RequestContext, held: HeldRequest[Result], accepted: AcceptedForms
) -> web.StreamResponse:
    """The stream of a held request, or its answer alone; in a session with ids, by which it can go on."""
    work, document, call = partial(settle, context), partial(respond, accepted=accepted), context.session
    if call is None:
        return await stream(http, held, work, _text, document)
    opening = SessionStream(http, call, context.revision, partial(begun, context, held))
    try:
        return await stream_call(opening, held, work, _text, document)
    finally:
        if call.canceled_here:
            canceled(context, held)


def _text(settled: FinalResponse) -> JsonText:
    return settled.text


async def permitted(context: RequestContext, method: Method) -> Result | HeldRequest[Result]:
    """Call a method for a caller that has some right to it. Raises Denied, TooManyRequests, and what the
    method raises."""
    check_need(context.caller, NEEDS[context.method], f"method '{context.method}'")
    if context.method in COUNTED:
        context.count()
    return await method(context)


def held_slot(http: web.Request, context: RequestContext, *, within: bool = False) -> AbstractContextManager[None]:
    """Count a request that may be held before its method stores anything; `within`: one that is answered on a stream
    that is counted itself. Raises Unanswerable."""
    if context.method not in HOLDING:
        return _NO_SLOT
    held, call = http.app[HELD], context.session
    more = 0 if call is None else call.session.weight
    return _Place(held.within(http, context.caller, more=more) if within else held.slot(http, more=more))


class _Place:
    """The place of a request whose refusal is a message."""

    __slots__ = ("_slot",)

    def __init__(self, slot: CountedRequest) -> None:
        self._slot = slot

    def __enter__(self) -> None:
        try:
            self._slot.__enter__()
        except (Overloaded, TooManyRequests) as error:
            raise Unanswerable(error) from None

    def __exit__(self, *raised: Any) -> None:
        self._slot.__exit__(*raised)


_NO_SLOT: AbstractContextManager[None] = nullcontext()


def respond(settled: FinalResponse, accepted: AcceptedForms) -> web.Response:
    """A response with a single message."""
    if accepted.json or settled.status >= HTTPStatus.MULTIPLE_CHOICES:
        return json_response(settled.text, status=settled.status, headers=settled.headers)
    headers = {**NO_STORE, **settled.headers, "Content-Type": "text/event-stream"}
    return web.Response(status=settled.status, body=event_bytes(settled.text, event="message"), headers=headers)


def refuse(error: RpcError, id: Id | None, *, stateless: bool, challenges: Challenges | None = None) -> web.Response:
    """The response to a message that is not a valid request, or that its caller may not send."""
    settled = FinalResponse.failed(error, id, stateless=stateless, challenges=challenges)
    return respond(settled, AcceptedForms(json=True, stream=False))


def batch_text(messages: list[FinalResponse]) -> JsonText:
    """The responses of a batch, in its order."""
    return f"[{','.join(message.text for message in messages)}]"
