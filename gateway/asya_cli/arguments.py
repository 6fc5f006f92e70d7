"""Arguments of a tool from words of a command line: `key=value`, typed by the tool's inputSchema."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asya_cli.errors import UsageProblem

_BOOLEANS = {"true": True, "false": False}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def read_arguments(words: Iterable[str], text: str | None, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments: the object in `text` (JSON, or `@FILE`, `@-` is stdin), then each `key=value` over it.

    A value is read as the type that `schema` (JSON Schema of an object) gives its key; a key given several times
    fills an array; `key=@FILE` reads the value from a file. Raises UsageProblem naming the key.
    """
    arguments = _object(text) if text is not None else {}
    seen: set[str] = set()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageProblem(f"{word!r}: expected key=value")
        types = _types(schema, key)
        found = _read(key, _content(key, value), types)
        if key in seen and "array" in types:
            earlier = arguments[key]
            arguments[key] = [*earlier, *(found if isinstance(found, list) else [found])]
        elif key in seen:
            raise UsageProblem(f"{key}: given twice")
        else:
            arguments[key] = found
        seen.add(key)
    return arguments


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(_content("--json", text))
    except ValueError as error:
        raise UsageProblem(f"--json: expected JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageProblem("--json: expected a JSON object")
    return value


def _content(key: str, value: str) -> str:
    """The value itself, or the text of the file that `@FILE` names; `@@` begins a value with one @."""
    if value.startswith("@@"):
        return value[1:]
    if not value.startswith("@"):
        return value
    try:
        return sys.stdin.read() if value == "@-" else Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{key}: cannot read {value[1:]}: {error}") from None


def _types(schema: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The JSON types that the schema allows for a key, () where it does not say."""
    properties = schema.get("properties")
    part = properties.get(key) if isinstance(properties, Mapping) else None
    return tuple(dict.fromkeys(_types_of(part)))


def _types_of(part: Any) -> list[str]:
    if not isinstance(part, Mapping):
        return []
    declared = part.get("type")
    if isinstance(declared, str):
        return [declared]
    if isinstance(declared, list):
        return [name for name in declared if isinstance(name, str)]
    options = [*(part.get("anyOf") or []), *(part.get("oneOf") or [])]
    return [name for option in options for name in _types_of(option)]


def _read(key: str, text: str, types: tuple[str, ...]) -> Any:
    """The value of a word. Where the schema allows text and more, what reads as one of the others is that."""
    if types == ("string",):
        return text
    value = _parsed(text)
    if not types:
        return text if value is _NOTHING else value
    allowed = tuple(python for name in types for python in _TYPES.get(name, ()))
    if value is not _NOTHING and isinstance(value, allowed) and not (isinstance(value, bool) and bool not in allowed):
        return value
    if "string" in types:
        return text
    if "array" in types:
        # `tags=a` is the array of one that was meant; the gateway holds its items against the schema.
        return [text if value is _NOTHING else value]
    raise UsageProblem(f"{key}: expected {' or '.join(types)}, not {text!r}")


_NOTHING = object()


def _parsed(text: str) -> Any:
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        return json.loads(text, parse_constant=lambda _: _NOTHING)
    except ValueError:
        return _NOTHING
