"""What clients answer: inputResponses of a request, and each of them as an answer for the flow.

A response of the wrong JSON type is an error of the client's program; content that does not match the form is a mistake
of the person, who is asked again (patterns/mrtr, "Error Handling").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asya_crds.answers import AnswerAction
from asya_crds.rounds.asked import AskedInput, Elicitation
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.input_responses import GivenAnswer, InvalidResponse, read_response
from asya_gateway.protocols.mcp.mrtr.asking import input_of
from asya_gateway.protocols.mcp.versions import Revision
from asya_schemas.compiling import compile_schema


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that the flow gets: the result object of MCP, without members that it does not name."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unfit:
    """Content that does not match its form. `note` tells the person."""

    note: str


@dataclass(frozen=True, slots=True)
class NotGiven:
    """The person declined, or closed what was asked."""

    action: AnswerAction


Outcome = Answered | Unfit | NotGiven


def responses_of(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request's inputResponses, empty without any. Raises InvalidParams."""
    responses = params.get("inputResponses", {})
    if not isinstance(responses, Mapping):
        raise InvalidParams("inputResponses: expected an object of responses by their keys")
    return responses


def outcome_of(key: str, asked: AskedInput, response: Any, revision: Revision) -> Outcome:
    """What a response means. Raises InvalidParams naming the key if it is no result of the request's kind."""
    given = response
    if not isinstance(given, GivenAnswer):
        try:
            given = read_response(input_of(key, asked, {}), response, revision)
        except InvalidResponse as error:
            raise InvalidParams(f"inputResponses.{key}: {error}") from None
    if given.action is not AnswerAction.ACCEPT:
        return NotGiven(given.action)
    return Answered(given.answer) if asked.elicitation is None else _elicited(asked.elicitation, given.answer)


def _elicited(asked: Elicitation, content: Any) -> Outcome:
    form = asked.requested_schema
    if form is None:
        return Answered({"action": "accept"})
    known = {name: value for name, value in content.items() if name in form["properties"]}
    violations = compile_schema(form, known_good=True)(known)
    if violations:
        first = violations[0]
        return Unfit(f"The last answer was not taken: {first.path.lstrip('/') or 'the form'}: {first.message}")
    return Answered({"action": "accept", "content": known})
