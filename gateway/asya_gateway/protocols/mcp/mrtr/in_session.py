"""Rounds in a session of an older revision: each input is a request of the gateway to the client, on the stream of the
call (2025-11-25, client/elicitation, client/sampling, client/roots).

What the round needs stands in the rows of its requests, so that another replica goes on with the call when the client
comes back there, whether the answers have arrived before or not.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from asya_gateway.domain.errors import Overloaded, Unavailable
from asya_gateway.domain.sessions.ports import NewServerRequest, ServerRequest
from asya_gateway.protocols.http.holding import ClientConnection, HeldRequest, Silent
from asya_gateway.protocols.http.outages import outlasting, wait_again
from asya_gateway.protocols.http.wait_limit import WaitLimit
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.forms import InputRequest
from asya_gateway.protocols.mcp.input_responses import GivenAnswer, refused
from asya_gateway.protocols.mcp.mrtr.rounds import Declined, Rounds
from asya_gateway.protocols.mcp.mrtr.session_state import SessionState, key_of_purpose
from asya_gateway.protocols.mcp.mrtr.state import LIFETIME
from asya_gateway.protocols.mcp.progress import beating
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.session_rights import FLOW
from asya_gateway.protocols.mcp.sessions.call import CallOfTask, OfTask, SessionCall
from asya_gateway.protocols.mcp.sessions.event_ids import Place

MOST_ATTEMPTS = 3
"""How often one input is asked, if its answers do not match its form."""

GoOn = Callable[[Mapping[str, Any], str], Awaitable[Result | HeldRequest[Result]]]
"""Starts the flow with these answers, under this idempotency key."""


class HeldInputs:
    """A call that asks its client before it starts, and then is what its flow makes it. Implements HeldRequest and
    OfTask."""

    survives_drain = True
    needs_stream = True

    def __init__(
        self,
        context: RequestContext,
        call: SessionCall,
        flow: str,
        rounds: Rounds,
        state: SessionState,
        go_on: GoOn,
        declined: Callable[[Declined], Result],
    ) -> None:
        self._context = context
        self._call = call
        self._flow = flow
        self._rounds = rounds
        self._state = state
        self._go_on = go_on
        self._declined = declined
        self._inner: HeldRequest[Result] | None = None
        self._asked: Sequence[ServerRequest] = ()

    @property
    def task(self) -> CallOfTask:
        """Its task, once there is one."""
        if isinstance(self._inner, OfTask):
            return self._inner.task
        named = {"name": self._state.params.get("name"), FLOW: self._flow}
        return CallOfTask(None, {**named, "token": self._context.progress_token})

    async def run(self, channel: ClientConnection) -> Result:
        """Ask, start the flow, and follow its task. Raises InvalidParams for a response of the wrong form, Overloaded
        if the client cannot be asked more, and what the flow's call raises."""
        if isinstance(channel, Silent):
            raise InvalidParams("expected a call of its own with a stream: its client is asked before it starts")
        context, place = self._context, self._call.resumed_at
        last = None if place is None else place.progress
        interval = context.settings.mcp_progress_interval
        asking, progress = beating(channel, context.progress_token, interval, last=last)
        self._call.where = lambda: (0, None if progress is None else progress.last)
        try:
            answers = await self._answers(asking)
        except Declined as error:
            return self._declined(error)
        # Under its key the flow starts once, however often that is tried.
        starting = self._limit()
        outcome = await outlasting(lambda: self._go_on(answers, self._state.key), asking, starting)
        if isinstance(outcome, Result):
            return outcome
        self._inner = outcome
        if not await self._begun(outcome):
            outcome.abandon()
            raise ConnectionError("the call was canceled")
        # Its progress goes on above what was sent while it was asked.
        self._call.resumed_at = Place(0, 0, None if progress is None else progress.last)
        return await outcome.run(channel)

    def abandon(self) -> None:
        """Called if the client leaves. It may come back and answer, unless it has canceled the call."""
        if self._inner is not None:
            self._inner.abandon()
        elif self._asked and self._call.canceled_by_client:
            self._context.background.start(self._call.withdraw(self._asked, _untold))

    async def _begun(self, outcome: HeldRequest[Result]) -> bool:
        """Store the task in the call's row, from which the stream goes on now. False if the call was canceled."""
        if not isinstance(outcome, OfTask):
            return True
        task, context = outcome.task, self._context
        return await self._call.begin(
            task.id, {"method": context.method, "revision": str(context.revision), **(task.call or {})}
        )

    async def _answers(self, channel: ClientConnection) -> Mapping[str, Any]:
        """The answers of all rounds. Raises Declined, InvalidParams, Overloaded, Unavailable."""
        responses: Mapping[str, Any] = {}
        while True:
            asking = self._rounds.next(self._state.standing, responses)
            if not asking.requests:
                return asking.standing.answers
            self._state = self._state.at(asking.standing)
            limit = self._limit()
            self._asked = await self._ask(asking.requests, channel, limit)
            responses = await self._responses(channel, limit)
            self._asked = ()
            self._state = self._state.after(asking.requests)

    def _limit(self) -> WaitLimit:
        return WaitLimit.within(LIFETIME, self._context.settings, self._context.draining)

    async def _ask(
        self, requests: Mapping[str, InputRequest], channel: ClientConnection, limit: WaitLimit
    ) -> Sequence[ServerRequest]:
        for key in requests:
            if self._state.attempts.get(key, 0) == MOST_ATTEMPTS:
                raise Declined(key, f"was answered {MOST_ATTEMPTS} times against its form")
        text = self._state.text()
        new = [
            NewServerRequest(
                self._state.purpose(key), request["method"], request.get("params", {}), None if number else text
            )
            for number, (key, request) in enumerate(requests.items())
        ]
        asked = await outlasting(lambda: self._call.ask(new, channel.notify), channel, limit)
        if asked is None:
            raise Overloaded("the client has too many open requests of this session; expected it to answer them")
        return asked

    async def _responses(self, channel: ClientConnection, limit: WaitLimit) -> Mapping[str, Any]:
        """Wait until every request has ended. Raises Declined if that takes too long."""
        asked = self._asked
        while any(each.is_open for each in asked):
            await channel.quiet()
            if limit.over:
                with suppress(Unavailable):
                    await self._call.withdraw(asked, channel.notify)
                raise Declined(_first_open(asked), f"was not answered within {limit.spent} seconds")
            if not self._call.asks:
                raise Declined(_first_open(asked), "can no longer be answered, because the session has ended")
            await self._call.news(limit.tick)
            asked = await self._looked(asked, channel, limit)
        return {key_of_purpose(each.purpose): _said(each) for each in asked}

    async def _looked(
        self, asked: Sequence[ServerRequest], channel: ClientConnection, limit: WaitLimit
    ) -> Sequence[ServerRequest]:
        """The requests as they are now; as they were while the database is away."""
        try:
            return await self._call.look(asked)
        except Unavailable:
            await wait_again(channel, limit)
            return asked


def _said(request: ServerRequest) -> Any:
    """The result of a request that has ended, or what its error means."""
    response = request.response or {}
    if "result" in response:
        return response["result"]
    error = response.get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    return refused(code) if isinstance(code, int) else GivenAnswer(refused(0).action)


def _first_open(asked: Sequence[ServerRequest]) -> str:
    return next(key_of_purpose(each.purpose) for each in asked if each.is_open)


async def _untold(_: str) -> None:
    """The client is gone, or has said itself that it does not want the call."""
