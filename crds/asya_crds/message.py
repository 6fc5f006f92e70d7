"""Messages between our programs: models that read what jsontext decoded, and their JSON Schemas."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaMode

from asya_crds.mistakes import explain
from asya_crds.schema_walk import Path


class InvalidMessage(ValueError):
    """A message that cannot be understood. `field` names the part (dotted), the text says what was expected there."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


class WireMessage(BaseModel):
    """Unknown fields are ignored, because a newer peer may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)

    @classmethod
    def saying(cls, **fields: Any) -> Self:
        """A message to be sent. It is not checked: the receiver does that, and our report must not fail on what an
        envelope contains."""
        return cast("Self", cls.model_construct(**fields))

    @classmethod
    def wire(cls, **fields: Any) -> dict[str, Any]:
        """`saying(**fields).as_dict()`, at a fifth of the cost, for what every report sends."""
        found = _defaults(cls) | fields
        return {_aliases(cls)[name]: value for name, value in found.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """The wire form, without fields that are None."""
        return self.model_dump(by_alias=True, exclude_none=True, warnings=False)

    def whole(self) -> dict[str, Any]:
        """The wire form with every field, null where it is None."""
        return self.model_dump(by_alias=True, warnings=False)


@cache
def _defaults(model: type[WireMessage]) -> dict[str, Any]:
    return {name: field.get_default() for name, field in model.model_fields.items() if not field.is_required()}


@cache
def _aliases(model: type[WireMessage]) -> dict[str, str]:
    return {name: field.alias or name for name, field in model.model_fields.items()}


M = TypeVar("M", bound=WireMessage)


def read(model: type[M], body: Mapping[str, Any]) -> M:
    """Read a message from a decoded body. Raises InvalidMessage for the first wrong field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise mistake_in(error, model) from None


def mistake_in(error: ValidationError, model: type[Any]) -> InvalidMessage:
    """The first mistake that validation found."""
    first = explain(error, model)[0]
    return InvalidMessage(first.reason, spelled(first.path))


def spelled(path: Path) -> str:
    """A place in a message (`fields[0].type`). Parts from input are shortened."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in path)
    return "".join(parts).removeprefix(".")


def answer_schema(model: type[WireMessage]) -> dict[str, Any]:
    """The JSON Schema of an answer that is sent with every field (WireMessage.whole)."""
    return schema_of(model, "serialization")


def schema_of(model: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """The JSON Schema (2020-12) of a message or of a part of one, without references."""
    document = TypeAdapter(model).json_schema(by_alias=True, mode=mode)
    found = _tidy(document, document.get("$defs", {}))
    assert isinstance(found, dict)
    return found


def named_schemas(models: Iterable[Any], place: str) -> dict[str, Any]:
    """The JSON Schemas of the messages that are sent, by name. They refer to each other at `place`
    (`#/components/schemas/`)."""
    wanted: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
        (number, "serialization", TypeAdapter(model)) for number, model in enumerate(models)
    ]
    _, document = TypeAdapter.json_schemas(wanted, ref_template=place + "{model}")
    return {_shown(name): _tidy(schema, None) for name, schema in document["$defs"].items()}


def _shown(name: str) -> str:
    """The public name of a schema, or of a reference to it: TaskJson is called Task."""
    return name.removesuffix("Json")


def _tidy(node: Any, definitions: Mapping[str, Any] | None) -> Any:
    """The schema without titles and defaults, which tell a caller nothing; with `definitions`, references are also
    resolved."""
    if isinstance(node, list):
        return [_tidy(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        if definitions is None:
            return {**node, "$ref": _shown(node["$ref"])}
        return _tidy(definitions[node["$ref"].rpartition("/")[2]], definitions)
    kept = {key: value for key, value in node.items() if key not in ("$defs", "default")}
    if isinstance(kept.get("title"), str):
        del kept["title"]
    if isinstance(description := kept.get("description"), str):
        kept["description"] = " ".join(description.partition("\n\n")[0].split())
    return {key: _tidy(value, definitions) for key, value in kept.items()}
