"""A JSON Schema as the requestedSchema of a form (client/elicitation, "Requested Schema"): a flat object of primitives,
enumerations and, from 2025-11-25 on, multiple selections. Pure.

Whatever a form's person enters must be an answer that the schema takes, apart from what a form cannot check: that is
said in the field's description, and the answer is checked again when it arrives.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_crds import jsontext
from asya_gateway.protocols.mcp.choices import Choices, choices_of
from asya_gateway.protocols.mcp.versions import Revision

LONGEST_CHAIN = 16
"""Most references that are followed from one field."""

_NOT_SHOWN = frozenset(
    {
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "const",
        "enum",
        "dependentRequired",
        "dependentSchemas",
        "minProperties",
        "maxProperties",
        "propertyNames",
        "patternProperties",
        "unevaluatedProperties",
        "$dynamicRef",
    }
)
"""Keywords of the object that bind its fields in ways that a form has no place for."""
_OF_OBJECT = frozenset({"type", "properties", "required", "$schema", "title", "description", "additionalProperties"})
_OF_FIELD = ("title", "description")
FORMATS = ("email", "uri", "date", "date-time")


class NotAForm(ValueError):
    """No form of this revision can ask for such an answer. The text says why."""


def requested_schema(schema: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    """The form of a schema; the schema itself if it is one. Raises NotAForm."""
    whole = _resolved(schema, schema)
    if whole.get("type", "object") != "object":
        raise NotAForm("the answer is not an object")
    for keyword in whole:
        if keyword in _NOT_SHOWN:
            raise NotAForm(f"{keyword} has no place in a form")
    properties = whole.get("properties") or {}
    fields = {name: _field(name, part, schema, revision) for name, part in properties.items()}
    required = list(whole.get("required") or ())
    if missing := [name for name in required if name not in fields]:
        raise NotAForm(f"{missing[0]} is required and not described")
    form: dict[str, Any] = {"type": "object", "properties": fields, **({"required": required} if required else {})}
    if fields == properties and whole is schema and _OF_OBJECT.issuperset(schema) and "type" in schema:
        return dict(schema)
    return form


def _field(name: str, part: Any, whole: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    if part is True:
        return {"type": "string"}
    if not isinstance(part, Mapping):
        raise NotAForm(f"{name} admits no value")
    try:
        return _primitive(_nullable(_resolved(part, whole), whole), whole, revision)
    except NotAForm as error:
        raise NotAForm(f"{name}: {error}") from None


def _primitive(part: Mapping[str, Any], whole: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    chosen = choices_of(part)
    match _type_of(part, chosen):
        case "string" if chosen is not None:
            return _with_default(_described(part, chosen.single(revision)), part, str, revision)
        case "string":
            return _with_default(_described(part, _string(part)), part, str, revision)
        case "integer" | "number" as kind:
            return _with_default(_described(part, _number(part, kind)), part, (int, float), revision)
        case "boolean":
            return _with_default(_described(part, {"type": "boolean"}), part, bool, revision)
        case "array":
            return _selection(part, whole, revision)
        case kind:
            raise NotAForm(f"a form has no field of type {kind}")


def _string(part: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string", **_whole_numbers(part, "minLength", "maxLength")}
    if part.get("format") in FORMATS:
        made["format"] = part["format"]
    return made


def _number(part: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {"type": kind} | {key: part[key] for key in ("minimum", "maximum") if key in part}


def _selection(part: Mapping[str, Any], whole: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
    """Several of some choices (from 2025-11-25)."""
    if revision < Revision.NOVEMBER_2025:
        raise NotAForm("forms of this revision have no fields for several values")
    items = part.get("items")
    chosen = choices_of(_resolved(items, whole)) if isinstance(items, Mapping) else None
    if chosen is None or "prefixItems" in part or "contains" in part:
        raise NotAForm("a form has no field for a list of values that are not chosen from some")
    made: dict[str, Any] = {"type": "array", "items": chosen.several(), **_whole_numbers(part, "minItems", "maxItems")}
    made = _described(part, made)
    default = part.get("default")
    if isinstance(default, list) and all(each in chosen.values for each in default):
        made["default"] = default
    return made


def _described(part: Mapping[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """The field with its texts, and in its description what a form cannot check."""
    texts = {key: part[key] for key in _OF_FIELD if isinstance(part.get(key), str)}
    words = _unchecked(part, made)
    if words:
        texts["description"] = " ".join(filter(None, (texts.get("description"), f"({'; '.join(words)})")))
    return {"type": made.pop("type"), **texts, **made}


_UNCHECKED = {
    "pattern": "must match {}",
    "multipleOf": "a multiple of {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "format": "format: {}",
}
_NARROWS_FURTHER = ("allOf", "anyOf", "oneOf", "not", "if", "$ref", "$dynamicRef")


def _unchecked(part: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    listed = "enum" in made or "oneOf" in made
    choosing = ("anyOf", "oneOf") if listed else ()
    if keyword := next((each for each in _NARROWS_FURTHER if each in part and each not in choosing), None):
        raise NotAForm(f"{keyword} has no place in a form")
    words = [text.format(part[key]) for key, text in _UNCHECKED.items() if key in part and key not in made]
    if not listed and isinstance(values := part.get("enum"), list):
        words.append(f"one of {', '.join(map(jsontext.dumps, values))}")
    if not listed and "const" in part:
        words.append(f"must be {jsontext.dumps(part['const'])}")
    return words


def _with_default(
    made: dict[str, Any], part: Mapping[str, Any], kind: type | tuple[type, ...], revision: Revision
) -> dict[str, Any]:
    """The field with its default. Before 2025-11-25 only booleans have one."""
    default = part.get("default")
    boolean = made["type"] == "boolean"
    right = isinstance(default, kind) and isinstance(default, bool) == boolean
    if "enum" in made or "oneOf" in made:
        right = right and default in (made.get("enum") or [each["const"] for each in made["oneOf"]])
    return {**made, "default": default} if right and (boolean or revision >= Revision.NOVEMBER_2025) else made


def _type_of(part: Mapping[str, Any], chosen: Choices | None) -> str:
    kind = part.get("type")
    if isinstance(kind, str):
        return kind
    if isinstance(kind, Sequence):
        kinds = [each for each in kind if each != "null"]
        if len(kinds) != 1:
            raise NotAForm("a form's field has one type")
        return str(kinds[0])
    values = part.get("enum") if "enum" in part else [part["const"]] if "const" in part else None
    if chosen is not None or values is None:
        return "string"
    found = {_kind(value) for value in values}
    if len(found) != 1:
        raise NotAForm("a form's field has one type")
    return found.pop()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _nullable(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part without the alternative null, as generators of schemas write optional values."""
    for keyword in ("anyOf", "oneOf"):
        alternatives = part.get(keyword)
        if isinstance(alternatives, list):
            others = [each for each in alternatives if not (isinstance(each, Mapping) and each.get("type") == "null")]
            if len(others) == 1 and len(alternatives) == 2 and isinstance(others[0], Mapping):
                part = {**_resolved(others[0], whole), **{key: part[key] for key in part if key != keyword}}
    values = part.get("enum")
    if isinstance(values, list) and None in values and len(values) > 1:
        part = {**part, "enum": [value for value in values if value is not None]}
    return part


def _resolved(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part with its reference to `$defs` of the whole followed. Raises NotAForm for other references."""
    for _ in range(LONGEST_CHAIN):
        if "$ref" not in part:
            return part
        path = str(part["$ref"]).split("/")
        definitions = whole.get(path[1]) if len(path) == 3 and path[0] == "#" else None
        found = definitions.get(path[2]) if isinstance(definitions, Mapping) else None
        if not isinstance(found, Mapping):
            raise NotAForm("a form has no references")
        part = {**found, **{key: part[key] for key in part if key != "$ref"}}
    raise NotAForm("a form has no references that lead to themselves")


def _whole_numbers(part: Mapping[str, Any], *names: str) -> dict[str, int]:
    """These limits, as integers: 1.0 is one in JSON Schema, but not for every client."""
    return {name: int(part[name]) for name in names if name in part}
