"""Answers to the inputs that a flow asks for before it starts, where the caller gives them with its arguments.

A wire that can ask asks (protocols/mcp/mrtr); every other one takes the answers under the flow's `inputKey`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.flow import Flow, McpExposure
from asya_crds.rounds.asked import AskedInput
from asya_crds.rounds.quoting import filled_text, filled_url
from asya_crds.violation import Violation
from asya_gateway.domain.text import shortened

LONGEST_FORM = 1000
"""Characters of a form's schema in a refusal."""


def missing_answers(flow: Flow, payload: Any) -> list[Violation]:
    """One violation for each input that the payload does not answer, saying what is asked and in which form."""
    exposure = flow.mcp
    if exposure is None or not exposure.input or not isinstance(payload, dict):
        return []
    given = payload.get(exposure.input_key, {})
    # For answers that are no object, the schema has the better words.
    return list(_missing(exposure, given, payload)) if isinstance(given, dict) else []


def _missing(exposure: McpExposure, given: Mapping[str, Any], payload: Mapping[str, Any]) -> Iterator[Violation]:
    for inputs in exposure.input:
        for name, asked in inputs.items():
            if name not in given:
                yield Violation(f"/{exposure.input_key}/{name}", f"expected an answer: {_described(asked, payload)}")


def _described(asked: AskedInput, payload: Mapping[str, Any]) -> str:
    """What is asked, and the form of its answer."""
    elicitation = asked.elicitation
    if elicitation is not None:
        message = filled_text(elicitation.message, payload)
        if elicitation.url is not None:
            return f'{{"action": "accept"}} after opening {filled_url(elicitation.url, payload)} ({message})'
        form = shortened(jsontext.dumps(elicitation.requested_schema), LONGEST_FORM)
        return f'{{"action": "accept", "content": …}} with content of {form} ({message})'
    if asked.sampling is not None:
        return '{"role": "assistant", "model": …, "content": {"type": "text", "text": …}}, what a model says'
    return '{"roots": [{"uri": "file:///…"}]}, the folders to work in'
