"""Merges an answer into the payload that waits for it. Pure."""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds import jsontext

_INDEX = re.compile("[0-9]{1,9}")


class CannotMerge(ValueError):
    """The answer cannot be merged into the payload. The text says why."""


def filled(checkpoint: str, answer: str, fields: Sequence[Any]) -> str:
    """A checkpoint's JSON text with the answer merged into its payload. Raises CannotMerge."""
    found = jsontext.loads(checkpoint, max_depth=2 * jsontext.MAX_DEPTH)
    found["payload"] = merge(found.get("payload"), jsontext.loads(answer), fields)
    return jsontext.dumps(found)


def merge(payload: Any, answer: Any, fields: Sequence[Any], *, deep: bool = False) -> Any:
    """The payload with the answer merged in.

    With `fields` ([{name, payload_key?, default?, …}]), each named part of the answer goes to its `payload_key`, a path
    such as /order/approved (by default /<name>); other parts are ignored. A field without an answer gets its default,
    if it has one. Without `fields`, the answer's keys replace the payload's; with `deep`, they are merged level by
    level. Raises CannotMerge.
    """
    named = [field for field in fields if isinstance(field, Mapping) and isinstance(field.get("name"), str)]
    if named:
        return _by_fields(payload, _answers(answer, named), named)
    if answer is None:
        return payload
    if not isinstance(payload, Mapping) or not isinstance(answer, Mapping):
        raise CannotMerge("payload and answer must both be objects where the pause names no fields")
    return _deep(payload, answer) if deep else {**payload, **answer}


def _answers(answer: Any, fields: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if isinstance(answer, Mapping):
        return answer
    if len(fields) == 1 and answer is not None:
        return {fields[0]["name"]: answer}
    raise CannotMerge("the answer must be an object of the fields that the pause names")


def _by_fields(payload: Any, answer: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> Any:
    merged = copy.deepcopy(payload)
    for field in fields:
        name = field["name"]
        if name in answer:
            value = answer[name]
        elif field.get("default") is not None:
            value = field["default"]
        else:
            continue
        key = field.get("payload_key")
        path = key if isinstance(key, str) and key.strip("/") else f"/{name}"
        parts = [part for part in path.split("/") if part]
        if len(parts) > jsontext.MAX_DEPTH or jsontext.deeper_than(value, jsontext.MAX_DEPTH - len(parts)):
            # No actor would accept it.
            raise CannotMerge(f"the payload would be nested deeper than {jsontext.MAX_DEPTH} levels")
        merged = _put(merged, parts, value)
    return merged


def _put(target: Any, path: Sequence[str], value: Any) -> Any:
    """The target with the value at the path. Missing objects on the way are created; list items are addressed by
    number."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(target, list):
        if not _INDEX.fullmatch(head) or int(head) >= len(target):
            raise CannotMerge(f"the payload's list has no item {head}")
        target[int(head)] = _put(target[int(head)], rest, value)
        return target
    if target is None:
        target = {}
    if not isinstance(target, dict):
        raise CannotMerge(f"the payload has no object to put {head} into")
    target[head] = _put(target.get(head), rest, value)
    return target


def _deep(payload: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(payload)
    for key, value in answer.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _deep(before, value) if both else value  # type: ignore[arg-type]
    return merged
