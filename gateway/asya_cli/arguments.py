"""A tool's arguments from the command line: `key=value`, typed by the tool's inputSchema."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asya_cli.errors import UsageProblem
from asya_cli.schema_types import EVERY, Kinds, contains, kinds_of
from asya_crds import jsontext

_BOOLEANS = {"true": True, "false": False}


def read_arguments(words: Iterable[str], text: str | None, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments: the object in `text` (JSON, `@FILE`, or `@-` for stdin), overridden by each `key=value`.

    A value is read with the type that `schema` (the JSON Schema of an object) gives its key. A repeated key fills an
    array. `key=@FILE` reads the value from a file. Raises UsageProblem naming the key.
    """
    arguments = _object(text) if text is not None else {}
    seen: set[str] = set()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageProblem(f"{word!r}: expected key=value")
        kinds = kinds_of(schema, key)
        found = _read(key, content_of(key, value), kinds)
        if key in seen and kinds.types != EVERY and "array" in kinds.types:
            earlier = arguments[key]
            arguments[key] = [*earlier, *(found if isinstance(found, list) else [found])]
        elif key in seen:
            raise UsageProblem(f"{key}: given twice")
        else:
            arguments[key] = found
        seen.add(key)
    return arguments


def read_json(option: str, text: str) -> Any:
    """A JSON value from an option: the text itself, `@FILE`, or `@-` for stdin. Raises UsageProblem."""
    try:
        return jsontext.loads(content_of(option, text))
    except ValueError as error:
        raise UsageProblem(f"{option}: expected JSON: {error}") from None


def _object(text: str) -> dict[str, Any]:
    value = read_json("--json", text)
    if not isinstance(value, dict):
        raise UsageProblem("--json: expected a JSON object")
    return value


def content_of(key: str, value: str) -> str:
    """The value itself, or the text of the file named by `@FILE`. `@@` stands for a value that begins with @."""
    if value.startswith("@@"):
        return value[1:]
    if not value.startswith("@"):
        return value
    try:
        return sys.stdin.read() if value == "@-" else Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{key}: cannot read {value[1:]}: {error}") from None


def _read(key: str, text: str, kinds: Kinds) -> Any:
    """The value of an argument. If the schema allows text and other types, a text that is valid for another type
    becomes that type, unless the schema lists allowed values and the text is one of them."""
    types = kinds.types
    if types == {"string"}:
        return text
    value = _parsed(text)
    if kinds.values is not None and contains(kinds.values, text) and not contains(kinds.values, value):
        return text
    if types == EVERY:
        return text if value is _NOTHING else value
    if value is not _NOTHING and _type_of(value) in types:
        return value
    if "string" in types:
        return text
    if "array" in types:
        # `tags=a` means an array with one item.
        return [_read(key, text, kinds.items or Kinds())]
    raise UsageProblem(f"{key}: expected {' or '.join(kinds.names) or 'nothing'}, not {text!r}")


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"


_NOTHING = object()


def _parsed(text: str) -> Any:
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        return jsontext.loads(text)
    except ValueError:
        return _NOTHING
