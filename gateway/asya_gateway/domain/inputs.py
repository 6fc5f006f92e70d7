"""What an answer to an input must look like, and what the actor gets for it."""

from collections.abc import Mapping
from typing import Any

from asya_crds.answers import AnswerAction, InputMethod, OnDecline
from asya_gateway.domain.errors import Conflict, InvalidInput
from asya_gateway.domain.pause import ANSWER_ACTION, Input, Pause
from asya_gateway.domain.task import JsonText

_BLOCK = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}

SAMPLED: dict[str, Any] = {
    "type": "object",
    "required": ["role", "content", "model"],
    "properties": {
        "role": {"enum": ["user", "assistant"]},
        "content": {"anyOf": [_BLOCK, {"type": "array", "items": _BLOCK}]},
        "model": {"type": "string"},
        "stopReason": {"type": "string"},
    },
}
"""A CreateMessageResult of MCP, whose content may be a list since 2025-11-25."""

ROOTS: dict[str, Any] = {
    "type": "object",
    "required": ["roots"],
    "properties": {
        "roots": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["uri"],
                "properties": {"uri": {"type": "string", "pattern": "^file://"}, "name": {"type": "string"}},
            },
        }
    },
}
"""A ListRootsResult of MCP. ("This must start with file:// for now", schema Root.)"""

NO_CONTENT: dict[str, Any] = {"type": "null"}
"""The answer to an elicitation at a URL, which has no content."""


def answer_schema(asked: Input) -> dict[str, Any]:
    """The JSON Schema of an accepted answer."""
    match asked.method:
        case InputMethod.SAMPLING:
            return SAMPLED
        case InputMethod.ROOTS:
            return ROOTS
        case _ if asked.asks_at_url:
            return NO_CONTENT
        case _:
            schema: dict[str, Any] = asked.params["requestedSchema"]
            return schema


def asked_by(pause: Pause, key: str | None) -> Input:
    """The open input of a key; without one, the only open input. Raises InvalidInput, Conflict."""
    waiting = pause.open
    names = ", ".join(each.key for each in waiting)
    if key is None:
        if len(waiting) != 1:
            raise InvalidInput(f"expected the key of one of the open inputs: {names}", field="key")
        return waiting[0]
    found = next((each for each in waiting if each.key == key), None)
    if found is not None:
        return found
    if key in pause.keys:
        raise Conflict(f"the input was answered; open is {names}", field="key")
    raise InvalidInput(f"expected the key of an open input: {names}", field="key")


def stays_open(pause: Pause, action: AnswerAction) -> bool:
    """Whether the input stays open after this action."""
    if action is AnswerAction.ACCEPT:
        return False
    return action is AnswerAction.CONSENT or pause.on_decline is not OnDecline.CONTINUE


def with_action(pause: Pause, action: AnswerAction, answer: Any) -> Any:
    """What the actor of one form gets, before it is merged: the answer, with the action if the pause goes on after a
    decline. A value that is no object stands for the only field."""
    if pause.on_decline is not OnDecline.CONTINUE:
        return answer
    if action is not AnswerAction.ACCEPT:
        return {ANSWER_ACTION: action.value}
    if not isinstance(answer, Mapping):
        if len(pause.fields) != 1 or answer is None:
            return answer
        answer = {pause.fields[0]["name"]: answer}
    return {**answer, ANSWER_ACTION: action.value}


def result_of(asked: Input, action: AnswerAction, answer: JsonText) -> JsonText:
    """What the actor gets for a key: the result of the method in MCP. A model or a client that refused has none, so its
    action stands alone."""
    if action is not AnswerAction.ACCEPT:
        return f'{{"action":"{action.value}"}}'
    if asked.method is not InputMethod.ELICITATION:
        return answer
    return '{"action":"accept"}' if asked.asks_at_url else f'{{"action":"accept","content":{answer}}}'


def places_of(pause: Pause, action: AnswerAction) -> list[dict[str, Any]]:
    """Where the answers go in the payload ([{name, payload_key?, default?}]); empty if they are merged at its root."""
    if pause.inputs:
        return [
            {"name": each.key} | ({} if each.payload_key is None else {"payload_key": each.payload_key})
            for each in pause.inputs
        ]
    if not pause.fields or pause.on_decline is not OnDecline.CONTINUE:
        return pause.fields
    told = [{"name": ANSWER_ACTION}]
    return [*pause.fields, *told] if action is AnswerAction.ACCEPT else told
