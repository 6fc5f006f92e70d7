"""How far the inputs of a call have come: pure, so that every way of asking decides alike."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asya_crds.answers import AnswerAction
from asya_crds.flow import McpExposure
from asya_crds.rounds.asked import AskedInput
from asya_gateway.protocols.http.jsonrpc import INTERNAL_ERROR, RpcError
from asya_gateway.protocols.mcp.errors import MissingCapability
from asya_gateway.protocols.mcp.forms import Asker, CannotAsk, InputRequest
from asya_gateway.protocols.mcp.mrtr.asking import asked_request, can_ask, required_capabilities
from asya_gateway.protocols.mcp.mrtr.responses import Answered, NotGiven, Unfit, outcome_of

MOST_DECLINES = 3
"""Declines of `onDecline: wait` until the call is refused. Some clients decline without showing anything, and would be
asked for ever."""


_DECLINED = {
    AnswerAction.DECLINE: "was declined",
    AnswerAction.CANCEL: "was closed without an answer",
}


class Declined(Exception):
    """An input without which the flow does not start was not answered; `how` that came."""

    def __init__(self, key: str, how: str) -> None:
        super().__init__(f"The input {key} {how}; nothing was started.")


class UrlsNotOffered(RpcError):
    """The flow asks at URLs alone. Whatever the client declares, it is asked at none without a public URL of this
    gateway."""

    def __init__(self) -> None:
        super().__init__(
            INTERNAL_ERROR, "The flow asks its caller at a URL, which the gateway offers only with ASYA_PUBLIC_URL"
        )


@dataclass(frozen=True, slots=True)
class RoundState:
    """The answers so far, and how often one of `onDecline: wait` was declined. `round` counts the rounds that are
    complete."""

    answers: Mapping[str, Any] = field(default_factory=dict)
    round: int = 0
    declines: int = 0


@dataclass(frozen=True, slots=True)
class NextRound:
    """What is to be asked next; empty when the flow can start with `standing.answers`."""

    standing: RoundState
    requests: dict[str, InputRequest]


class Rounds:
    """The rounds of one call: what the flow asks, of a client with these capabilities, about these arguments."""

    def __init__(self, exposure: McpExposure, asker: Asker, arguments: Mapping[str, Any]) -> None:
        self._rounds = exposure.input
        self._key = exposure.input_key
        self._asker = asker
        self._arguments = arguments

    def check_capabilities(self, answered: Mapping[str, Any]) -> None:
        """Raises MissingCapability or UrlsNotOffered for a round of which the client can be asked nothing, before a
        person is asked for another."""
        for inputs in self._rounds:
            if answered.keys() & inputs.keys() or any(can_ask(asked, self._asker) for asked in inputs.values()):
                continue
            raise self._not_asked(inputs.values())

    def _check_askable(self, again: Iterable[AskedInput]) -> None:
        """What was not answered well must be asked again. Raises MissingCapability or UrlsNotOffered if it cannot
        be."""
        unaskable = [asked for asked in again if not can_ask(asked, self._asker)]
        if unaskable:
            raise self._not_asked(unaskable)

    def _not_asked(self, inputs: Iterable[AskedInput]) -> MissingCapability | UrlsNotOffered:
        required = required_capabilities(inputs, self._asker)
        return MissingCapability(required) if required else UrlsNotOffered()

    def next(self, standing: RoundState, responses: Mapping[str, Any]) -> NextRound:
        """Take the responses, and find what is open in the first incomplete round. Unknown keys are ignored. An input
        that the client cannot be asked gets the answer null, once its round is complete.

        Raises InvalidParams for a response of the wrong form, Declined, MissingCapability, UrlsNotOffered."""
        self.check_capabilities({**standing.answers, **responses})
        answers, declines = dict(standing.answers), standing.declines
        for number, inputs in enumerate(self._rounds):
            notes: dict[str, str] = {}
            for key, asked in inputs.items():
                if key in answers or key not in responses:
                    continue
                match outcome_of(key, asked, responses[key], self._asker.revision):
                    case Answered(value):
                        answers[key] = value
                    case Unfit(note):
                        notes[key] = note
                    case NotGiven(action) if asked.on_decline == "continue":
                        answers[key] = {"action": action.value}
                    case NotGiven(action):
                        declines += 1
                        if asked.on_decline == "fail" or declines >= MOST_DECLINES:
                            raise Declined(key, _DECLINED.get(action, "was not answered"))
                        notes[key] = ""
            self._check_askable(inputs[key] for key in notes)
            standing = replace(standing, answers=dict(answers), round=number, declines=declines)
            requests = self._open(inputs, answers, notes)
            if requests:
                return NextRound(standing, requests)
            answers |= {key: None for key in inputs if key not in answers}
        return NextRound(replace(standing, answers=answers, round=len(self._rounds)), {})

    def _open(
        self, inputs: Mapping[str, AskedInput], answers: Mapping[str, Any], notes: Mapping[str, str]
    ) -> dict[str, InputRequest]:
        values = {**self._arguments, self._key: answers}
        requests: dict[str, InputRequest] = {}
        for key, asked in inputs.items():
            if key not in answers:
                with contextlib.suppress(CannotAsk):
                    requests[key] = asked_request(key, asked, values, self._asker, notes.get(key, ""))
        return requests
