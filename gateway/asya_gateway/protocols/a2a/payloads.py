"""From a message to what the first actor gets, and to the answer of a question."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_gateway.domain.pause import Pause
from asya_gateway.protocols.a2a.errors import INVALID_PARAMS, A2aError
from asya_gateway.protocols.a2a.model import Message, Part, PartKind

OURS = "a2a"
"""The member of a payload in which an actor finds its task and the messages."""
QUERY = "query"


def lone_data(message: Message) -> Any:
    """The value of a message that is one part of data, which is the payload itself; else None."""
    [first, *others] = message.parts
    return first.value if not others and first.kind is PartKind.DATA else None


def arguments_of(message: Message) -> Any:
    """The payload without our member. A lone part of data is the payload. Otherwise parts of data are merged, later
    ones win, and texts become `query`, joined by line breaks. Files are found in the messages alone. Raises A2aError
    for data that cannot be merged."""
    alone = lone_data(message)
    if alone is not None:
        return alone
    payload: dict[str, Any] = {}
    for index, part in enumerate(message.parts):
        if part.kind is PartKind.DATA:
            if not isinstance(part.value, Mapping):
                raise _wrong(f"message.parts[{index}].data", "an object, because there are other parts beside it")
            payload |= part.value
    texts = [part.value for part in message.parts if part.kind is PartKind.TEXT]
    return {**payload, QUERY: "\n".join(texts)} if texts else payload


def with_messages(
    payload: Any, task_id: str, context_id: str, messages: Sequence[Mapping[str, Any]], modes: Sequence[str] = ()
) -> Any:
    """The payload with our member, in which messages are in the form of 1.0. `modes`: the media types that the client
    accepts, if it names any. A payload that is no object cannot have our member and stays as it is."""
    if not isinstance(payload, Mapping):
        return payload
    task: dict[str, Any] = {"id": task_id, "context_id": context_id, "history": list(messages)}
    if modes:
        task["accepted_output_modes"] = list(modes)
    return {**payload, OURS: {"task": task}}


INPUTS = "inputs"
"""The member of a part of data that answers several inputs by their keys."""


def answers_of(message: Message, pause: Pause) -> list[tuple[str | None, Any]]:
    """The answers that a message gives, each with the key of its input; None is the only open one.

    A part of data is the answer as it is, or `{"inputs": {key: answer}}`. A text fills the only field that must be
    filled, as that field's type; a question without fields gets it as `query`. Raises A2aError naming the fields."""
    data = [part for part in message.parts if part.kind is PartKind.DATA]
    if len(data) == 1 and not pause.plain and isinstance(data[0].value, Mapping) and set(data[0].value) == {INPUTS}:
        return _by_key(data[0].value[INPUTS], pause)
    if len(pause.open) > 1:
        keys = ", ".join(each.key for each in pause.open)
        raise _wrong("message.parts", f'one part of data {{"{INPUTS}": {{key: answer}}}} with keys of {keys}')
    if len(data) == 1:
        return [(None, data[0].value)]
    texts = [part for part in message.parts if part.kind is PartKind.TEXT]
    schema = _open_schema(pause)
    fields = _fields(schema)
    if data or not texts:
        raise _wrong("message.parts", f"one part of data with {_named(fields)}")
    text = "\n".join(part.value for part in texts)
    if not fields:
        # As in the message that began the task: a question without fields takes what it is told.
        return [(None, {QUERY: text} if pause.plain else text)]
    required = _required(schema, fields)
    if len(required) != 1:
        raise _wrong("message.parts", f"one part of data with {_named(fields)}")
    [name] = required
    return [(None, {name: _coerced(text.strip(), fields[name], name)})]


def _by_key(answers: Any, pause: Pause) -> list[tuple[str | None, Any]]:
    keys = [each.key for each in pause.open]
    if not isinstance(answers, Mapping) or not answers or not set(keys).issuperset(answers):
        raise _wrong(f"message.parts[0].data.{INPUTS}", f"answers by keys of {', '.join(keys)}")
    return list(answers.items())


def _open_schema(pause: Pause) -> Mapping[str, Any]:
    """The schema of the only open input."""
    [asked] = pause.open
    schema = asked.params.get("requestedSchema")
    return schema if isinstance(schema, Mapping) else {}


def _fields(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _required(schema: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    required = schema.get("required")
    names = [name for name in required if name in fields] if isinstance(required, list) else []
    return names or (list(fields) if len(fields) == 1 else [])


def _coerced(text: str, field: Any, name: str) -> Any:
    kind = field.get("type") if isinstance(field, Mapping) else None
    if isinstance(field, Mapping) and isinstance(field.get("enum"), list):
        return next((each for each in field["enum"] if str(each).lower() == text.lower()), text)
    match kind:
        case "boolean":
            return _boolean(text, name)
        case "integer":
            return _number(int, text, name, "an integer")
        case "number":
            return _number(_exact, text, name, "a number")
        case _:
            return text


YES, NO = frozenset({"true", "yes", "y", "1", "ok", "approve", "approved"}), frozenset({"false", "no", "n", "0"})


def _boolean(text: str, name: str) -> bool:
    word = text.lower()
    if word not in YES | NO:
        raise _wrong(name, "yes or no")
    return word in YES


def _exact(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _number(read: Any, text: str, name: str, expected: str) -> Any:
    try:
        value = read(text)
    except ValueError:
        raise _wrong(name, expected) from None
    if value != value or value in (float("inf"), float("-inf")):
        raise _wrong(name, expected)
    return value


def _named(fields: Mapping[str, Any]) -> str:
    return ", ".join(fields) if fields else "the answer"


def _wrong(field: str, expected: str) -> A2aError:
    return A2aError(INVALID_PARAMS, f"{field}: expected {expected}", fields=[(field, f"expected {expected}")])


def check_modes(parts: Sequence[Part], accepted: Sequence[str]) -> str | None:
    """The media type of the first part that a flow does not take; None if it takes all. A part without a type has the
    usual one of its kind; files without a type are taken."""
    for part in parts:
        media_type = part.media_type or USUAL.get(part.kind, "")
        if media_type and not any(_matches(media_type, mode) for mode in accepted):
            return media_type
    return None


USUAL = {PartKind.TEXT: "text/plain", PartKind.DATA: "application/json"}


def _matches(media_type: str, mode: str) -> bool:
    plain, wanted = (each.partition(";")[0].strip().lower() for each in (media_type, mode))
    return wanted in ("*/*", plain) or (wanted.endswith("/*") and plain.startswith(wanted[:-1]))
