"""The JSON Schema of a call that carries the answers: the arguments, and under a key of their own the answers as MCP
has them (2026-07-28, schema ElicitResult, CreateMessageResult, ListRootsResult)."""

from collections.abc import Sequence

from asya_crds.rounds.asked import AskedInput, OnDecline
from asya_crds.schema_rules import check_schema
from asya_crds.schema_walk import SAME_VALUE, SAME_VALUE_MAPS, SAME_VALUE_ONE, BrokenSchema, Path, Schema, subschemas

_LIMITING = ("propertyNames", "maxProperties")
_CLOSING = ("additionalProperties", "unevaluatedProperties")


def call_schema(input_schema: Schema, key: str, rounds: Sequence[dict[str, AskedInput]]) -> Schema:
    """The schema of arguments together with answers. Raises BrokenSchema if inputSchema cannot be extended, or if both
    together break the rules for schemas."""
    _check_open(input_schema)
    whole = {
        **input_schema,
        "properties": {**input_schema.get("properties", {}), key: answers_schema(rounds)},
        "required": [*input_schema.get("required", []), key],
    }
    check_schema(whole)
    return whole


def answers_schema(rounds: Sequence[dict[str, AskedInput]]) -> Schema:
    """The schema of all answers by their keys. null stands for an input that the client cannot be asked for; each round
    needs at least one answer."""
    properties = {name: _answer(asked, alone=len(inputs) == 1) for inputs in rounds for name, asked in inputs.items()}
    schema: Schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    several = [inputs for inputs in rounds if len(inputs) > 1]
    if several:
        schema["allOf"] = [{"anyOf": [_answered(name) for name in inputs]} for inputs in several]
    return schema


def _answered(name: str) -> Schema:
    return {"properties": {name: {"type": "object"}}, "required": [name]}


def _answer(asked: AskedInput, *, alone: bool) -> Schema:
    kind = "object" if alone else ["object", "null"]
    if asked.elicitation is not None:
        return {"type": kind, **_elicited(asked.elicitation.requested_schema, asked.on_decline)}
    declined: Schema = {"properties": {"action": {"enum": ["decline", "cancel"]}}, "required": ["action"]}
    answered = _SAMPLED if asked.sampling is not None else _LISTED
    if asked.on_decline != "continue":
        return {"type": kind, **answered}
    return {"type": kind, "if": {"required": ["action"]}, "then": declined, "else": answered}


def _elicited(form: Schema | None, on_decline: OnDecline) -> Schema:
    actions = ["accept", "decline", "cancel"] if on_decline == "continue" else ["accept"]
    schema: Schema = {"required": ["action"], "properties": {"action": {"enum": actions}}}
    if form is None:
        return schema
    content = {word: value for word, value in form.items() if word != "$schema"}
    accepted = {"properties": {"action": {"const": "accept"}}, "required": ["action"]}
    return {**schema, "if": accepted, "then": {"required": ["content"], "properties": {"content": content}}}


_BLOCK: Schema = {"type": "object", "properties": {"type": {"type": "string"}}, "required": ["type"]}
_SAMPLED: Schema = {
    "required": ["role", "content", "model"],
    "properties": {
        "role": {"enum": ["user", "assistant"]},
        "model": {"type": "string"},
        "content": {**_BLOCK, "type": ["object", "array"], "items": _BLOCK},
    },
}
_LISTED: Schema = {
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


def _check_open(schema: Schema) -> None:
    """Only the root itself may close the object, since it lists the answers' key among its properties."""
    for word in _LIMITING:
        if word in schema:
            raise BrokenSchema(f"with mcp.input, {word} would refuse the answers beside the arguments", (word,))
    for word in ("$ref", "$dynamicRef"):
        if word in schema:
            raise BrokenSchema("with mcp.input, expected the root itself to list the arguments", (word,))
    for path, part in subschemas(schema):
        if path and _is_same_value(path) and any(word in part for word in (*_LIMITING, *_CLOSING)):
            raise BrokenSchema(
                "with mcp.input, expected only the root to limit its members: this would refuse the answers beside "
                "the arguments",
                path,
            )


def _is_same_value(path: Path) -> bool:
    """Whether the subschema at this path applies to the arguments' object itself."""
    steps = iter(path)
    for word in steps:
        if word in (*SAME_VALUE, *SAME_VALUE_MAPS):
            next(steps, None)
        elif word not in SAME_VALUE_ONE:
            return False
    return True
