"""What a form may ask: a flat object of texts, numbers, booleans and choices (MCP 2026-07-28, client/elicitation,
"Requested Schema"; schema ElicitRequestFormParams)."""

from collections.abc import Callable, Mapping
from typing import Any

from asya_crds.schema_walk import BrokenSchema, Path

MOST_FIELDS = 64
MOST_CHOICES = 256
LONGEST_NAME = 128
FORMATS = ("date", "date-time", "email", "uri")
_TYPES = ("string", "number", "integer", "boolean", "array")
_ROOT = frozenset({"$schema", "type", "properties", "required"})
_SHOWN = frozenset({"type", "title", "description", "default"})
_TEXT = _SHOWN | {"minLength", "maxLength", "format"}
_NUMBER = _SHOWN | {"minimum", "maximum"}
_LIST = _SHOWN | {"items", "minItems", "maxItems"}


def check_form_schema(schema: Mapping[str, Any]) -> None:
    """Raises BrokenSchema naming the place and what clients can show there."""
    _only(schema, _ROOT, ())
    if schema.get("type") != "object":
        raise BrokenSchema('expected "type": "object"', ("type",))
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or len(properties) > MOST_FIELDS:
        raise BrokenSchema(f"expected an object of at most {MOST_FIELDS} fields", ("properties",))
    for name, field in properties.items():
        path: Path = ("properties", name)
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
            raise BrokenSchema(f"expected a name of 1 to {LONGEST_NAME} characters", ("properties", str(name)[:80]))
        if not isinstance(field, Mapping):
            raise BrokenSchema("expected an object", path)
        _check_field(field, path)
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) and name in properties for name in required):
        raise BrokenSchema("expected a list of names of `properties`", ("required",))


def _check_field(field: Mapping[str, Any], path: Path) -> None:
    kind = field.get("type")
    if kind not in _TYPES:
        raise BrokenSchema(
            f"expected a form's field: type one of {', '.join(_TYPES)} (array for several choices), without nesting",
            (*path, "type"),
        )
    for word in ("title", "description"):
        if word in field and not isinstance(field[word], str):
            raise BrokenSchema("expected text", (*path, word))
    _CHECKS[kind](field, path)
    if "default" in field and not _fits(field["default"], kind):
        raise BrokenSchema(f"expected a value of the type {kind}", (*path, "default"))


def _check_text(field: Mapping[str, Any], path: Path) -> None:
    if "enum" in field:
        _only(field, _SHOWN | {"enum", "enumNames"}, path)
        names = _texts(field["enum"], (*path, "enum"))
        if "enumNames" in field and len(_texts(field["enumNames"], (*path, "enumNames"))) != len(names):
            raise BrokenSchema("expected as many names as enum has values", (*path, "enumNames"))
        return
    if "oneOf" in field:
        _only(field, _SHOWN | {"oneOf"}, path)
        _titled(field["oneOf"], (*path, "oneOf"))
        return
    _only(field, _TEXT, path)
    _counts(field, ("minLength", "maxLength"), path)
    if "format" in field and field["format"] not in FORMATS:
        raise BrokenSchema(f"expected one of {', '.join(FORMATS)}", (*path, "format"))


def _check_number(field: Mapping[str, Any], path: Path) -> None:
    _only(field, _NUMBER, path)
    for word in ("minimum", "maximum"):
        if word in field and not _is_number(field[word]):
            raise BrokenSchema("expected a number", (*path, word))


def _check_boolean(field: Mapping[str, Any], path: Path) -> None:
    _only(field, _SHOWN, path)


def _check_list(field: Mapping[str, Any], path: Path) -> None:
    """Several choices out of a list. A list of anything else would need a table."""
    _only(field, _LIST, path)
    _counts(field, ("minItems", "maxItems"), path)
    items, place = field.get("items"), (*path, "items")
    if isinstance(items, Mapping) and "anyOf" in items:
        _only(items, {"anyOf"}, place)
        _titled(items["anyOf"], (*place, "anyOf"))
    elif isinstance(items, Mapping) and items.get("type") == "string":
        _only(items, {"type", "enum"}, place)
        _texts(items.get("enum"), (*place, "enum"))
    else:
        raise BrokenSchema("expected choices: {type: string, enum: […]}, or {anyOf: [{const, title}, …]}", place)


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Path], None]] = {
    "string": _check_text,
    "number": _check_number,
    "integer": _check_number,
    "boolean": _check_boolean,
    "array": _check_list,
}


def _only(value: Mapping[str, Any], words: frozenset[str] | set[str], path: Path) -> None:
    for word in value:
        if word not in words:
            known = ", ".join(sorted(words))
            raise BrokenSchema(f"a form cannot show this; expected only {known}", (*path, str(word)[:80]))


def _texts(values: Any, path: Path) -> list[str]:
    if not _is_list(values) or not all(isinstance(value, str) for value in values):
        raise BrokenSchema(f"expected a list of 1 to {MOST_CHOICES} texts", path)
    return list(values)


def _titled(values: Any, path: Path) -> None:
    if not _is_list(values) or not all(_is_titled(value) for value in values):
        raise BrokenSchema(f"expected a list of 1 to {MOST_CHOICES} choices {{const: text, title: text}}", path)


def _is_titled(value: Any) -> bool:
    words = ("const", "title")
    return isinstance(value, Mapping) and set(value) == set(words) and all(isinstance(value[w], str) for w in words)


def _is_list(values: Any) -> bool:
    return isinstance(values, list) and 1 <= len(values) <= MOST_CHOICES


def _counts(field: Mapping[str, Any], words: tuple[str, ...], path: Path) -> None:
    for word in words:
        count = field.get(word, 0)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise BrokenSchema("expected a whole number, 0 or more", (*path, word))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return _is_number(value)
        case _:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
